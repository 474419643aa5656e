"""Reading from a real MongoDB: queries, types, snapshots, and trouble in the middle.

Over 400 lines: one source; its cases share a replica set, which takes seconds to start.
"""

from __future__ import annotations

import csv
import datetime
import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pymongo
import pytest
from bson import Binary, Code, Decimal128, Int64, ObjectId, Regex
from bson.datetime_ms import DatetimeMS
from pymongo.collection import Collection

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.local import Systems, up
from tradewind.local.processes import wait_until
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.interface import interface
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.mongodb.connection import MongoConnection
from tradewind.systems.mongodb.source import MongoSource

DATABASE = "tradewind"
MANY = 5000


def connection_of(systems: Systems) -> MongoConnection:
    environment = systems.environment
    return MongoConnection(
        environment["MONGODB_URI"], {"password": environment["MONGODB_PASSWORD"]}
    )


@pytest.fixture(scope="module")
def connection(local_mongodb: Systems) -> MongoConnection:
    return connection_of(local_mongodb)


@pytest.fixture(scope="module")
def client(connection: MongoConnection) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    with connection.open() as client:
        yield client


@pytest.fixture
def collection(client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Collection[dict[str, Any]]]:
    made = client[DATABASE][f"test_{uuid.uuid4().hex}"]
    yield made
    made.drop()


def filled(collection: Collection[dict[str, Any]], count: int = MANY) -> None:
    collection.insert_many([{"_id": n, "text": f"text {n}" * 20} for n in range(count)])


Make = Callable[..., MongoSource]


@pytest.fixture
def make(connection: MongoConnection, collection: Collection[dict[str, Any]]) -> Make:
    def source(**arguments: Any) -> MongoSource:
        return MongoSource(
            **{
                "connection": connection,
                "database": DATABASE,
                "collection": collection.name,
                **arguments,
            }
        )

    return source


def lines(source: MongoSource) -> list[Any]:
    encoded = source.encoded(JsonLinesFormat())
    assert encoded is not None
    found = [json.loads(line) for line in b"".join(encoded.chunks).splitlines()]
    assert encoded.rows() == len(found)
    return found


def table(source: MongoSource) -> pa.Table:
    with source.batches() as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


def failing(source: MongoSource, kind: type[TradewindError]) -> str:
    with pytest.raises(TradewindError) as caught:
        lines(source)
    assert type(caught.value) is kind, caught.value
    assert source.connection.options.get("password", "no secret") not in str(caught.value)
    return str(caught.value)


# Queries


def test_finds(make: Make, collection: Collection[dict[str, Any]]) -> None:
    filled(collection)
    assert [one["_id"] for one in lines(make())] == list(range(MANY))
    found = lines(
        make(
            query={"_id": {"$gte": 100}},
            projection=["_id"],
            sort=[("_id", -1)],
            limit=3,
            batch_size=2,
            hint="_id_",
        )
    )
    assert found == [{"_id": 4999}, {"_id": 4998}, {"_id": 4997}]
    assert lines(make(query={"_id": 3}, projection={"_id": 0, "text": 1}, sort={"_id": 1})) == [
        {"text": "text 3" * 20}
    ]


def test_aggregates(make: Make, collection: Collection[dict[str, Any]]) -> None:
    filled(collection)
    pipeline = [{"$group": {"_id": {"$mod": ["$_id", 3]}, "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    assert [one["n"] for one in lines(make(pipeline=pipeline))] == [1667, 1667, 1666]
    ordered = make(pipeline=[{"$sort": {"text": -1}}], allow_disk_use=True, batch_size=500)
    assert len(lines(ordered)) == MANY


def test_nothing_found(make: Make, collection: Collection[dict[str, Any]]) -> None:
    filled(collection, 1)
    assert lines(make(query={"_id": -1})) == []
    assert table(make(query={"_id": -1})).num_rows == 0
    schema = pa.schema({"_id": pa.int64()})
    assert table(make(query={"_id": -1}, schema=schema)).schema == schema


@pytest.mark.parametrize("batch_size", [None, 7])
def test_the_same_whatever_the_replies(
    make: Make, collection: Collection[dict[str, Any]], batch_size: int | None
) -> None:
    filled(collection, 3000)
    whole, parted = make(), make(batch_size=batch_size)
    for source in (whole, parted):
        assert lines(source) == [{"_id": n, "text": f"text {n}" * 20} for n in range(3000)]
    with whole.batches() as one, parted.batches() as other:
        assert [batch.num_rows for batch in one] == [batch.num_rows for batch in other]


def test_canonical(make: Make, collection: Collection[dict[str, Any]]) -> None:
    collection.insert_one({"_id": 1, "a": Int64(2), "b": 1.0})
    assert lines(make(json="canonical")) == [
        {"_id": {"$numberInt": "1"}, "a": {"$numberLong": "2"}, "b": {"$numberDouble": "1.0"}}
    ]


def test_reads_one_snapshot(make: Make, collection: Collection[dict[str, Any]]) -> None:
    filled(collection)
    encoded = make(batch_size=100).encoded(JsonLinesFormat())
    assert encoded is not None
    first = next(encoded.chunks)
    collection.delete_many({"_id": {"$gte": 1000}})
    collection.update_many({}, {"$set": {"text": "changed"}})
    collection.insert_one({"_id": MANY})
    data = first + b"".join(encoded.chunks)
    found = [json.loads(line) for line in data.splitlines()]
    assert found == [{"_id": n, "text": f"text {n}" * 20} for n in range(MANY)]


def test_leaves_no_cursor_behind(
    make: Make,
    collection: Collection[dict[str, Any]],
    client: pymongo.MongoClient[dict[str, Any]],
) -> None:
    filled(collection)
    encoded = make(batch_size=10).encoded(JsonLinesFormat())
    assert encoded is not None
    next(encoded.chunks)
    assert cursors(client, collection)
    encoded.chunks.close()  # type: ignore[attr-defined]
    assert not cursors(client, collection)
    with make(batch_size=10).batches():
        pass
    assert not cursors(client, collection)


def cursors(
    client: pymongo.MongoClient[dict[str, Any]], collection: Collection[dict[str, Any]]
) -> list[int]:
    stages = [
        {"$currentOp": {"idleCursors": True, "allUsers": True}},
        {"$match": {"type": "idleCursor", "ns": f"{DATABASE}.{collection.name}"}},
    ]
    return [one["cursor"]["cursorId"] for one in client.admin.aggregate(stages)]


# Transforms


def test_transform_of_lines_and_batches(make: Make, collection: Collection[dict[str, Any]]) -> None:
    collection.insert_many(
        [{"_id": n, "when": datetime.datetime(2024, 1, n + 1)} for n in range(3)]
    )

    def transform(documents: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for document in documents:
            if document["_id"]:
                yield {"day": document["when"].day, "double": float("nan")}

    source = make(transform=transform)
    nan = {"$numberDouble": "NaN"}
    assert lines(source) == [{"day": 2, "double": nan}, {"day": 3, "double": nan}]
    assert table(source)["day"].to_pylist() == [2, 3]
    # As subclasses of the official operator often have it: a list, all at once.
    listed = make(transform=lambda documents: [{"n": len(list(documents))}])
    assert lines(listed) == [{"n": 3}]


def test_transform_that_fails(make: Make, collection: Collection[dict[str, Any]]) -> None:
    filled(collection, 3)

    def transform(documents: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lines(make(transform=transform))


# Typed columns

ONE = {
    "_id": ObjectId("0123456789abcdef01234567"),
    "text": "Zoë",
    "whole": 5,
    "double": 1.5,
    "mixed": 1,
    "fee": Decimal128("1.10"),
    "when": datetime.datetime(2024, 1, 2, 3, 4, 5, 678000),
    "far": DatetimeMS(253402300800000),
    "data": b"\x00\xff",
    "uuid": Binary.from_uuid(uuid.UUID(int=5)),
    "yes": True,
    "inner": {"a": [1, {"b": None}]},
    "tags": ["a", None],
    "empty": [],
    "union": 1,
    "code": Code("x"),
    "none": None,
}
OTHER = {"_id": ObjectId(), "mixed": 0.5, "union": "x", "tags": [], "empty": ["x"]}


def test_sampled_columns(make: Make, collection: Collection[dict[str, Any]]) -> None:
    collection.insert_many([ONE, OTHER])
    found = table(make())
    notes = {one.name: logical_type(one) for one in found.schema if logical_type(one)}
    assert notes == {
        "_id": "objectid",
        "fee": "decimal",
        "uuid": "uuid",
        "inner": "json",
        "union": "json",
        "code": "json",
        "none": "json",
    }
    # The year 10000 is no datetime of Python's.
    assert found["far"].cast(pa.int64()).to_pylist() == [253402300800000000, None]
    assert found.schema.field("far").type == pa.timestamp("us", tz="UTC")
    first, second = found.drop(["far"]).to_pylist()
    utc = datetime.UTC
    assert first == {
        "_id": "0123456789abcdef01234567",
        "text": "Zoë",
        "whole": 5,
        "double": 1.5,
        "mixed": 1.0,
        "fee": "1.10",
        "when": datetime.datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=utc),
        "data": b"\x00\xff",
        "uuid": str(uuid.UUID(int=5)),
        "yes": True,
        "inner": '{"a":[1,{"b":null}]}',
        "tags": ["a", None],
        "empty": [],
        "union": "1",
        "code": '{"$code":"x"}',
        "none": None,
    }
    assert (second["union"], second["tags"], second["text"]) == ('"x"', [], None)


def test_declared_columns(make: Make, collection: Collection[dict[str, Any]]) -> None:
    collection.insert_one({**ONE, "double": 3.0})
    schema = pa.schema(
        [
            ("_id", pa.string()),
            ("whole", pa.int16()),
            ("double", pa.int32()),
            ("fee", pa.decimal128(10, 1)),
            ("when", pa.timestamp("ms")),
            ("tags", pa.list_(pa.string())),
            field("inner", pa.string(), "json"),
            ("not there", pa.bool_()),
        ]
    )
    source = make(schema=schema, projection=list(schema.names))
    assert source.encoded(JsonLinesFormat()) is None
    (row,) = table(source).to_pylist()
    assert row["fee"] == Decimal("1.1")
    assert row["double"] == 3
    assert row["when"] == ONE["when"]
    assert row["not there"] is None
    struct = pa.schema({"inner": pa.struct({"a": pa.list_(field("item", pa.string(), "json"))})})
    (row,) = table(make(schema=struct, projection={"_id": 0, "inner": 1})).to_pylist()
    assert row == {"inner": {"a": ["1", '{"b":null}']}}


def test_what_does_not_fit_is_shown_as_extended_json(
    make: Make, collection: Collection[dict[str, Any]]
) -> None:
    far = DatetimeMS(1 << 62)
    for value, shown in (
        (far, '{"$date":{"$numberLong":"4611686018427387904"}}'),
        ({"a": [far]}, '{"a":[{"$date":{"$numberLong":"4611686018427387904"}}]}'),
        (Code("x"), '{"$code":"x"}'),
        (Decimal128("1.5"), "1.5"),
    ):
        collection.delete_many({})
        collection.insert_one({"_id": far, "v": value})
        schema = pa.schema([field("_id", pa.string(), "json"), ("v", pa.int64())])
        with pytest.raises(UnfitValueError) as caught:
            table(make(schema=schema))
        assert f"cannot hold the value {shown}" in str(caught.value)
        assert "_id {" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("text", pa.int64()),
        (1 << 40, pa.int32()),
        (-1, pa.uint8()),
        (1.5, pa.int64()),
        (True, pa.int64()),
        (Int64((1 << 53) + 1), pa.float64()),
        (0.1, pa.float32()),
        (Decimal128("1.001"), pa.decimal128(9, 2)),
        (Decimal128("12345678.00"), pa.decimal128(9, 2)),
        (Decimal128("NaN"), pa.decimal128(9, 2)),
        (0.5, pa.decimal128(9, 2)),
        (5, pa.string()),
        (Regex("x"), pa.string()),
        (Code("x"), pa.string()),
        (Binary(b"x", 128), pa.binary()),
        (datetime.datetime(2024, 1, 1, 1), pa.date32()),
        (datetime.datetime(2024, 1, 1, 1, 1, 1, 1000), pa.timestamp("s")),
        (DatetimeMS(1 << 62), pa.timestamp("us")),
        (1, pa.list_(pa.int64())),
        (["x"], pa.list_(pa.int64())),
        ({"b": 1}, pa.struct({"a": pa.int64()})),
        ({"a": "x"}, pa.struct({"a": pa.int64()})),
        (1, pa.bool_()),
    ],
)
def test_values_that_do_not_fit(
    make: Make, collection: Collection[dict[str, Any]], value: Any, type_: pa.DataType
) -> None:
    collection.insert_many([{"_id": n} for n in range(3)])
    collection.insert_one({"_id": "the bad one", "v": value})
    schema = pa.schema([field("_id", pa.string(), "json"), ("v", type_)])
    with pytest.raises(UnfitValueError) as caught:
        table(make(schema=schema))
    assert str(caught.value).startswith(f"Column 'v': {type_} of the document with _id 'the bad")
    assert "Declare a schema" in str(caught.value)


def test_fields_that_appear_after_the_sample(
    make: Make, collection: Collection[dict[str, Any]]
) -> None:
    collection.insert_many([{"_id": n, "text": "x" * 1000} for n in range(5000)])
    collection.insert_one({"_id": 5000, "late": Int64(1), "later": None})
    with pytest.raises(InputError, match="Field 'late' of the document with _id 5000 is not in"):
        table(make(sample=10))
    kept = table(make(sample=10, unknown="extra"))
    assert kept["_extra"].to_pylist()[-2:] == [None, '{"late":1,"later":null}']
    with pytest.raises(InputError, match="Field 'text'"):
        table(make(schema=pa.schema({"_id": pa.int64()})))


# Bad input


def test_missing_collection(make: Make) -> None:
    message = failing(make(collection="nobody"), SetupError)
    assert "tradewind.nobody: there is no such collection" in message
    assert lines(make(collection="nobody", missing_ok=True)) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"query": {"a": {"$nope": 1}}}, "unknown operator: $nope"),
        ({"query": {"$where": "throw 'x'"}}, "uncaught exception"),
        ({"pipeline": [{"$nope": 1}]}, "Unrecognized pipeline stage"),
        ({"hint": "nope_1"}, "hint"),
        ({"projection": {"a": 1, "b": 0}}, "projection"),
        ({"query": {"$where": "sleep(200) || true"}, "max_time": 0.1}, "Raise it"),
        ({"query": {"a": {1, 2}}}, "set"),
    ],
)
def test_wrong_queries(
    make: Make, collection: Collection[dict[str, Any]], arguments: dict[str, Any], expected: str
) -> None:
    filled(collection, 5)
    message = failing(make(**arguments), InputError)
    assert expected in message
    assert collection.name in message


@pytest.mark.parametrize(
    "arguments",
    [
        {"pipeline": [{"$out": "x"}]},
        {"pipeline": [{"$merge": "x"}]},
        {"pipeline": [], "query": {"a": 1}},
        {"json": "strict"},
    ],
)
def test_arguments_that_are_refused(make: Make, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make(**arguments)


def test_wrong_password(make: Make, connection: MongoConnection) -> None:
    wrong = MongoConnection(connection.uri, {"password": "wr0ng"})
    assert "Correct user and password" in failing(make(connection=wrong), SetupError)


def test_no_permission(
    make: Make,
    collection: Collection[dict[str, Any]],
    connection: MongoConnection,
    client: pymongo.MongoClient[dict[str, Any]],
) -> None:
    filled(collection, 1)
    user = f"user{uuid.uuid4().hex[:8]}"
    client[DATABASE].command("createUser", user, pwd="w0rd", roles=[])
    other = MongoConnection(f"mongodb://{user}:w0rd@{connection.address}/{DATABASE}")
    assert "grant the user the role" in failing(make(connection=other), SetupError)
    client[DATABASE].command("dropUser", user)


def test_nobody_answers(make: Make) -> None:
    nobody = MongoConnection("mongodb://u:hidden@127.0.0.1:9/?serverSelectionTimeoutMS=200")
    message = failing(make(connection=nobody), RetryError)
    assert "127.0.0.1:9" in message
    assert "hidden" not in message + repr(nobody)


@pytest.mark.parametrize("uri", ["mongodb://", "http://x", "mongodb://h:port"])
def test_wrong_uri(make: Make, uri: str) -> None:
    assert "URI" in failing(make(connection=MongoConnection(uri)), SetupError)


def test_text_that_is_not_utf8(make: Make, collection: Collection[dict[str, Any]]) -> None:
    from bson.raw_bson import RawBSONDocument

    collection.insert_one(RawBSONDocument(b"\x0f\0\0\0\x02v\0\x03\0\0\0\xc3\x28\0\0"))  # type: ignore[arg-type]
    message = failing(make(), InputError)
    assert "utf-8" in message
    assert collection.name in message


# Trouble in the middle


def test_cursor_is_killed(
    make: Make,
    collection: Collection[dict[str, Any]],
    client: pymongo.MongoClient[dict[str, Any]],
) -> None:
    filled(collection)
    encoded = make(batch_size=10).encoded(JsonLinesFormat())
    assert encoded is not None
    next(encoded.chunks)
    # It is idle when the reader is one reply ahead.
    killed: list[int] = []
    assert wait_until(lambda: killed.extend(cursors(client, collection)) or killed, seconds=20)
    client[DATABASE].command("killCursors", collection.name, cursors=killed)
    with pytest.raises(RetryError, match="cursor"):
        list(encoded.chunks)


def test_server_is_killed_and_comes_back(data: Path) -> None:
    with up(["mongodb"], data=data) as systems:
        connection = connection_of(systems)
        with connection.open() as client:
            filled(client[DATABASE]["kept"], MANY)
        source = MongoSource(connection, database=DATABASE, collection="kept", batch_size=10)
        encoded = source.encoded(JsonLinesFormat())
        assert encoded is not None
        next(encoded.chunks)
        os.kill(systems["mongodb"].pids[0], signal.SIGKILL)
        # In the middle of an answer, or before it was asked for.
        with pytest.raises(RetryError, match="try again"):
            list(encoded.chunks)
        assert encoded.rows() != MANY
    with up(["mongodb"], data=data) as systems:
        # A server that recovers replays its log: the order without `sort` may be another one.
        source = MongoSource(
            connection_of(systems), database=DATABASE, collection="kept", sort={"_id": 1}
        )
        assert [one["_id"] for one in lines(source)] == list(range(MANY))


# From the command line


def test_from_uri(
    local_mongodb: Systems, collection: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(collection, 5)
    monkeypatch.setenv("MONGODB_PASSWORD", local_mongodb.environment["MONGODB_PASSWORD"])
    uri = local_mongodb.environment["MONGODB_URI"]
    options = {"collection": collection.name, "query": '{"_id": {"$gt": {"$numberLong": "3"}}}'}
    source = MongoSource.from_uri(uri, options)
    assert [one["_id"] for one in lines(source)] == [4]
    staged = MongoSource.from_uri(uri, {**options, "query": '[{"$count": "n"}]'})
    assert lines(staged) == [{"n": 5}]
    assert collection.name in source.describe()
    for wrong in ({}, {"collection": "x", "query": "{"}, {"collection": "x", "limit": "many"}):
        with pytest.raises(InputError):
            MongoSource.from_uri(uri, wrong)


def test_snapshot_that_is_not_offered(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make(snapshot=True)
    with pytest.raises(SetupError, match="no snapshot"):
        source._takes_snapshot({"maxWireVersion": 17})
    assert not make()._takes_snapshot({"maxWireVersion": 17})
    assert not make(snapshot=False)._takes_snapshot({"maxWireVersion": 17, "setName": "x"})


def test_late_types_and_fields_to_formats_without_types(
    make: Make, collection: Collection[dict[str, Any]], tmp_path: Path
) -> None:
    collection.insert_many([{"_id": n, "n": n, "pad": "x" * 400} for n in range(8000)])
    collection.insert_many(
        [
            {"_id": "a", "n": "two", "pad": 1.5},
            {"_id": "b", "n": 2**40, "note": {"deep": [1, None]}, "pad": True},
            {"_id": "c", "n": [1, "x"], "more": datetime.datetime(2026, 1, 2, 3, 4, 5)},
        ]
    )
    source = make(sample=10)
    transfer(source, ObjectTarget(FileStore(tmp_path), "c.csv"), Owner("d", "r", "t"))
    with open(tmp_path / "c.csv", newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[0] == ["_id", "n", "pad", "note", "more"]
    assert rows[-3:] == [
        ["a", "two", "1.5", "", ""],
        ["b", str(2**40), "t", '{"deep":[1,null]}', ""],
        ["c", '[1,"x"]', "", "", "2026-01-02 03:04:05+00"],
    ]
    assert [row[0] for row in rows[1:-3]] == [str(n) for n in range(8000)]
    options = {"collection": source.collection, "database": source.database, "schema": '{"n":"x"}'}
    with pytest.raises(InputError, match="'x', which is not known"):
        MongoSource.from_uri("mongodb://h/d", options)
    words = {"n": "json", "pad": "json", "note": "json", "more": "json", "_id": "json"}
    typed = table(make(sample=10, schema=words))
    assert typed.column("n").to_pylist()[-3:] == ['"two"', str(2**40), '[1,"x"]']
    with interface("cli"), pytest.raises(InputError, match=r"--set-from 'schema=\{\"n\": \"json"):
        table(make(sample=10, projection={"n": 1, "pad": 1, "_id": 0}))
    with (
        interface("cli"),
        pytest.raises(InputError, match=r"note.*--set-from unknown=extra.*sample"),
    ):
        table(make(sample=10, projection={"note": 1, "pad": 1, "_id": 0}))


def test_capped_collections_and_what_reads_them(
    make: Make, client: pymongo.MongoClient[dict[str, Any]], tmp_path: Path
) -> None:
    database = client[DATABASE]
    capped, plain, view, nested, joined = (f"{uuid.uuid4().hex[:8]}_{n}" for n in range(5))
    union = [{"$unionWith": {"coll": capped, "pipeline": []}}]
    lookup = {"from": nested, "localField": "_id", "foreignField": "_id", "as": "c"}
    made = [capped, plain, view, nested, joined]
    try:
        database.create_collection(capped, capped=True, size=1 << 20)
        database[capped].insert_many([{"_id": n} for n in range(5)])
        database[plain].insert_many([{"_id": n} for n in range(5)])
        database.create_collection(view, viewOn=capped, pipeline=[])
        database.create_collection(nested, viewOn=view, pipeline=[{"$match": {"_id": {"$gt": 1}}}])
        database.create_collection(joined, viewOn=plain, pipeline=[{"$lookup": lookup}])
        for name, pipeline, rows in (
            (capped, None, 5),
            (view, None, 5),
            (nested, None, 3),
            (joined, None, 5),
            (plain, union, 10),
            (plain, [{"$facet": {"all": [{"$lookup": lookup}]}}], 1),
        ):
            target = ObjectTarget(FileStore(tmp_path), "c.parquet")
            source = make(collection=name, pipeline=pipeline)
            receipt = transfer(source, target, Owner("d", "r", "t"))
            assert (name, receipt.rows) == (name, rows)
            assert "capped collection" in receipt.stored.notes[0]
            with interface("cli"), pytest.raises(InputError, match="--set-from snapshot=false"):
                lines(make(collection=name, pipeline=pipeline, snapshot=True))
        source = make(collection=plain)
        assert len(lines(source)) == 5
        assert source.notes == ()
    finally:
        for name in made:
            database.drop_collection(name)


def test_a_capped_collection_that_may_not_be_listed(
    make: Make, client: pymongo.MongoClient[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, view = (f"capped{uuid.uuid4().hex[:8]}{letter}" for letter in "cv")
    client[DATABASE].create_collection(name, capped=True, size=1 << 20)
    client[DATABASE].create_collection(view, viewOn=name, pipeline=[])
    # As for a user who may find, and neither list collections nor ask for their sizes.
    monkeypatch.setattr("tradewind.systems.mongodb.source.capped_among", lambda *_: None)
    try:
        client[DATABASE][name].insert_many([{"_id": n} for n in range(5)])
        source = make(collection=view)
        assert len(lines(source)) == 5
        assert "capped collection" in source.notes[0]
    finally:
        client[DATABASE].drop_collection(view)
        client[DATABASE].drop_collection(name)


@pytest.mark.parametrize("name", ["o.parquet", "o.csv", "o.jsonl"])
def test_a_collection_without_documents(
    make: Make, collection: Collection[dict[str, Any]], tmp_path: Path, name: str
) -> None:
    collection.insert_one({"_id": 1})
    target = ObjectTarget(FileStore(tmp_path), name)
    assert transfer(make(query={"_id": 2}), target, Owner("d", "r", "t")).rows == 0
    assert (tmp_path / name).exists()
