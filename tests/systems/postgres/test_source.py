"""PostgreSQL as a source, against a real server.

Over 400 lines: one source; its cases share a server, and read as a list of promises.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest

from postgres_server import connection_to, fresh
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.types import UnfitValueError, logical_type
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from waiting import until


def read(source: PostgresSource) -> pa.Table:
    with source.batches() as batches:
        table = pa.Table.from_batches(batches, schema=batches.schema)
    table.validate(full=True)
    return table


def column(connection: PostgresConnection, sql: str) -> tuple[pa.Field, list]:
    table = read(PostgresSource(connection, f"SELECT {sql} AS x"))
    return table.schema.field("x"), table.column("x").to_pylist()


# -------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("sql", "type_", "logical", "values"),
    [
        ("true", pa.bool_(), None, [True]),
        ("(-32768)::int2", pa.int16(), None, [-32768]),
        ("2147483647", pa.int32(), None, [2147483647]),
        ("(-9223372036854775808)::int8", pa.int64(), None, [-9223372036854775808]),
        ("4294967295::oid", pa.uint32(), None, [4294967295]),
        ("0.1::float4", pa.float32(), None, [pa.scalar(0.1, pa.float32()).as_py()]),
        ("0.1::float8 + 0.2::float8", pa.float64(), None, [0.1 + 0.2]),
        ("'-Infinity'::float8", pa.float64(), None, [float("-inf")]),
        ("12.30::numeric(10,2)", pa.decimal128(10, 2), None, [Decimal("12.30")]),
        ("12345::numeric(3,-2)", pa.decimal128(5, 0), None, [Decimal("12300")]),
        ("0.00123::numeric(2,4)", pa.decimal128(4, 4), None, [Decimal("0.0012")]),
        ("1.5::numeric(60,3)", pa.decimal256(60, 3), None, [Decimal("1.500")]),
        ("1.50::numeric", pa.string(), "decimal", ["1.50"]),
        ("'NaN'::numeric", pa.string(), "decimal", ["NaN"]),
        ("1e-30::numeric", pa.string(), "decimal", ["0." + "0" * 29 + "1"]),
        ("7::numeric(100,2)", pa.string(), "decimal", ["7.00"]),
        ("''", pa.string(), None, [""]),
        ("NULL::text", pa.string(), None, [None]),
        (r"E'\\N'", pa.string(), None, ["\\N"]),
        (r"E'a\tb\nc\\d\re\bf\fg\x0bh\x01'", pa.string(), None, ["a\tb\nc\\d\re\bf\fg\vh\x01"]),
        (r"E'\\\\\\n\\'", pa.string(), None, ["\\\\\\n\\"]),
        ("'👩‍🚀 ﷽'", pa.string(), None, ["👩‍🚀 ﷽"]),
        ("'ab'::char(4)", pa.string(), None, ["ab  "]),
        (r"'\x00ff5c0a'::bytea", pa.binary(), None, [b"\x00\xff\\\n"]),
        ("''::bytea", pa.binary(), None, [b""]),
        ("'0001-01-01'::date", pa.date32(), None, [dt.date(1, 1, 1)]),
        ("'1899-12-31'::date", pa.date32(), None, [dt.date(1899, 12, 31)]),
        ("'23:59:59.999999'::time", pa.time64("us"), None, [dt.time(23, 59, 59, 999999)]),
        ("'12:00+05:30'::timetz", pa.string(), "timetz", ["12:00:00+05:30"]),
        (
            "'1582-10-05 00:00:00.000001'::timestamp",
            pa.timestamp("us"),
            None,
            [dt.datetime(1582, 10, 5, 0, 0, 0, 1)],
        ),
        (
            "'2024-06-01 12:00:00+02'::timestamptz",
            pa.timestamp("us", "UTC"),
            None,
            [dt.datetime(2024, 6, 1, 10, tzinfo=dt.UTC)],
        ),
        ("'1 year -2 days 03:04:05.6'::interval", pa.string(), "interval", ["P1Y-2DT3H4M5.6S"]),
        ("""'{"a":  "x\\ny"}'::json""", pa.string(), "json", ['{"a":  "x\\ny"}']),
        ("""'{"b": 1.50}'::jsonb""", pa.string(), "json", ['{"b": 1.50}']),
        (
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
            pa.string(),
            "uuid",
            ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
        ),
        ("'10.0.0.1/8'::inet", pa.string(), "inet", ["10.0.0.1/8"]),
        ("'[1,5)'::int4range", pa.string(), "int4range", ["[1,5)"]),
        ("ROW(1, 'a b')", pa.string(), "record", ['(1,"a b")']),
        ("'{1,NULL,3}'::int[]", pa.list_(pa.int32()), None, [[1, None, 3]]),
        ("'{}'::int[]", pa.list_(pa.int32()), None, [[]]),
        ("NULL::int[]", pa.list_(pa.int32()), None, [None]),
        ("'{t,f,NULL}'::bool[]", pa.list_(pa.bool_()), None, [[True, False, None]]),
        (
            """ARRAY['a', '', NULL, 'NULL', '{"', E'\\\\', E'b\\nc']""",
            pa.list_(pa.string()),
            None,
            [["a", "", None, "NULL", '{"', "\\", "b\nc"]],
        ),
        ("ARRAY['1.50', NULL]::numeric(5,2)[]", pa.list_(pa.decimal128(5, 2)), None, None),
        (
            r"ARRAY['\x00ff', NULL, '']::bytea[]",
            pa.list_(pa.binary()),
            None,
            [[b"\0\xff", None, b""]],
        ),
        (
            "ARRAY['12:00:01.5']::time[]",
            pa.list_(pa.time64("us")),
            None,
            [[dt.time(12, 0, 1, 500000)]],
        ),
        ("ARRAY['NaN', '-Infinity', 1.5]::float8[]", pa.list_(pa.float64()), None, None),
        (
            "ARRAY['2024-01-01 00:00+00']::timestamptz[]",
            pa.list_(pa.timestamp("us", "UTC")),
            None,
            [[dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]],
        ),
    ],
)
def test_types_are_exact(connection, sql, type_, logical, values):
    field, found = column(connection, sql)
    assert field.type == type_
    assert logical_type(field) == logical
    if values is not None:
        assert found == values


def test_own_types_are_told_as_what_they_are(connection, db):
    mood, price, pair = fresh("mood"), fresh("price"), fresh("pair")
    db.run(f"CREATE TYPE {mood} AS ENUM ('sad', 'o k')")
    db.run(f"CREATE DOMAIN {price} AS numeric(12,3)")
    db.run(f"CREATE TYPE {pair} AS (a int, b text)")
    table = read(
        PostgresSource(
            connection,
            f"SELECT 'o k'::{mood} AS m, 1.5::{price} AS p, '{{1.5}}'::{price}[] AS ps, "
            f"ROW(1, 'x')::{pair} AS pair, ARRAY['sad']::{mood}[] AS ms",
        )
    )
    assert table.to_pylist() == [
        {
            "m": "o k",
            "p": Decimal("1.500"),
            "ps": [Decimal("1.500")],
            "pair": "(1,x)",
            "ms": ["sad"],
        }
    ]
    assert [logical_type(field) for field in table.schema] == ["enum", None, None, pair, None]


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("'infinity'::date", "infinity"),
        ("'-infinity'::timestamp", "-infinity"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC"),
        ("'10000-01-01'::timestamp", "10000-01-01 00:00:00"),
        ("'24:00'::time", "24:00:00"),
        ("'NaN'::numeric(5,2)", "NaN"),
        ("'{{1,2},{3,4}}'::int[]", "{{1,2},{3,4}}"),
        ("'[0:1]={1,2}'::int[]", "[0:1]={1,2}"),
        ("ARRAY['infinity']::date[]", "infinity"),
    ],
)
def test_a_value_without_room_names_column_and_value(connection, sql, shown):
    with pytest.raises(UnfitValueError) as caught:
        column(connection, sql)
    assert caught.value.column == "x"
    assert shown in str(caught.value)
    assert "x::text" in str(caught.value)


def test_such_values_pass_as_text_and_as_csv(connection):
    query = "SELECT 'infinity'::date AS d, '0044-03-15 BC'::date AS bc, 'NaN'::numeric(5,2) AS n"
    encoded = PostgresSource(connection, query).encoded(CsvFormat())
    assert encoded is not None
    assert b"".join(encoded.chunks) == b"d,bc,n\ninfinity,0044-03-15 BC,NaN\n"
    field, values = column(connection, "'infinity'::date::text")
    assert (field.type, values) == (pa.string(), ["infinity"])


def test_an_empty_result_has_its_schema(connection):
    table = read(PostgresSource(connection, "SELECT 1 AS a, 'x' AS b WHERE false"))
    assert table.num_rows == 0
    assert table.schema.names == ["a", "b"]


def test_one_empty_string_is_a_row(connection):
    assert column(connection, "''")[1] == [""]
    assert column(connection, "unnest(ARRAY['', NULL, ''])")[1] == ["", None, ""]


# ---------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    "format",
    [
        CsvFormat(),
        CsvFormat(delimiter="\t", header=False),
        CsvFormat(delimiter=";", quote="'", null="\\N"),
        CsvFormat(delimiter="|", null="NULL", quoting="all", header=False),
    ],
)
def test_the_servers_csv_is_what_the_format_writes(connection, format):
    source = PostgresSource(
        connection,
        "SELECT * FROM (VALUES (1, 'a;b|c', true, 1.5::float8, '{a,b}'::text[], NULL),"
        " (2, '', false, 1e20, '{}', 'NULL'), (3, E'x\"y\\n''z', NULL, 'NaN', NULL, E'\\\\N'),"
        " (NULL, E'\\\\.', true, -0.0, ARRAY[E'q\"', NULL, 'é'], E'back\\\\slash')"
        ') AS v(id, text, "yes, no", number, list, last)',
    )
    encoded = source.encoded(format)
    assert encoded is not None
    assert encoded.columns == ("id", "text", "yes, no", "number", "list", "last")
    assert b"".join(encoded.chunks) == b"".join(format.encode(source.batches()))
    assert encoded.rows() == 4


def test_what_copy_cannot_write_is_not_promised(connection):
    source = PostgresSource(connection, "SELECT ARRAY[1.5] AS a")
    assert source.encoded(JsonLinesFormat()) is None
    assert source.encoded(CsvFormat(line_end="\r\n")) is None
    assert source.encoded(CsvFormat(escape="\\")) is None
    assert source.encoded(CsvFormat(quoting="all")) is None, "COPY never quotes names"
    assert source.encoded(CsvFormat()) is None, "PostgreSQL writes numbers in JSON otherwise"
    listed = PostgresSource(connection, "SELECT ARRAY[1] AS a")
    assert listed.encoded(CsvFormat(nested="error")) is None


def test_csv_may_have_columns_of_one_name_and_batches_may_not(connection):
    source = PostgresSource(connection, "SELECT 1 AS a, 2 AS a")
    encoded = source.encoded(CsvFormat())
    assert encoded is not None
    assert b"".join(encoded.chunks) == b"a,a\n1,2\n"
    with pytest.raises(InputError, match="2 columns of the name 'a'"):
        source.batches()


# --------------------------------------------------------------------------------------- parameters


def test_parameters_are_bound_like_airflows_hooks_take_them(connection):
    query = "SELECT %(text)s AS a, %(day)s::date + 1 AS b, 'x%%' LIKE 'x%%' AS c, 7 %% 4 AS d"
    table = read(
        PostgresSource(connection, query, parameters={"text": "it's \\ %s", "day": "2024-02-28"})
    )
    assert table.to_pylist() == [{"a": "it's \\ %s", "b": dt.date(2024, 2, 29), "c": True, "d": 3}]
    for query in ("SELECT %s AS a, %s::int[] AS b", "SELECT $1 AS a, $2::int[] AS b"):
        table = read(PostgresSource(connection, query, parameters=["x", [1, None]]))
        assert table.to_pylist() == [{"a": "x", "b": [1, None]}]
    table = read(PostgresSource(connection, "SELECT 2 IN %(n)s AS a", parameters={"n": (1, 2)}))
    assert table.to_pylist() == [{"a": True}]


def test_without_parameters_nothing_is_replaced(connection):
    table = read(PostgresSource(connection, "SELECT 7 % 4 AS a, '%s %(x)s' AS b; -- the end"))
    assert table.to_pylist() == [{"a": 3, "b": "%s %(x)s"}]


# --------------------------------------------------------------------------------- order and blocks


def test_batches_begin_and_end_with_the_data_alone(connection, db):
    table = db.table("id int, t text", "SELECT n, repeat(chr(97 + n % 26), n % 300) "
                     "FROM generate_series(1, 3000) AS n")  # fmt: skip

    def sizes(block: int) -> list[int]:
        source = PostgresSource(connection, f"SELECT * FROM {table} ORDER BY id", block=block)
        with source.batches() as batches:
            return [batch.num_rows for batch in batches]

    assert len(sizes(100_000)) > 3
    assert sizes(100_000) == sizes(100_000)
    assert sizes(1)[:3] == [1, 1, 1], "a row longer than a block is a batch of its own"
    assert sum(sizes(100_000)) == 3000


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize(
    ("split", "query"),
    [
        ("ctid", "SELECT * FROM {table}"),
        ("ctid", 'SELECT id, "t" FROM public.{table} AS x WHERE id % 2 = 0 OR t IS NULL -- end'),
        ("ctid", "SELECT id, t, extract(year FROM d), id IS DISTINCT FROM 3 AS n FROM {table} x"),
        ("id", "SELECT * FROM {table}"),
        ("d", "SELECT id, d FROM {table} WHERE id < 5000"),
        ("at", "SELECT * FROM {table} JOIN generate_series(1, 2) AS g ON true"),
        ("f", "SELECT id, f FROM {table} ORDER BY id LIMIT 100"),
        ("n", "SELECT id, n::numeric(30,10) FROM {table}"),
        ("id", "SELECT * FROM {table} WHERE id = 7"),
        ("id", "SELECT * FROM {table} WHERE false"),
    ],
)
def test_a_split_gives_the_same_rows_once(connection, wide, connections, split, query):
    query = query.format(table=wide)
    whole = PostgresSource(connection, query)
    parts = PostgresSource(connection, query, split=split, connections=connections)
    if split == "ctid":
        assert read(parts).equals(read(whole)), "and in the same order"
        native, same = parts.encoded(CsvFormat()), whole.encoded(CsvFormat())
        assert native is not None
        assert same is not None
        assert b"".join(native.chunks) == b"".join(same.chunks)
        assert native.rows() == same.rows()
    else:
        found, wanted = read(parts).to_pylist(), read(whole).to_pylist()
        key = [row[split] for row in found]
        assert key == sorted(key, key=lambda value: (value is None, value))
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))


@pytest.fixture(scope="module")
def wide(db) -> str:
    name = db.table("id int, t text, d date, at timestamptz, f float8, n numeric")
    db.run(
        f"INSERT INTO {name} SELECT n, repeat('x', 900), '2020-01-01'::date + n / 10, "
        "'2020-01-01'::timestamptz + n * interval '1 hour', n / 7.0, n / 3.0 "
        "FROM generate_series(1, 12000) AS n"
    )
    db.run(f"INSERT INTO {name} VALUES (NULL, NULL, NULL, NULL, NULL, NULL)")
    return name


@pytest.mark.parametrize(
    ("split", "query", "why"),
    [
        ("ctid", "SELECT count(*) FROM {table}", "step of its own"),
        ("ctid", "SELECT DISTINCT id FROM {table}", "step of its own"),
        ("ctid", "SELECT id FROM {table} ORDER BY id", "ORDER"),
        ("ctid", "SELECT id FROM {table} LIMIT 3", "LIMIT"),
        ("ctid", "SELECT a.id FROM {table} a JOIN {table} b ON a.id = b.id", "JOIN"),
        ("ctid", "SELECT a.id FROM {table} a, {table} b", "','"),
        ("ctid", "SELECT id FROM {table} UNION ALL SELECT id FROM {table}", "UNION"),
        ("ctid", "WITH x AS (SELECT 1) SELECT * FROM x", "begin with SELECT"),
        ("ctid", "SELECT * FROM (SELECT * FROM {table}) AS t", "no table"),
        ("t", "SELECT * FROM {table}", "of the type text"),
        ("no", "SELECT * FROM {table}", "not a column"),
    ],
)
def test_what_cannot_be_split_is_refused(connection, wide, split, query, why):
    source = PostgresSource(connection, query.format(table=wide), split=split)
    with pytest.raises(InputError, match=why):
        source.batches()


def test_several_connections_read_one_snapshot(connection, db):
    table = db.table(
        "id int, t text", "SELECT n, repeat('x', 4000) FROM generate_series(1, 40000) n"
    )
    db.run(f"ALTER TABLE {table} ALTER t SET STORAGE EXTERNAL")
    source = PostgresSource(connection, f"SELECT id FROM {table}", split="id", connections=3)
    with source.batches() as batches:
        first = next(iter(batches))
        db.run(f"DELETE FROM {table} WHERE id > 10")
        rest = sum(batch.num_rows for batch in batches)
    assert first.num_rows + rest == 40000


def test_a_query_reads_and_writes_nothing(connection, db):
    table = db.table("id int")
    source = PostgresSource(
        connection, f"WITH x AS (INSERT INTO {table} VALUES (1) RETURNING id) SELECT * FROM x"
    )
    with pytest.raises(InputError, match=r"read-only|data-modifying"):
        read(source)
    assert db.value(f"SELECT count(*) FROM {table}") == 0


# ------------------------------------------------------------------------------------- early ends


LONG = "SELECT n, repeat('x', 1000) AS t FROM generate_series(1, 5000000) AS n"


def test_closing_early_ends_the_query_on_the_server(connection, db):
    mark = fresh("mark")
    source = PostgresSource(connection, LONG.replace("'x'", f"'{mark}'"))
    batches = source.batches()
    next(iter(batches))
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%' || $1 || '%' AND state = "
    assert db.value(f"{busy} 'active' AND pid <> pg_backend_pid()", mark) == 1
    batches.close()
    batches.close()
    until(lambda: db.value(f"{busy} 'active' AND pid <> pg_backend_pid()", mark) == 0)
    assert [t for t in threading.enumerate() if t.name == "tradewind-tradewind:source"] == []


@pytest.mark.parametrize("begun", [False, True])
def test_closing_chunks_early_ends_it_too(connection, begun):
    encoded = PostgresSource(connection, LONG).encoded(CsvFormat())
    assert encoded is not None
    if begun:
        next(encoded.chunks)
        encoded.chunks.close()  # type: ignore[attr-defined]
    del encoded
    until(lambda: not [t for t in threading.enumerate() if t.name == "tradewind-tradewind:source"])


def test_a_query_that_has_given_nothing_yet_is_cancelled(connection, db):
    mark = fresh("mark")
    source = PostgresSource(connection, f"SELECT pg_sleep(600), '{mark}' AS m")
    batches = source.batches()
    looking = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active'"
    reader = threading.Thread(target=lambda: list(ignored(batches)))
    reader.start()
    until(lambda: db.value(looking, f"COPY%{mark}%") == 1)
    batches._on_close()
    until(lambda: db.value(looking, f"COPY%{mark}%") == 0)
    reader.join(20)
    assert not reader.is_alive()


def ignored(batches) -> Iterator[object]:
    with contextlib.suppress(RetryError, ValueError):
        yield from batches


def test_a_killed_backend_is_worth_a_retry(connection, db):
    mark = fresh("mark")
    source = PostgresSource(connection, LONG.replace("'x'", f"'{mark}'"))
    with source.batches() as batches:
        next(iter(batches))
        db.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE query LIKE '%{mark}%' AND pid <> pg_backend_pid()"
        )
        with pytest.raises(RetryError, match="PostgreSQL at"):
            list(batches)


def test_the_statement_timeout_is_the_servers(connection):
    source = PostgresSource(connection, "SELECT pg_sleep(60)", statement_timeout=0.2)
    with pytest.raises(RetryError, match="statement timeout"):
        read(source)


# ------------------------------------------------------------------------------------- wrong input


def test_a_wrong_query_shows_its_line(connection):
    with pytest.raises(InputError) as caught:
        read(PostgresSource(connection, "SELECT 1 AS a,\n  nonsense AS b"))
    assert 'column "nonsense" does not exist' in str(caught.value)
    assert "line 2 of the query:\n    nonsense AS b\n    ^" in str(caught.value)


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("SELEKT 1", InputError, "syntax error"),
        ("", InputError, "empty"),
        ("SELECT 1; SELECT 2", InputError, "several statements"),
        ("SELECT 'x", InputError, "not closed"),
        ("SELECT 1 /* x", InputError, "not closed"),
        ("SET work_mem TO '1MB'", InputError, "gives no rows"),
        ("SELECT", InputError, "no columns"),
        ("SELECT * FROM there_is_none", SetupError, "there_is_none"),
        ("SELECT * FROM no_schema.t", SetupError, "no_schema"),
        ("SELECT 1 / 0", InputError, "division by zero"),
        ("SELECT $1", InputError, r"parameter \$1"),
    ],
)
def test_wrong_queries_are_told(connection, query, kind, words):
    with pytest.raises(kind, match=words) as caught:
        read(PostgresSource(connection, query))
    if kind is SetupError:
        assert f"PostgreSQL at {connection.host}:{connection.port}" in str(caught.value)


def test_no_permission_is_told(connection, db, local_postgres):
    table, role = db.table("id int"), fresh("role")
    db.run(f"CREATE ROLE {role} LOGIN PASSWORD 'very-secret'")
    stranger = connection_to(local_postgres, user=role, password="very-secret")
    with pytest.raises(SetupError, match=f"permission denied for table {table}") as caught:
        read(PostgresSource(stranger, f"SELECT * FROM {table}"))
    assert "very-secret" not in str(caught.value) + repr(stranger)


def test_text_that_is_not_utf8_is_told(connection, db, local_postgres):
    name = fresh("ascii")
    db.run(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    try:
        ascii_ = connection_to(local_postgres, database=name)
        query = r"SELECT 1 AS id, E'caf\xe9' AS word"
        assert PostgresSource(ascii_, query).encoded(CsvFormat()) is None
        with pytest.raises(UnfitValueError, match=r"'word'.*SQL_ASCII"):
            read(PostgresSource(ascii_, query))
        assert column(ascii_, "'plain'")[1] == ["plain"]
    finally:
        db.run(f"DROP DATABASE {name}")


def test_text_of_another_encoding_is_read(db, local_postgres):
    name = fresh("latin")
    db.run(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    try:
        latin = connection_to(local_postgres, database=name)
        assert column(latin, r"E'caf\xe9'")[1] == ["café"]
    finally:
        db.run(f"DROP DATABASE {name}")


def test_uris_make_sources(local_postgres, monkeypatch):
    for name, value in local_postgres.environment.items():
        monkeypatch.setenv(name, value)
    source = PostgresSource.from_uri(
        "postgresql://",
        {"query": "SELECT $1::int AS a", "parameters": "[3]", "statement_timeout": "5"},
    )
    assert read(source).to_pylist() == [{"a": 3}]
    assert local_postgres.environment["PGPASSWORD"] not in source.describe()
    for options, words in (
        ({}, "either a query or a table"),
        ({"query": "SELECT 1", "colour": "red"}, "no option colour"),
        ({"query": "SELECT 1", "connections": "many"}, "cannot be read"),
        ({"query": "SELECT 1", "connections": "2"}, "need a split"),
        ({"query": "SELECT 1", "parameters": "{"}, "cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            PostgresSource.from_uri("postgresql://", options)
