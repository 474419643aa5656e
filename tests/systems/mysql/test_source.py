"""MySQL and MariaDB as a source, against a real MariaDB."""

from __future__ import annotations

import datetime as dt
import pickle
import socket
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mysql_client import need_mysql_client

need_mysql_client()

from mysql_server import Database, fresh  # noqa: E402
from tradewind.errors import InputError, RetryError, SetupError  # noqa: E402
from tradewind.move.formats.csv import CsvFormat  # noqa: E402
from tradewind.move.types import UnfitValueError, logical_type  # noqa: E402
from tradewind.systems.mysql.connection import MySQLConnection  # noqa: E402
from tradewind.systems.mysql.packets import PreparedRows  # noqa: E402
from tradewind.systems.mysql.session import Session  # noqa: E402
from tradewind.systems.mysql.source import MySQLSource  # noqa: E402
from waiting import until  # noqa: E402


@pytest.fixture(params=["binary", "text"], autouse=True)
def protocol(request, monkeypatch) -> str:
    """Each of the two ways to read; the second is that of encrypted connections."""
    if request.param == "text":
        monkeypatch.setattr(PreparedRows, "open", lambda session, sql: None)
    return request.param


def read(connection: MySQLConnection, query: str, **options: object) -> pa.Table:
    with MySQLSource(connection, query, **options).batches() as batches:  # type: ignore[arg-type]
        return pa.Table.from_batches(list(batches), batches.schema)


def one(connection: MySQLConnection, db: Database, type_: str, value: str, **options: object):
    table = db.table(f"c {type_}", f"({value}), (NULL)")
    column = read(connection, f"SELECT * FROM {table}", **options)
    assert column["c"][1].as_py() is None
    return column.schema.field("c"), column["c"][0].as_py()


UTC = dt.UTC


@pytest.mark.parametrize(
    ("type_", "value", "arrow", "expected"),
    [
        ("TINYINT", "-128", pa.int8(), -128),
        ("TINYINT(1)", "2", pa.int8(), 2),
        ("SMALLINT UNSIGNED", "65535", pa.uint16(), 65535),
        ("MEDIUMINT", "-8388608", pa.int32(), -8388608),
        ("INT(8) ZEROFILL", "7", pa.uint32(), 7),
        ("BIGINT", "-9223372036854775808", pa.int64(), -(2**63)),
        ("BIGINT UNSIGNED", "18446744073709551615", pa.uint64(), 2**64 - 1),
        ("DECIMAL(10,2)", "-12345678.90", pa.decimal128(10, 2), Decimal("-12345678.90")),
        (
            "DECIMAL(65,30)",
            "12345678901234567890123456789012345.123456789012345678901234567891",
            pa.decimal256(65, 30),
            Decimal("12345678901234567890123456789012345.123456789012345678901234567891"),
        ),
        ("DECIMAL(3,3) UNSIGNED", "0.125", pa.decimal128(3, 3), Decimal("0.125")),
        ("FLOAT", "16777217", pa.float32(), 16777216.0),
        ("FLOAT", "1.17549435e-38", pa.float32(), 1.1754943508222875e-38),
        ("DOUBLE", "0.1e0 + 0.2e0", pa.float64(), 0.30000000000000004),
        ("DATE", "'0001-01-01'", pa.date32(), dt.date(1, 1, 1)),
        ("DATE", "'9999-12-31'", pa.date32(), dt.date(9999, 12, 31)),
        (
            "DATETIME(6)",
            "'1815-06-18 11:35:00.000001'",
            pa.timestamp("us"),
            dt.datetime(1815, 6, 18, 11, 35, 0, 1),
        ),
        (
            "TIMESTAMP(3)",
            "'2026-03-29 01:30:00.123'",
            pa.timestamp("us", "UTC"),
            dt.datetime(2026, 3, 29, 1, 30, 0, 123000, UTC),
        ),
        ("TIME(6)", "'23:59:59.999999'", pa.time64("us"), dt.time(23, 59, 59, 999999)),
        ("YEAR", "1901", pa.int16(), 1901),
        ("BIT", "b'1'", pa.bool_(), True),
        ("BIT(64)", "0xFFFFFFFFFFFFFFFE", pa.uint64(), 2**64 - 2),
        ("BIT(9)", "b'100000001'", pa.uint64(), 257),
        ("CHAR(5)", "''", pa.string(), ""),
        ("TEXT", "'a\\0b 🙂 \"x\", \\n'", pa.string(), 'a\0b 🙂 "x", \n'),
        ("TEXT COLLATE utf8mb4_bin", "'é'", pa.string(), "é"),
        ("VARCHAR(9) CHARACTER SET latin1", "'é'", pa.string(), "é"),
        ("BLOB", "x'00FF27'", pa.binary(), b"\0\xff'"),
        ("BINARY(3)", "'a'", pa.binary(), b"a\0\0"),
        ("VARBINARY(9)", "''", pa.binary(), b""),
    ],
)
def test_every_type_keeps_its_value(connection, db, type_, value, arrow, expected) -> None:
    field, got = one(connection, db, type_, value)
    assert (field.type, got) == (arrow, expected)
    assert logical_type(field) is None


@pytest.mark.parametrize(
    ("type_", "value", "logical", "expected"),
    [
        ("ENUM('a','b')", "'b'", "enum", "b"),
        ("SET('x','y')", "'x,y'", "set", "x,y"),
        (
            "UUID",
            "'123e4567-e89b-12d3-a456-426655440000'",
            "uuid",
            "123e4567-e89b-12d3-a456-426655440000",
        ),
        ("INET6", "'::1'", "inet6", "::1"),
        ("JSON", "'{\"a\": 1.10}'", "json", '{"a": 1.10}'),
    ],
)
def test_words_of_the_servers_own(connection, db, type_, value, logical, expected) -> None:
    field, got = one(connection, db, type_, value, json=["c"])
    if type_ != "JSON":
        field, got = one(connection, db, type_, value)
    assert (field.type, logical_type(field), got) == (pa.string(), logical, expected)


def test_geometry_is_its_bytes(connection, db) -> None:
    _, got = one(connection, db, "POINT", "ST_GeomFromText('POINT(1 2)')")
    assert got[:4] == b"\0\0\0\0"
    assert len(got) == 25


def test_times_beyond_a_day(connection, db) -> None:
    with pytest.raises(UnfitValueError, match=r"'c'.*-838:59:59.5.*times='interval'"):
        one(connection, db, "TIME(1)", "'-838:59:59.5'")
    field, got = one(connection, db, "TIME(1)", "'-838:59:59.5'", times="interval")
    assert (logical_type(field), got) == ("interval", "PT-838H-59M-59.5S")
    assert one(connection, db, "TIME", "'0:0:0'", times="interval")[1] == "PT0S"


@pytest.mark.parametrize("type_", ["DATE", "DATETIME"])
@pytest.mark.parametrize("value", ["'0000-00-00'", "'2020-00-00'", "'2020-01-00'"])
def test_dates_that_are_none(connection, db, type_, value) -> None:
    with pytest.raises(UnfitValueError, match=r"'c'.*0000|2020.*zero_dates='null'"):
        one(connection, db, type_, value)
    assert one(connection, db, type_, value, zero_dates="null")[1] is None


def test_floats_keep_their_order(connection, db, protocol) -> None:
    table = db.table("n INT, f FLOAT", "(1, 0.1), (2, 16777215), (3, 3.4e38)")
    got = read(connection, f"SELECT n, f FROM {table} ORDER BY n DESC;  -- the last first")
    assert got["n"].to_pylist() == [3, 2, 1]
    assert got["f"].to_pylist()[1] == 16777215.0
    limited = read(connection, f"SELECT f FROM {table} ORDER BY n LIMIT 2")
    assert limited["f"].to_pylist()[1] == 16777215.0
    query = f"SELECT f FROM {table} LOCK IN SHARE MODE"
    if protocol == "binary":
        assert read(connection, query).num_rows == 3
        return
    with pytest.raises(InputError, match="FLOAT"):
        read(connection, query)


@pytest.mark.parametrize("protocol", ["binary"], indirect=True)
def test_both_protocols_give_the_same(connection, db, monkeypatch) -> None:
    lengths = [0, 1, 250, 251, 252, 65_535, 65_536, 70_000]
    values = []
    for row in range(500):
        # Each column is null in other rows, so that what follows stands elsewhere.
        cells = [
            f"{row * 7919 % 255 - 127}",
            f"REPEAT('ä', {lengths[row % 8] // 2})",
            f"'{1 + row % 9998:04d}-{1 + row % 12:02d}-{1 + row % 28:02d}'",
            f"{row * 31 % 999 / 100 - 5}",
            f"'{1970 + row % 60}-02-28 {row % 24}:{row % 60}:59{'.250001' if row % 3 else ''}'",
            f"'{row % 24}:{row % 60}:{row % 59}{'.5' if row % 2 else ''}'",
            f"REPEAT(x'00FF', {lengths[row * 3 % 8] // 2})",
            f"{row / 7}e{row % 40 - 20}",
            f"{1901 + row % 200}",
            f"{row * 65_521}",
            f"{row * 8_388_593 % 16_777_216}",
            f"'{'x' * (row % 20)}'",
        ]
        gone = (row * 2_654_435_761) >> 7
        values.append(",".join("NULL" if gone >> at & 1 else cell for at, cell in enumerate(cells)))
    table = db.table(
        "a TINYINT, b LONGTEXT, c DATE, d DECIMAL(5,2), e DATETIME(6), f TIME(1), g LONGBLOB,"
        " h DOUBLE, i YEAR, j BIGINT, k MEDIUMINT UNSIGNED, l VARCHAR(20)",
        ",".join(f"({value})" for value in values),
    )
    query = f"SELECT * FROM {table} ORDER BY j, a, c, d, e, h"
    tables = [read(connection, query, block=300_000)]
    monkeypatch.setattr(PreparedRows, "open", lambda session, sql: None)
    tables.append(read(connection, query))
    assert tables[0].schema.equals(tables[1].schema, check_metadata=True)
    assert tables[0].equals(tables[1])
    assert all(0 < column.null_count < 500 for column in tables[0].columns)


def test_a_row_longer_than_a_packet(connection, db) -> None:
    before = db.value("SELECT @@global.max_allowed_packet")
    db.run("SET GLOBAL max_allowed_packet = 67108864")
    try:
        query = "SELECT seq, REPEAT('x', seq * 16777180) AS t FROM seq_0_to_2 UNION SELECT 7, 'y'"
        table = read(connection, query)
    finally:
        db.run(f"SET GLOBAL max_allowed_packet = {before}")
    assert table["seq"].to_pylist() == [0, 1, 2, 7]
    assert pc.binary_length(table["t"]).to_pylist() == [0, 16_777_180, 33_554_360, 1]


def test_parameters_as_airflows_hooks_bind_them(connection) -> None:
    named = read(connection, "SELECT %(a)s AS a, '%%' AS b", parameters={"a": 'it\'s\\ "🙂"'})
    assert named.to_pylist() == [{"a": 'it\'s\\ "🙂"', "b": "%"}]
    values = [b"\xff\0", dt.date(2026, 1, 2), Decimal("1.50"), None, 7]
    placed = read(connection, "SELECT HEX(%s) a, %s b, %s c, %s d, %s e", parameters=values)
    assert placed.to_pylist() == [
        {"a": "FF00", "b": "2026-01-02", "c": Decimal("1.50"), "d": None, "e": 7}
    ]
    assert read(connection, "SELECT '%s' AS a").to_pylist() == [{"a": "%s"}]
    for wrong in ([], [1, 2], {"b": 1}):
        with pytest.raises(InputError, match="do not fit together"):
            read(connection, "SELECT %s", parameters=wrong)


def test_csv_is_the_same_with_and_without_parsing(connection, db) -> None:
    table = db.table(
        "a BIGINT UNSIGNED, b DECIMAL(20,5), c TEXT, d DATETIME(6), e DOUBLE, f INT ZEROFILL,"
        " g VARBINARY(9), h FLOAT, i BIT(3), `j,k` DATE",
        "(18446744073709551615, -0.10000, 'x,\"y\"\\n', '2020-01-01 00:00:00.500000', 1e-7, 7,"
        " x'00FF', 16777217, b'101', '0999-01-01'), (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,"
        "NULL,NULL), (0, 0, '', '1999-12-31 23:59:59', 1e300, 0, '', -0.5, 0, '2020-02-29')",
    )
    for format in (CsvFormat(), CsvFormat(delimiter=";"), CsvFormat(null="NULL", delimiter="-")):
        source = MySQLSource(connection, f"SELECT * FROM {table}")
        encoded = source.encoded(format)
        parsed = b"".join(format.encode(source.batches()))
        if format.null:
            assert encoded is None
            continue
        assert encoded is not None
        assert b"".join(encoded.chunks) == parsed
        assert encoded.rows() == 3
    assert b"18446744073709551615" in parsed
    assert b'"x-' not in parsed


def test_batches_end_by_the_data_alone(connection, db) -> None:
    table = db.table(
        "n INT, t LONGTEXT",
        ",".join(f"({n}, REPEAT('x', {n * 997 % 5000}))" for n in range(2000)),
    )
    query = f"SELECT * FROM {table} ORDER BY n"
    sizes = [
        [batch.num_rows for batch in MySQLSource(connection, query, block=100_000).batches()]
        for _ in range(2)
    ]
    assert sizes[0] == sizes[1]
    assert sum(sizes[0]) == 2000
    assert len(sizes[0]) > 10


def test_one_snapshot(connection, db) -> None:
    table = db.table("n INT", ",".join(f"({n})" for n in range(60_000)))
    with MySQLSource(connection, f"SELECT * FROM {table}").batches() as batches:
        rows = next(iter(batches)).num_rows
        db.run(f"DELETE FROM {table}")
        rows += sum(batch.num_rows for batch in batches)
    assert rows == 60_000


def test_an_empty_result_has_its_columns(connection, db) -> None:
    table = db.table("a INT UNSIGNED, b BLOB, c TEXT COLLATE utf8mb4_bin")
    schema = read(connection, f"SELECT * FROM {table}").schema
    assert schema.types == [pa.uint32(), pa.binary(), pa.string()]


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("SELEC 1", InputError, "1064"),
        ("SELECT * FROM missing_table", SetupError, "missing_table.*Create the table"),
        ("SELECT nope FROM DUAL", InputError, "nope"),
        ("SELECT 1; SELECT 2", InputError, "several statements"),
        ("", InputError, "empty"),
        ("SELECT 1 AS a, 2 AS a", InputError, "2 columns of the name 'a'.*AS"),
        ("SET @a = 1", InputError, "no columns"),
        ("CREATE TABLE made (a INT)", InputError, "READ ONLY|READ-ONLY|read"),
    ],
)
def test_wrong_queries(connection, query, error, message) -> None:
    with pytest.raises(error, match=message) as raised:
        read(connection, query)
    if query and "several" not in message:
        assert f"MySQL at {connection.host}:{connection.port}" in str(raised.value)


def test_a_time_limit(connection) -> None:
    with pytest.raises(RetryError, match="statement_timeout"):
        read(connection, "SELECT SLEEP(60)", statement_timeout=0.1)


def test_wrong_arguments(connection) -> None:
    for wrong in (
        {"statement_timeout": 0},
        {"connections": 2},
        {"split": "id"},
        {"times": "x"},
        {"zero_dates": "x"},
        {"block": 0},
        {"json": "a"},
    ):
        with pytest.raises(InputError):
            MySQLSource(connection, "SELECT 1", **wrong)
    for options in ({}, {"query": "SELECT 1", "table": "t"}, {"table": "t", "nope": "1"}):
        with pytest.raises(InputError):
            MySQLSource.from_uri("mysql://u@h/d", options)
    with pytest.raises(InputError, match="cannot be read"):
        MySQLSource.from_uri("mysql://u@h/d", {"table": "t", "parameters": "{"})
    made = MySQLSource.from_uri("mysql://u:secret@h:33/d", {"table": "a.b", "json": "c, d"})
    assert made.describe() == "mysql://h:33/d: SELECT * FROM `a`.`b`"


def test_connections(connection, monkeypatch) -> None:
    for name in ("MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_USER", "MYSQL_PWD", "MYSQL_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MYSQL_PWD", "from the environment")
    made = MySQLConnection.from_uri("mysql://me@db.example:3307/shop?ssl-mode=verify_ca&ssl_ca=/x")
    assert made.password == "from the environment"
    assert made.keywords()["ssl_mode"] == "VERIFY_CA"
    assert made.keywords()["ssl"] == {"ca": "/x"}
    assert "environment" not in repr(made) + made.uri + str(made.__dict__["options"])
    assert pickle.loads(pickle.dumps(made)) == made
    for wrong in (
        "postgresql://h/d",
        "mysql://h:x/d",
        "mysql://h/d?nope=1",
        "mysql://h/?ssl_mode=x",
    ):
        with pytest.raises(InputError):
            MySQLConnection.from_uri(wrong)
    with pytest.raises(SetupError, match="user and password") as raised:
        Session(connection_with(connection, password="wrong"))
    assert "wrong" not in str(raised.value)
    with pytest.raises(SetupError, match="database"):
        Session(connection.with_database(fresh("none")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(RetryError, match="Check host and port"):
            Session(connection_with(connection, port=free.getsockname()[1]))
    with pytest.raises(SetupError, match="host"):
        Session(connection_with(connection, host="nowhere.invalid"))


def connection_with(connection: MySQLConnection, **changes: object) -> MySQLConnection:
    facts = {
        name: getattr(connection, name) for name in ("host", "port", "user", "password", "database")
    }
    return MySQLConnection(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_killed_connection_is_an_error_and_no_end(connection, db) -> None:
    marker = fresh("marker")
    query = f"SELECT seq, REPEAT('x', 1000) AS {marker} FROM seq_1_to_1000000"
    with MySQLSource(connection, query).batches() as batches:
        next(iter(batches))
        for number in db.sessions(marker):
            db.run(f"KILL {number}")
        with pytest.raises(RetryError, match="try again"):
            for _ in batches:
                pass


@pytest.mark.parametrize("begun", [False, True])
def test_closing_ends_the_query_on_the_server(connection, db, begun) -> None:
    marker = fresh("marker")
    query = f"SELECT seq, REPEAT('x', 1000) AS {marker} FROM seq_1_to_100000000"
    batches = MySQLSource(connection, query).batches()
    if begun:
        next(iter(batches))
    assert db.sessions(marker)
    batches.close()
    until(lambda: not db.sessions(marker))
    batches.close()
