"""PostgreSQL read by either decoder gives the same: values of a real server, of all types."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tradewind.errors import InputError
from tradewind.move.native import core, decoders
from tradewind.systems.postgres.source import PostgresSource

pytest.importorskip(
    "tradewind_native", reason="tradewind-native is not built: install Rust, then make test"
)

EVERYTHING = """
SELECT n % 2 = 0 AS bool, (n * 7 % 65536 - 32768)::int2 AS int2, (n * 123457)::int4 AS int4,
  n::int8 * 1234567890123 AS int8, n::oid AS oid, (random() * 1e10 - 5e9)::float4 AS float4,
  exp(n % 600 - 300) * random() AS float8, (random() * 1e9 - 5e8)::numeric(12,2) AS decimal,
  (random() * 1e15)::numeric(38,20) AS long, (random() * 1e17)::numeric(60,25) AS wide,
  (random()::numeric * (10::numeric ^ (n % 60 - 30))) AS numeric, trim_scale(n * 1000.0) AS zeros,
  md5(n::text)::uuid AS uuid, repeat(chr(97 + n % 26), n % 40) AS text, 'é'::bpchar(5) AS bpchar,
  'x'::"char" AS "char", 'n'::name AS name, decode(md5(n::text), 'hex') AS bytea,
  '0001-01-01'::date + (n * 730) AS date, ('00:00'::time + n * '1.234567 s'::interval) AS time,
  '0001-01-01'::timestamp + n * '730 days 1.000001 s'::interval AS timestamp,
  '1000-01-01Z'::timestamptz + n * '300 days -0.5 s'::interval AS timestamptz,
  make_interval(n % 7 - 3, n % 25 - 12, 0, n % 40 - 20, 0, n % 3 - 1, (n % 100 - 50) / 7.0)
    AS interval,
  ('12:34:56.7' || (ARRAY['+00', '-05:30', '+14', '+01:02:03'])[1 + n % 4])::timetz AS timetz,
  json_build_object('n', n) AS json, jsonb_build_object('n', n, 'é', NULL) AS jsonb,
  ('10.0.0.' || n % 256)::inet AS inet, '10.0.0.0/8'::cidr AS cidr, n::text::money AS money,
  int4range(n, n + 5) AS range, B'101' AS bits, point(n, 1) AS point, 'pg_class'::regclass AS class,
  '<a>é</a>'::xml AS xml,
  to_tsvector('simple', 'a fat cat') AS tsvector,
  CASE n % 4 WHEN 0 THEN ARRAY[n, NULL, -n] WHEN 1 THEN '{}' WHEN 2 THEN ARRAY[n] END AS ints,
  ARRAY['a,b', '', NULL, 'NULL', E'q"\\\\', 'é'] AS texts, ARRAY[1.50, n / 3.0] AS numerics,
  ARRAY['\\xff00'::bytea, '\\x'] AS byteas, ARRAY[true, false, NULL] AS bools,
  ARRAY['2024-02-29'::date] AS dates, ARRAY[md5(n::text)::uuid] AS uuids,
  ARRAY[now()::timestamp, NULL] AS timestamps, ARRAY['1 day -1 s'::interval] AS intervals,
  ARRAY[jsonb_build_object('a', n)] AS jsons, NULLIF(n % 3, 0) AS nulls
FROM generate_series(1, 3000) AS n
"""


def read(source: PostgresSource) -> pa.Table:
    with source.batches() as batches:
        table = pa.Table.from_batches(batches, schema=batches.schema)
    table.validate(full=True)
    return table


def test_both_cores_give_the_same_table(connection, monkeypatch):
    import asyncio

    import asyncpg

    async def make() -> None:
        link = await asyncpg.connect(**connection.keywords())
        await link.execute("CREATE UNLOGGED TABLE everything AS " + EVERYTHING)
        await link.close()

    asyncio.run(make())
    query = "SELECT *, ROW(NULL, NULL) AS row, ROW(nulls, 'a,\"b') AS filled FROM everything"
    source = PostgresSource(connection, query, block=100_000)
    ours = read(source)
    assert decoders() is not None
    assert source.core == core() == "native 0.1.0"
    assert ours.column("nulls").num_chunks > 5, "batches of the size asked for"
    monkeypatch.setenv("TRADEWIND_CORE", "python")
    plain = read(source)
    assert source.core == "python"
    assert ours.num_rows == plain.num_rows == 3000
    assert ours.schema.equals(plain.schema, check_metadata=True)
    for name in ours.column_names:
        assert ours.column(name).to_pylist() == plain.column(name).to_pylist(), name


@pytest.mark.parametrize(
    "value",
    [
        "'infinity'::date",
        "'-infinity'::timestamptz",
        "'10000-01-01'::date",
        "'0044-03-15 12:00:00.5 BC'::timestamp",
        "'0001-12-31 23:00 BC'::timestamptz",
        "'24:00'::time",
        "'NaN'::numeric(5,2)",
        "'{{1,2},{3,4}}'::int[]",
        "'[0:1]={1,2}'::int[]",
        '\'{{a,"b c"},{NULL,"NULL"}}\'::text[]',
        "'{{2024-01-01},{infinity}}'::date[]",
    ],
)
def test_both_cores_refuse_the_same_values_in_the_same_words(connection, monkeypatch, value):
    source = PostgresSource(connection, f"SELECT 1 AS a, {value} AS x")
    with pytest.raises(InputError) as ours:
        read(source)
    monkeypatch.setenv("TRADEWIND_CORE", "python")
    with pytest.raises(InputError) as plain:
        read(source)
    assert str(ours.value) == str(plain.value)
