"""BigQuery, against its emulator: the public suites, exact values, races."""

from __future__ import annotations

import datetime
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from bigquery_places import NOTE, VALUES, Place, load
from bigquery_places import values as all_types
from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.local import Systems
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.systems.bigquery.errors import PATIENCE
from tradewind.systems.bigquery.fit import fit
from tradewind.systems.bigquery.load import Load
from tradewind.systems.bigquery.source import BigQuerySource
from tradewind.systems.bigquery.sweep import leftovers
from tradewind.systems.bigquery.table import BigQueryTable
from tradewind.testing.conformance.source import SourceConformance, rows_of
from tradewind.testing.conformance.table import TableConformance
from tradewind.testing.memory_source import MemorySource
from values_databases import check, selected
from values_targets import BIGQUERY, REFUSED

pytestmark = pytest.mark.xdist_group("bigquery")

pytest.importorskip("google.cloud.bigquery")


@pytest.fixture(scope="module")
def place(local_bigquery: Systems) -> Iterator[Place]:
    made = Place(local_bigquery.environment)
    yield made
    made.client.close()


class TestBigQueryTable(TableConformance):
    @pytest.fixture(autouse=True)
    def fresh(self, place: Place) -> None:
        self.place = place
        self.names = {name: f"{name}_{uuid.uuid4().hex[:8]}" for name in
                      ("things", "made_table", "absent_table")}  # fmt: skip
        place.run(f"CREATE TABLE {{}}.{self.names['things']} (id INT64, name STRING, day STRING)")

    def table(self, name: str = "things", **options: Any) -> BigQueryTable:
        return BigQueryTable(self.place.connection, self.names[name], **options)

    def rows(self, name: str | None = None) -> list[tuple[Any, ...]]:
        return self.place.run(
            f"SELECT id, name, day FROM {{}}.{self.names[name or 'things']} ORDER BY id"
        )


class TestBigQuerySource(SourceConformance):
    expected: ClassVar = [{"id": 1, "name": "one"}, {"id": 2, "name": None}]

    @pytest.fixture(autouse=True)
    def fresh(self, place: Place) -> None:
        self.place = place

    def source(self) -> BigQuerySource:
        values = "STRUCT(1 AS id, 'one' AS name), STRUCT(2, CAST(NULL AS STRING))"
        return BigQuerySource(
            self.place.connection, f"SELECT id, name FROM UNNEST([{values}]) ORDER BY id"
        )

    def wrong_source(self) -> BigQuerySource:
        return BigQuerySource(self.place.connection, table="nothing")


D = Decimal


@pytest.mark.parametrize("road", ["storage", "rest"])
def test_all_types_come_back_as_they_were(place: Place, road: str) -> None:
    name = f"types_{road}"
    load(all_types(), BigQueryTable(place.connection, name, create=True))
    told = {one.name: one.field_type for one in place.client.get_table(
        f"{place.connection.dataset}.{name}").schema}  # fmt: skip
    kinds = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
    for column, (kind, _, _) in VALUES.items():
        assert told[column] in (kind, kinds.get(kind))
    connection = place.connection
    if road == "rest":
        connection = BigQueryConnection(
            connection.project, connection.dataset, endpoint=connection.endpoint
        )
    rows = rows_of(BigQuerySource(connection, table=name))
    expected = all_types().to_pylist()
    assert rows == expected
    with BigQuerySource(connection, table=name, columns=["j", "l"], where="i > 0").batches() as few:
        assert [row for batch in few for row in batch.to_pylist()] == [
            {"j": expected[1]["j"], "l": []}
        ]
        assert few.schema.field("j").metadata == NOTE


def test_what_a_column_cannot_hold_is_refused() -> None:
    """Before anything is sent; BigQuery itself would round a NUMERIC(4, 2), say."""
    for kind, values, said in (
        ({"type": "INT64"}, pa.array([1.5]), "1.5"),
        ({"type": "INT64"}, pa.array(["x"]), "'x'"),
        ({"type": "INT64"}, pa.array([2**63], pa.uint64()), "9223372036854775808"),
        ({"type": "FLOAT64"}, pa.array([2**53 + 1]), "9007199254740993"),
        ({"type": "FLOAT64"}, pa.array(["0.12345678901234567891"]), "0.1234567890123456789"),
        ({"type": "NUMERIC"}, pa.array([D("0.0000000001")]), "1E-10"),
        ({"type": "NUMERIC", "precision": "4", "scale": "2"}, pa.array([D("1.234")]), "1.234"),
        ({"type": "NUMERIC", "precision": "4", "scale": "2"}, pa.array([123]), "123"),
        ({"type": "NUMERIC"}, pa.array([float("nan")]), "nan"),
        ({"type": "BOOL"}, pa.array([1]), "does not become"),
        ({"type": "STRING", "maxLength": "2"}, pa.array(["abc"]), "abc"),
        ({"type": "BYTES", "maxLength": "2"}, pa.array([b"abc"]), r"\\x616263"),
        ({"type": "STRING"}, pa.array([b"abc"]), "does not become"),
        ({"type": "BYTES"}, pa.array(["x"]), "does not become"),
        ({"type": "STRING", "mode": "REQUIRED"}, pa.array([None], pa.string()), "None"),
        ({"type": "DATETIME"}, pa.array([1], pa.timestamp("us", "UTC")), "zone"),
        ({"type": "TIMESTAMP"}, pa.array([1], pa.timestamp("us")), "zone"),
        ({"type": "TIMESTAMP"}, pa.array(["2026-01-01 00:00:00"]), "2026-01-01"),
        ({"type": "TIMESTAMP"}, pa.array([1], pa.timestamp("ns", "UTC")), "1970-01-01"),
        ({"type": "DATE"}, pa.array([3_000_000], pa.date32()), "9999"),
        ({"type": "TIME"}, pa.array(["25:00:00"]), "25:00:00"),
        ({"type": "INTERVAL"}, pa.array(["P1D"]), "INTERVAL"),
        ({"type": "INT64", "mode": "REPEATED"}, pa.array([[1, None]]), "NULL"),
        ({"type": "INT64", "mode": "REPEATED"}, pa.array([None], pa.list_(pa.int64())), "NULL"),
        ({"type": "INT64", "mode": "REPEATED"}, pa.array([["x"]]), "'x'"),
        ({"type": "RECORD", "fields": [{"name": "a", "type": "INT64"}]}, pa.array([{"b": 1}]), "b"),
    ):
        column = {"name": "v", "mode": "NULLABLE", **kind}
        with pytest.raises(InputError, match=said) as caught:
            fit(values, pa.field("v", values.type), column)
        assert "'v'" in str(caught.value)


def test_values_arrive_as_the_page_says(place: Place, tmp_path: Path) -> None:
    check("BigQuery", lambda given: BigQuerySource(place.connection, selected(given)), tmp_path)


def test_texts_become_values_as_the_page_says(place: Place) -> None:
    columns, texts, expected = [], {}, {}
    for number, (type_, cases) in enumerate(BIGQUERY):
        kind, _, most = type_.rstrip(")").partition("(")
        name = f"c{number}"
        column = {"name": name, "type": kind, **({"maxLength": most} if most else {})}
        columns.append(column)
        kept = {text: found for text, found in cases.items() if found is not REFUSED}
        texts[name] = [*kept, None, None][:3]
        expected[name] = [*kept.values(), None, None][:3]
        for text in cases.keys() - kept.keys():
            with pytest.raises(InputError, match=name):
                fit(pa.array([text]), pa.field(name, pa.string()), column)
    place.make("page", *columns)
    load(pa.table(texts), BigQueryTable(place.connection, "page"))
    found = rows_of(BigQuerySource(place.connection, table="page"))
    for name, values in expected.items():
        shown = {None if row[name] is None else str(row[name]) for row in found}
        assert shown == set(values), name


def test_what_bigquery_itself_refuses_leaves_nothing(place: Place) -> None:
    place.make("json", {"name": "v", "type": "JSON"})
    with pytest.raises(InputError, match="BigQuery"):
        load(pa.table({"v": ["{"]}), BigQueryTable(place.connection, "json"))
    assert place.run("SELECT * FROM {}.json") == []
    assert not [one for one in place.tables() if one.startswith("tradewind_rows_")]


def test_a_made_table_is_partitioned_and_clustered(place: Place) -> None:
    rows = pa.table({"day": [datetime.date(2026, 1, 31)], "shop": ["a"]})
    target = BigQueryTable(
        place.connection, "parted", create=True, mode="replace",
        slice={"day": datetime.date(2026, 1, 31)}, partition_by="day", cluster_by=["shop"],
    )  # fmt: skip
    for _ in range(2):
        load(rows, target)
    found = place.client.get_table(f"{place.connection.dataset}.parted")
    assert (found.time_partitioning.field, found.clustering_fields) == ("day", ["shop"])
    assert place.run("SELECT * FROM {}.parted") == [(datetime.date(2026, 1, 31), "a")]
    with pytest.raises(InputError, match="no column 'week'"):
        load(rows, BigQueryTable(place.connection, "no", create=True, partition_by="week"))
    assert "no" not in place.tables()


def test_texts_are_their_very_values(place: Place) -> None:
    """The emulator has no collations (``und:ci``): this holds the form that is exact under them."""
    place.run("CREATE TABLE {}.texts (s STRING, v INT64)")
    place.run("INSERT INTO {}.texts VALUES ('A', 7), ('b', 7)")
    rows = pa.table({"s": ["a", "b"], "v": [1, 2]})
    upsert = BigQueryTable(place.connection, "texts", mode="upsert", keys=["S"])
    script = Load(upsert, place.client, Owner("d", "r", "t"))
    script._columns = [{"name": "s", "type": "STRING"}, {"name": "v", "type": "INTEGER"}]
    assert script._equal("S", "T.s", "S.s") == (
        "(T.s = S.s AND CAST(T.s AS BYTES) = CAST(S.s AS BYTES))"
    )
    assert script._equal("v", "T.v", "S.v") == "T.v = S.v"
    load(rows, upsert)
    found = "SELECT s, v FROM {}.texts ORDER BY s"
    assert place.run(found) == [("A", 7), ("a", 1), ("b", 2)]
    twice = pa.table({"s": ["it's", "it's"], "v": [1, 2]})
    with pytest.raises(InputError, match=r"several rows .* have the same S: it's"):
        load(twice, upsert)
    load(
        pa.table({"s": ["a"], "v": [9]}),
        BigQueryTable(place.connection, "texts", mode="replace", slice={"S": "a"}),
    )
    assert place.run(found) == [("A", 7), ("a", 9), ("b", 2)]


def test_an_append_whose_table_is_gone_is_told(place: Place) -> None:
    owner = Owner("d", uuid.uuid4().hex, "t")
    place.run("CREATE TABLE {}.gone (id INT64)")
    load(pa.table({"id": [1]}), BigQueryTable(place.connection, "gone"), owner)
    place.run("DROP TABLE {}.gone")
    for create in (False, True):
        with pytest.raises(InputError, match=r"has appended 1 rows .*create=True"):
            load(
                pa.table({"id": [1]}), BigQueryTable(place.connection, "gone", create=create), owner
            )


def test_of_attempts_at_once_one_appends(place: Place) -> None:
    owner = Owner("d", uuid.uuid4().hex, "t")
    place.run("CREATE TABLE {}.raced (id INT64)")
    told: list[Any] = []
    together = threading.Barrier(3)

    def attempt() -> None:
        together.wait()
        try:
            receipt = load(
                pa.table({"id": [1, 2]}), BigQueryTable(place.connection, "raced"), owner
            )
            told.append(receipt.earlier)
        except TradewindError as error:
            told.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 3
    assert all(isinstance(one, bool | RetryError) for one in told), told
    assert place.run("SELECT id FROM {}.raced ORDER BY id") in ([(1,), (2,)], [])
    load(pa.table({"id": [1, 2]}), BigQueryTable(place.connection, "raced"), owner)
    assert place.run("SELECT id FROM {}.raced ORDER BY id") == [(1,), (2,)]
    assert not [one for one in place.tables() if one.startswith("tradewind_rows_")]


def test_what_the_ledger_tells_is_held_against_the_table(place: Place) -> None:
    owner = Owner("d", uuid.uuid4().hex, "t")
    place.run("CREATE TABLE {}.emptied (id INT64)")
    target = BigQueryTable(place.connection, "emptied")
    load(pa.table({"id": [1]}), target, owner)
    place.run("DELETE FROM {}.emptied WHERE TRUE")
    with pytest.raises(InputError, match="has appended 1 rows"):
        load(pa.table({"id": [1]}), target, owner)


def test_a_query_runs_one_select_and_nothing_else(place: Place) -> None:
    place.run("CREATE TABLE {}.kept (id INT64)")
    name = f"`{place.connection.dataset}`.kept"
    with pytest.raises(InputError, match="DROP_TABLE"):
        rows_of(BigQuerySource(place.connection, f"DROP TABLE {name}"))
    assert "kept" in place.tables()
    with pytest.raises(InputError, match="BigQuery"):
        rows_of(BigQuerySource(place.connection, "SELEC 1"))
    asked = BigQuerySource(
        place.connection, "SELECT @a AS a, @d AS d", parameters={"a": 1, "d": D("1.5")}
    )
    assert rows_of(asked) == [{"a": 1, "d": D("1.5")}]


def test_what_a_dead_load_has_left_is_found_and_removed(
    place: Place, local_bigquery: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tradewind.systems.bigquery.connection import TableName
    from tradewind.systems.bigquery.stage import Stage

    for name, text in local_bigquery.environment.items():
        monkeypatch.setenv(name, text)
    owner = Owner("d", uuid.uuid4().hex, "t", deployment="here", generation="g")
    table = TableName(place.connection.project, place.connection.dataset, "left")
    columns = [{"name": "id", "type": "INT64"}]

    def stage() -> Stage:
        return Stage(
            place.client, table, owner, columns, piece_bytes=1, labels={}, system="BigQuery"
        )

    stage().__enter__()
    place_name = f"{place.connection.project}/{place.connection.dataset}"
    (left,) = [one for _, found in leftovers(place_name) for one in found]
    assert (left.owner, left.title) == (owner.digest, str(owner))
    left.remove()
    assert [one for _, found in leftovers(place_name) for one in found] == []
    stage().__enter__()
    load(pa.table({"id": [1]}), BigQueryTable(place.connection, "left", create=True), owner)
    assert not [one for one in place.tables() if one.startswith("tradewind_rows_")]


def test_an_attempt_whose_rows_another_one_has_removed_is_told_to_try_again(place: Place) -> None:
    place.run("CREATE TABLE {}.taken (id INT64)")

    def take(batch: pa.RecordBatch) -> pa.RecordBatch:
        for one in place.tables():
            if one.startswith("tradewind_rows_"):
                place.client.delete_table(f"{place.connection.dataset}.{one}")
        return batch

    owner = Owner("d", uuid.uuid4().hex, "t")
    with pytest.raises(RetryError, match="another attempt"):
        transfer(
            MemorySource(pa.table({"id": [1]})), BigQueryTable(place.connection, "taken"), owner,
            transform=take,
        )  # fmt: skip
    assert place.run("SELECT id FROM {}.taken") == []


def test_rows_in_several_pieces_are_all_there(place: Place) -> None:
    rows = pa.table({"id": list(range(5000))})
    target = BigQueryTable(place.connection, "pieces", create=True, piece_bytes=1)
    transfer(MemorySource(rows, batch_rows=1000), target, Owner("d", uuid.uuid4().hex, "t"))
    assert place.run("SELECT COUNT(*), SUM(id) FROM {}.pieces") == [(5000, 12497500)]
    read = BigQuerySource(place.connection, table="pieces", streams=2)
    assert sorted(row["id"] for row in rows_of(read)) == list(range(5000))


def test_names_and_settings_are_checked_before_anything_is_opened() -> None:
    connection = BigQueryConnection("p", "d")
    assert str(connection.table_name("`a-b`.`c`.`t`")) == "a-b.c.t"
    assert str(connection.table_name("a:c.t")) == "a.c.t"
    assert str(connection.table_name("t")) == "p.d.t"
    assert BigQueryConnection.from_uri("bigquery://p/d").uri == "bigquery://p/d"
    for wrong in (
        lambda: connection.table_name("a."),
        lambda: BigQueryConnection("p").table_name("t"),
        lambda: BigQueryConnection.from_uri("bigquery://user:secret@p"),
        lambda: BigQuerySource(connection),
        lambda: BigQuerySource(connection, "SELECT 1", table="t"),
        lambda: BigQueryTable(connection, "t", partition_by="day"),
        lambda: BigQueryTable(connection, "t", create=True, partition_type="WEEK"),
    ):
        with pytest.raises(InputError) as caught:
            wrong()
        assert "secret" not in str(caught.value)
    assert PATIENCE > 0
