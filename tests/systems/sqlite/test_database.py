"""SQLite as source and target: real files.

Over 400 lines: source and target share the files and values that they are tried with.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from made_rows import Rows
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.receipt import Receipt
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.sqlite.source import SQLiteSource
from tradewind.systems.sqlite.table import SQLiteTable
from waiting import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a b.db"
    run(made, "CREATE TABLE t (n INTEGER PRIMARY KEY, t TEXT)")
    return made


def run(path: Path, sql: str, values=()) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def read(path: Path, query: str, **options) -> pa.Table:
    with SQLiteSource(path, query, **options).batches() as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


def load(path: Path, rows, table: str, owner: Owner | None = None, **options) -> Receipt:
    source = rows if isinstance(rows, Rows) else Rows(rows)
    return transfer(source, SQLiteTable(path, table, **options), owner or Owner("d", "r", table))


def numbers(*values: int, text: str = "x") -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64()), "t": [text] * len(values)})


@pytest.mark.parametrize(
    ("declared", "value", "arrow", "expected"),
    [
        ("INTEGER", 2**63 - 1, pa.int64(), 2**63 - 1),
        ("REAL", 1, pa.float64(), 1.0),
        ("VARCHAR(10)", "é\0🙂", pa.string(), "é\0🙂"),
        ("BLOB", b"\0\xff", pa.binary(), b"\0\xff"),
        ("BOOLEAN", 1, pa.bool_(), True),
        ("DATE", "0999-01-01", pa.date32(), dt.date(999, 1, 1)),
        (
            "DATETIME",
            "2026-01-02 03:04:05.000006",
            pa.timestamp("us"),
            dt.datetime(2026, 1, 2, 3, 4, 5, 6),
        ),
        (
            "TIMESTAMPTZ",
            "2026-01-02T03:04:05+02:00",
            pa.timestamp("us", "UTC"),
            dt.datetime(2026, 1, 2, 1, 4, 5, tzinfo=dt.UTC),
        ),
        ("TIME", "23:59:59.5", pa.time64("us"), dt.time(23, 59, 59, 500000)),
        ("DECIMAL(10,2)", 12.5, pa.decimal128(10, 2), Decimal("12.50")),
        (
            "DECIMAL_TEXT(40,20)",
            "1.00000000000000000001",
            pa.decimal256(40, 20),
            Decimal("1.00000000000000000001"),
        ),
    ],
)
def test_declared_types(path, declared, value, arrow, expected) -> None:
    run(path, f"CREATE TABLE d (c {declared})")
    run(path, "INSERT INTO d VALUES (?), (NULL)", (value,))
    for query, parameters in (("SELECT * FROM d", None), ("SELECT c FROM d WHERE 1 = ?", [1])):
        got = read(path, query, parameters=parameters)
        assert (got.schema.field("c").type, got["c"].to_pylist()) == (arrow, [expected, None])


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("INTEGER", "abc"),
        ("INTEGER", 1.5),
        ("TEXT", b"x"),
        ("BOOLEAN", 2),
        ("DATE", "2026-02-30"),
        ("DATE", 20260101),
        ("DATETIME", "2026-01-01 00:00:00.1234567"),
        ("TIMESTAMPTZ", "2026-01-01 00:00:00"),
        ("DATETIME", "2026-01-01 00:00:00Z"),
        ("DECIMAL(4,2)", 1.234),
        ("BLOB", "text"),
        ("REAL", "x"),
    ],
)
def test_values_beside_their_declared_type(path, declared, value) -> None:
    run(path, f"CREATE TABLE d (c {declared})")
    run(path, "INSERT INTO d VALUES (?)", (value,))
    with pytest.raises(UnfitValueError, match=r"'c'.*schema="):
        read(path, "SELECT * FROM d")
    assert read(path, "SELECT CAST(c AS TEXT) AS c FROM d").num_rows == 1


SPELLINGS = {
    "DATE": {
        "2024-01-02": dt.date(2024, 1, 2), "2024-W01-2": dt.date(2024, 1, 2), "20240102": None,
        "2024W012": None, "2024-01-02T00:00": None, "2024-01-02 00:00:00": None, "2024-01": None,
        "2024-002": None, "2024-1-2": None, " 2024-01-02": None, "10000-01-01": None,
    },
    "DATETIME": {
        "2024-01-02": dt.datetime(2024, 1, 2), "2024-W01-2 03:04": dt.datetime(2024, 1, 2, 3, 4),
        "2024-01-02T03:04": dt.datetime(2024, 1, 2, 3, 4), "20240102": None,
        "20240102T0304": dt.datetime(2024, 1, 2, 3, 4), "2024-01-02T03": dt.datetime(2024, 1, 2, 3),
        "2024-01-02 00:00:00,5": dt.datetime(2024, 1, 2, 0, 0, 0, 500000),
        "2024-01-02T00:00Z": None, "2024-01-02 24:00": None, "2024-01-02 00:00:60": None,
    },
    "TIMESTAMPTZ": {
        "2024-01-02T00:00Z": dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
        "2024-W01-2T00:00+05:00": dt.datetime(2024, 1, 1, 19, tzinfo=dt.UTC), "2024-01-02": None,
    },
    "TIME": {"12:30": dt.time(12, 30), "T12:30": dt.time(12, 30), "12:30Z": None, "24:00": None},
}  # fmt: skip


@pytest.mark.parametrize("declared", SPELLINGS)
def test_iso_8601_has_other_spellings(path, declared) -> None:
    for number, (text, expected) in enumerate(SPELLINGS[declared].items()):
        run(path, f"CREATE TABLE s{number} (c {declared})")
        run(path, f"INSERT INTO s{number} VALUES (?)", (text,))
        if expected is not None:
            assert read(path, f"SELECT * FROM s{number}")["c"].to_pylist() == [expected], text
            continue
        # Of digits alone SQLite makes a number.
        shown = text if text.isdecimal() else repr(text)
        with pytest.raises(UnfitValueError, match=rf"'c'.*{re.escape(shown)}.*schema="):
            read(path, f"SELECT * FROM s{number}")


def test_expressions_are_typed_by_their_first_rows(path) -> None:
    got = read(
        path, "SELECT 1 + 1 AS a, 'x' AS b, 1.5 AS c, NULL AS d, :v AS e", parameters={"v": b"1"}
    )
    assert got.schema.types == [pa.int64(), pa.string(), pa.float64(), pa.string(), pa.binary()]
    run(path, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)"
        " INSERT INTO t SELECT n, n FROM c")  # fmt: skip
    query = "SELECT CASE WHEN n < 2500 THEN n ELSE 'late' END AS v FROM t"
    with pytest.raises(UnfitValueError, match=r"'v'.*'late'.*schema="):
        read(path, query)
    schema = pa.schema([field("d", pa.string(), "decimal"), ("v", pa.int64())])
    with pytest.raises(InputError, match="'d', which the query does not give"):
        read(path, query, schema=schema)
    assert (
        read(path, "SELECT n AS v FROM t", schema=pa.schema([("v", pa.uint16())])).num_rows == 3000
    )


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("SELEC", InputError, "syntax"),
        ("SELECT * FROM missing", SetupError, "no such table: missing"),
        ("SELECT 1 AS a, 2 AS a", InputError, "2 columns"),
        ("INSERT INTO t VALUES (1, 'a')", SetupError, "readonly"),
        ("SELECT ?", InputError, "binding"),
        ("SELECT CAST(x'ff' AS TEXT)", InputError, "UTF-8.*AS BLOB"),
    ],
)
def test_wrong_queries(path, query, error, message) -> None:
    with pytest.raises(error, match=message) as raised:
        read(path, query)
    assert str(path) in str(raised.value)


def test_what_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no such file"):
        read(tmp_path / "none.db", "SELECT 1")
    (tmp_path / "text.db").write_text("not a database at all, but long enough to be one" * 30)
    with pytest.raises(SetupError, match="no whole database"):
        read(tmp_path / "text.db", "SELECT * FROM t")
    with pytest.raises(InputError):
        SQLiteSource.from_uri("sqlite://", {"table": "t"})
    with pytest.raises(InputError, match="nope"):
        SQLiteSource.from_uri("sqlite:///a.db", {"table": "t", "nope": "1"})
    assert SQLiteSource.from_uri("sqlite:////tmp/a.db", {"table": "t"}).path == Path("/tmp/a.db")
    assert SQLiteTable.from_uri("sqlite:///a.db", {"table": "t"}).path == Path("a.db")


def test_a_time_limit(path) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT MAX(n) FROM c"
    with pytest.raises(RetryError, match="statement_timeout"):
        read(path, endless, statement_timeout=0.05)


def test_one_snapshot(path) -> None:
    run(path, "PRAGMA journal_mode = WAL")
    run(path, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9000)"
        " INSERT INTO t SELECT n, n FROM c")  # fmt: skip
    with SQLiteSource(path, "SELECT * FROM t").batches() as batches:
        rows = next(iter(batches)).num_rows
        run(path, "DELETE FROM t")
        assert rows + sum(batch.num_rows for batch in batches) == 9000


def test_modes(path) -> None:
    first = load(path, numbers(1, 2), "t")
    again = Rows(numbers(3))
    assert load(path, again, "t").stored.rows == first.stored.rows == 2
    assert not again.asked
    load(path, numbers(2, 3, text="new"), "t", Owner("d", "r", "u"), mode="upsert")
    assert run(path, "SELECT * FROM t") == [(1, "x"), (2, "new"), (3, "new")]
    load(path, numbers(3, 4), "t", mode="replace", slice="n > 2")
    load(path, numbers(3, 4), "t", mode="replace", slice=("n > ?", [2]))
    assert run(path, "SELECT n FROM t") == [(1,), (2,), (3,), (4,)]
    for wrong, message in (
        ({"mode": "replace", "slice": {"n": 3}}, "UNIQUE|has"),
        ({"mode": "replace", "slice": {"x": 3}}, "'x'"),
        ({"mode": "upsert", "keys": ["t"]}, "not unique"),
    ):
        with pytest.raises(InputError, match=message):
            load(path, numbers(4, 5), "t", **wrong)
    with pytest.raises(InputError, match="UNIQUE"):
        load(path, numbers(1), "t", Owner("d", "r", "other"))
    with pytest.raises(InputError, match="several rows"):
        load(path, numbers(9, 9), "t", mode="upsert")
    load(path, numbers(), "t", mode="replace")
    assert run(path, "SELECT COUNT(*) FROM t") == [(0,)]
    for slice, message in (({"n": 3}, "has 1"), ({"x": 3}, "'x'")):
        with pytest.raises(InputError, match=message):
            load(path, numbers(3, 4), "made", mode="replace", slice=slice, create=True)
    assert run(path, "SELECT name FROM sqlite_master WHERE name = 'made'") == []


def test_a_failure_leaves_nothing(path, tmp_path: Path) -> None:
    def fail() -> None:
        raise RetryError("of the source")

    run(path, "INSERT INTO t VALUES (1, 'old')")
    for mode in ("append", "replace", "upsert"):
        with pytest.raises(RetryError, match="of the source"):
            load(path, Rows(numbers(5), numbers(6), before=fail), "t", mode=mode)
        assert run(path, "SELECT * FROM t") == [(1, "old")]
    new = tmp_path / "new.db"
    with pytest.raises(RetryError):
        load(new, Rows(numbers(5), numbers(6), before=fail), "made", create=True)
    assert not list(tmp_path.glob("new.db*"))
    with pytest.raises(SetupError, match="no table none"):
        load(path, numbers(1), "none")
    with pytest.raises(SetupError, match="no such file"):
        load(tmp_path / "none.db", numbers(1), "t")


@pytest.mark.parametrize(
    ("declared", "value", "kind"),
    [
        ("INTEGER", "007", pa.string()),
        ("NUMERIC", "1e5", pa.string()),
        ("INTEGER", 2**63, pa.uint64()),
        ("REAL", 2**53 + 1, pa.int64()),
        ("REAL", float("nan"), pa.float64()),
        ("DECIMAL(30,20)", Decimal("1.00000000000000000001"), pa.decimal128(30, 20)),
        ("INTEGER NOT NULL", None, pa.int64()),
        ("INTEGER CHECK (c > 5)", 1, pa.int64()),
    ],
)
def test_nothing_is_changed_silently(path, declared, value, kind) -> None:
    run(path, f"CREATE TABLE d (c {declared})")
    with pytest.raises(InputError, match="c"):
        load(path, pa.table({"c": pa.array([value], kind)}), "d")
    assert run(path, "SELECT COUNT(*) FROM d") == [(0,)]


_KINDS = {
    pa.bool_(): st.booleans(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.decimal128(20, 5): st.decimals(-(10**14), 10**14, places=5),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | st.just("007"),
    pa.binary(): st.binary(max_size=9),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(dt.UTC)),
    pa.time64("us"): st.times(),
}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_value_comes_back(tmp_path_factory, data) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(_KINDS)), min_size=1, max_size=6))
    rows = data.draw(st.integers(0, 4))
    table = pa.table(
        {
            f"c {at}": pa.array(
                data.draw(st.lists(st.none() | _KINDS[kind], min_size=rows, max_size=rows)), kind
            )
            for at, kind in enumerate(kinds)
        }
    )
    made = tmp_path_factory.mktemp("sqlite") / "made.db"
    load(made, table, "t", create=True)
    got = read(made, "SELECT * FROM t ORDER BY rowid")
    assert got.schema == table.schema
    assert got.to_pylist() == table.to_pylist()


def test_nanoseconds_are_kept_and_no_name_or_type_is_left_to_sqlite_to_refuse(
    tmp_path: Path,
) -> None:
    numbers = [-1, None, 0, 1_769_860_800_123_456_789, 1_769_860_800_123_456_000]
    of_day = [86_399_999_999_999, None, 0, 1, 1000]
    columns = {
        "t": pa.array(numbers, pa.timestamp("ns")),
        "z": pa.array(numbers, pa.timestamp("ns", "Europe/Zurich")),
        "d": pa.array(of_day, pa.time64("ns")),
    }
    load(tmp_path / "a.db", pa.table(columns), "t", create=True)
    assert run(tmp_path / "a.db", "SELECT t, z, d FROM t") == [
        (
            "1969-12-31 23:59:59.999999999",
            "1969-12-31 23:59:59.999999999+00:00",
            "23:59:59.999999999",
        ),
        (None, None, None),
        ("1970-01-01 00:00:00", "1970-01-01 00:00:00+00:00", "00:00:00"),
        (
            "2026-01-31 12:00:00.123456789",
            "2026-01-31 12:00:00.123456789+00:00",
            "00:00:00.000000001",
        ),
        ("2026-01-31 12:00:00.123456", "2026-01-31 12:00:00.123456+00:00", "00:00:00.000001"),
    ]
    with pytest.raises(InputError, match="the data have no columns"):
        load(tmp_path / "a.db", pa.table({}), "n", create=True)
    one = pa.array([1])
    for names, message in (
        (("a", ""), "has no name"),
        (("a", "b\0"), "'b\\\\x00' has a zero byte"),
        (("aé", "Aé"), "'Aé' is the column 'aé' to SQLite"),
    ):
        with pytest.raises(InputError, match=message):
            load(tmp_path / "a.db", pa.table([one, one], names=list(names)), "n", create=True)
    spans = pa.table({"span": pa.array([1], pa.duration("ns"))})
    with pytest.raises(InputError, match="Column 'span': SQLite cannot hold the type duration"):
        load(tmp_path / "a.db", spans, "n", create=True)


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (6_585_000, pa.date32(), "6585000 as date32"),
        (-719_529, pa.date32(), "-719529 as date32"),
        (2**50, pa.date64(), "Column 'c'"),
        (2**62, pa.timestamp("us"), f"{2**62} as timestamp"),
        (2**40, pa.timestamp("s", "UTC"), f"{2**40} as timestamp"),
    ],
)
def test_dates_of_far_years_are_told(tmp_path: Path, number: int, kind, says: str) -> None:
    whole = pa.int32() if kind == pa.date32() else pa.int64()
    far = pa.table({"c": pa.array([None, 0, number], whole).cast(kind)})
    with pytest.raises(UnfitValueError, match=says):
        load(tmp_path / "a.db", far, "t", create=True)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("TIME", "12:00:00.1234567"),
        ("TIME", "12:00:00,1234567"),
        ("DATETIME", "2026-01-31 12:00:00,1234567"),
        ("TIMESTAMPTZ", "2026-01-31 12:00:00.1234567-05:00"),
        ("DECIMAL(10,2)", "1_000"),
        ("DECIMAL(10,2)", "\u0663"),
    ],
)
def test_what_python_would_read_as_something_else_is_refused(path, declared, value) -> None:
    run(path, f"CREATE TABLE o (c {declared})")
    run(path, "INSERT INTO o VALUES (?)", (value,))
    with pytest.raises(UnfitValueError, match="Column 'c'"):
        read(path, "SELECT * FROM o")


def test_bytes_beside_text_are_advised_what_works(path) -> None:
    run(path, "CREATE TABLE o (c TEXT)")
    run(path, "INSERT INTO o VALUES (?)", (b"\xff",))
    with pytest.raises(UnfitValueError, match=r"hex\(\), or read them with schema=.*binary"):
        read(path, "SELECT c FROM o")
    assert read(path, "SELECT hex(c) AS c FROM o").to_pylist() == [{"c": "FF"}]
    options = {"query": "SELECT c FROM o", "schema": '{"c": "binary"}'}
    with SQLiteSource.from_uri(f"sqlite:///{path}", options).batches() as batches:
        assert next(iter(batches)).to_pylist() == [{"c": b"\xff"}]
    run(path, "INSERT INTO o VALUES ('x')")
    with pytest.raises(UnfitValueError, match=r"as with hex\(\)\.$"):
        read(path, "SELECT c FROM o")


def test_words_of_text_come_back(tmp_path: Path) -> None:
    schema = pa.schema([field(word, pa.string(), word) for word in ("json", "uuid", "decimal")])
    row = {"json": "12", "uuid": "1" * 32, "decimal": "1.10"}
    load(tmp_path / "a.db", pa.Table.from_pylist([row], schema), "t", create=True)
    got = read(tmp_path / "a.db", "SELECT * FROM t")
    assert got.to_pylist() == [row]
    assert [logical_type(each) for each in got.schema] == ["json", "uuid", "decimal"]


_LOADER = """
import sys, time, pyarrow as pa
sys.path.insert(0, "tests/systems/sqlite")
from test_database import Rows, load, numbers
def hang():
    print("hanging", flush=True)
    time.sleep(600)
load(sys.argv[1], Rows(numbers(*range(10, 50000)), numbers(-1), before=hang), "t")
"""


def test_a_killed_loader_leaves_nothing(path) -> None:
    run(path, "INSERT INTO t VALUES (1, 'old')")
    command = [sys.executable, "-c", _LOADER, str(path)]
    environment = {**os.environ, "PYTHONPATH": "tests"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as loader:
        assert loader.stdout is not None
        try:
            assert loader.stdout.readline() == "hanging\n"
            with pytest.raises(RetryError, match=r"locked.*try again"):
                load(path, numbers(2), "t", lock_timeout=0.05)
            loader.send_signal(signal.SIGKILL)
        finally:
            loader.kill()
    assert run(path, "SELECT * FROM t") == [(1, "old")]
    load(path, numbers(2, 3), "t")
    assert run(path, "SELECT COUNT(*) FROM t") == [(3,)]


def test_two_loads_take_turns(path) -> None:
    inside, go = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go.wait(30)

    first = threading.Thread(
        target=load, args=(path, Rows(numbers(1), numbers(2), before=wait), "t")
    )
    first.start()
    assert inside.wait(30)
    go.set()
    load(path, numbers(3), "t", Owner("d", "r", "other"))
    first.join()
    assert run(path, "SELECT n FROM t") == [(1,), (2,), (3,)]


def test_a_full_disk_leaves_no_file_that_was_made_and_the_one_that_was_there(path) -> None:
    """RLIMIT_FSIZE stands for the disk: to write beyond it fails, as SQLite sees it, likewise."""
    run(path, "INSERT INTO t VALUES (1, 'old')")
    (path.parent / "new.csv").write_text(
        "n,t\n" + "".join(f"{n},{'x' * 99}\n" for n in range(50_000))
    )
    for name, more in (("new.db", ["--set-to", "create=true"]), (path.name, [])):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tradewind.cli",
                "move",
                "--from",
                "new.csv",
                "--to",
                f"sqlite:///{name}",
                "--set-to",
                "table=t",
                "--set-to",
                "mode=replace",
                *more,
            ],
            capture_output=True,
            text=True,
            cwd=path.parent,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        )
        assert done.returncode == 1, done.stderr
        assert f"SQLite file {name}" in done.stderr
        assert "Free space" in done.stderr
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name, "new.csv"]
    assert run(path, "SELECT * FROM t") == [(1, "old")]


def test_who_waited_for_a_file_that_goes_does_not_write_into_nothing(tmp_path: Path) -> None:
    new, waiting, go = tmp_path / "new.db", threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def fail() -> None:
        waiting.set()
        go.wait(30)
        raise RetryError("of the source")

    def second() -> None:
        try:
            load(new, numbers(1), "t", Owner("d", "r", "other"), create=True)
        except BaseException as error:
            failed.append(error)

    def first() -> None:
        with pytest.raises(RetryError, match="of the source"):
            load(new, Rows(numbers(5), numbers(6), before=fail), "t", create=True)

    threads = [threading.Thread(target=one) for one in (first, second)]
    threads[0].start()
    assert waiting.wait(30)
    threads[1].start()
    until(lambda: _opened(new) > 1)
    go.set()
    for thread in threads:
        thread.join(60)
    assert isinstance(failed[0], RetryError)
    assert "removed or replaced" in str(failed[0])
    assert not new.exists()


def test_a_link_to_a_file_that_was_not_there_stays(tmp_path: Path) -> None:
    def fail() -> None:
        raise RetryError("of the source")

    link, file = tmp_path / "link.db", tmp_path / "file.db"
    link.symlink_to(file)
    with pytest.raises(RetryError, match="of the source"):
        load(link, Rows(numbers(5), numbers(6), before=fail), "t", create=True)
    assert os.readlink(link) == str(file)
    assert not file.exists()
    load(link, numbers(5), "t", create=True)
    assert file.is_file()


def _opened(path: Path) -> int:
    """Count how often this process has a file open."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += os.readlink(one) == str(path)
    return found


@pytest.mark.parametrize("what", ["DELETE FROM t", "DROP TABLE t"])
def test_an_append_whose_rows_are_gone_is_told(path, what: str) -> None:
    owner = Owner("d", "r", "t")
    load(path, numbers(1, 2), "t", owner)
    again = load(path, numbers(1, 2), "t", owner)
    assert (again.earlier, again.stored.by) == (True, str(owner))
    run(path, what)
    with pytest.raises(InputError, match="has appended 2 rows"):
        load(path, numbers(1, 2), "t", owner, create=True)


def test_a_retry_tells_its_own_rows_from_others(path) -> None:
    """Each change of the table between an append and its retry, and what the retry says."""
    plain, keyed = "n INTEGER, t TEXT", "n INTEGER PRIMARY KEY, t TEXT"
    others = "INSERT INTO x (n, t) VALUES (7, 'old'), (8, 'old')"
    more = "INSERT INTO x (n, t) VALUES (11, 'new'), (12, 'new')"
    unknown, lost, gone = "whether 2 of the rows there", "at most 1 of these", "at most 0 of these"
    cases = (
        (plain, "DELETE FROM x WHERE n < 7; " + more, lost),  # with the very rowids of these
        (plain, "DELETE FROM x WHERE n < 7", gone),
        (plain, "DELETE FROM x WHERE n = 1; " + more, lost),
        (plain, "DELETE FROM x WHERE n = 3; " + more, lost),
        (plain, more, None),
        (plain, "DELETE FROM x WHERE n > 6", None),
        (plain, "UPDATE x SET t = 'y' WHERE n = 1", None),
        (plain, "UPDATE x SET t = 'y' WHERE n = 3", lost),
        (plain, "ALTER TABLE x ADD COLUMN more", None),
        (plain, "DELETE FROM x WHERE n = 7; VACUUM", "VACUUM numbered them anew"),
        (keyed, "DELETE FROM x WHERE n = 7; VACUUM", None),
        (keyed, "DELETE FROM x WHERE n < 7; " + more, gone),
        (keyed, "DELETE FROM x WHERE n = 3; INSERT INTO x VALUES (2, '')", lost),
        (keyed, "UPDATE x SET t = 'y'", None),
        (keyed, "INSERT INTO x VALUES (2, '')", unknown),
        ("n, t, rowid, _rowid_, oid", "SELECT 1", unknown),
    )
    for columns, change, told in cases:
        owner = Owner("d", "r", f"{columns} {change}")
        for statement in ("DROP TABLE IF EXISTS x", f"CREATE TABLE x ({columns})", others):
            run(path, statement)
        data = numbers(1, 3)
        load(path, data, "x", owner)
        for statement in change.split("; "):
            run(path, statement)
        if told is None or told == unknown:
            receipt = load(path, data, "x", owner)
            assert receipt.earlier
            assert (receipt.stored.unchecked or "").startswith(told or ""), (columns, change)
            assert (receipt.stored.unchecked is None) == (told is None)
        else:
            with pytest.raises(InputError, match=told):
                load(path, data, "x", owner)


def test_an_append_knows_the_table_from_another_of_its_name(path) -> None:
    owner = Owner("d", "r", "t")
    load(path, numbers(1, 2), "t", owner)
    # Other tables come and go; the former version kept nothing of the table.
    run(path, "CREATE TABLE other (a)")
    run(path, "ALTER TABLE t ADD COLUMN more TEXT")
    assert load(path, numbers(1, 2), "t", owner).earlier
    run(path, "DROP TABLE t")
    run(path, "CREATE TABLE t (n INTEGER, t TEXT)")
    run(path, "INSERT INTO t VALUES (1, 'else'), (2, 'else')")
    with pytest.raises(InputError, match="another one has its name"):
        load(path, numbers(1, 2), "t", owner)
    run(path, "UPDATE tradewind_published SET mark = NULL")
    assert load(path, numbers(1, 2), "t", owner).earlier
    run(path, "ALTER TABLE tradewind_published DROP COLUMN mark")
    load(path, numbers(3), "t", Owner("d", "r", "after an update"))


@pytest.mark.parametrize(
    ("lock", "word"), [("BEGIN IMMEDIATE", "somebody else writes"), ("BEGIN", "somebody reads")]
)
def test_waiting_for_a_lock_is_told(path, monkeypatch, caplog, lock: str, word: str) -> None:
    monkeypatch.setattr("tradewind.systems.sqlite.waiting._PATIENCE", 0.1)
    run(path, "INSERT INTO t VALUES (1, 'old')")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(lock)
    other.execute("SELECT * FROM t").fetchone()
    target = SQLiteTable.from_uri(
        f"sqlite:///{path}".replace(" ", "%20"),
        {"table": "t", "mode": "replace", "lock_timeout": "60"},
    )
    mover = threading.Thread(target=transfer, args=(Rows(numbers(2)), target, Owner("d", "r", "t")))
    mover.start()
    until(lambda: word in caplog.text)
    assert "up to 60 s (lock_timeout)" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    mover.join()
    assert run(path, "SELECT n FROM t") == [(2,)]


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_lock_timeout_is_seconds(path, text: str) -> None:
    with pytest.raises(InputError, match="number of seconds"):
        SQLiteTable.from_uri(f"sqlite:///{path}", {"table": "t", "lock_timeout": text})


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_rows_that_a_trigger_leaves_out_are_told(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "t.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT);"
            "CREATE TRIGGER picky BEFORE INSERT ON t WHEN NEW.v < 0 "
            "BEGIN SELECT RAISE(IGNORE); END;"
        )
    (tmp_path / "rows.csv").write_text("id,v\n1,1\n2,-1\n3,3\n")
    source = ObjectSource(FileStore(tmp_path), "rows.csv")
    with pytest.raises(InputError, match=r"1 of 3 rows .* triggers \(picky\)"):
        transfer(source, SQLiteTable(path, "t", mode=mode), Owner("d", "r1", "t"))
    (tmp_path / "rows.csv").write_text("id,v\n1,1\n3,3\n")
    transfer(source, SQLiteTable(path, "t", mode=mode), Owner("d", "r2", "t"))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM t ORDER BY 1").fetchall() == [(1, 1), (3, 3)]


def test_what_is_no_regular_file_is_told_as_that(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo.db")
    (tmp_path / "folder.db").mkdir()
    for name in ("fifo.db", "folder.db"):
        with pytest.raises(SetupError, match=rf"{name}.*not a regular file"):
            read(tmp_path / name, "SELECT 1 AS a")
        target = SQLiteTable(tmp_path / name, "t", create=True)
        with pytest.raises(SetupError, match=rf"{name}.*not a regular file"):
            transfer(Rows(pa.table({"a": [1]})), target, Owner("d", "r", "t"))
