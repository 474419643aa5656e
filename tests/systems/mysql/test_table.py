"""A table of MySQL as a target, against a real MariaDB.

Over 400 lines: one target; its cases share a server, and read as a list of promises.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mysql_client import need_mysql_client

need_mysql_client()

from made_rows import Rows  # noqa: E402
from mysql_server import fresh, load, owner_of  # noqa: E402
from tradewind.errors import InputError, RetryError, SetupError  # noqa: E402
from tradewind.local import Systems  # noqa: E402
from tradewind.move.formats.csv import CsvFormat  # noqa: E402
from tradewind.move.types import UnfitValueError, field  # noqa: E402
from tradewind.owner import Owner  # noqa: E402
from tradewind.systems.mysql.catalog import is_marked  # noqa: E402
from tradewind.systems.mysql.connection import MySQLConnection  # noqa: E402
from tradewind.systems.mysql.marks import find_key  # noqa: E402
from tradewind.systems.mysql.source import MySQLSource  # noqa: E402
from tradewind.systems.mysql.table import MySQLTable  # noqa: E402
from waiting import until  # noqa: E402


def numbers(*values: int, text: str = "x") -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64()), "t": [text] * len(values)})


def content(connection: MySQLConnection, table: str, order: str = "1") -> list[dict]:
    source = MySQLSource(connection, f"SELECT * FROM {table} ORDER BY {order}")
    with source.batches() as batches:
        return pa.Table.from_batches(list(batches), batches.schema).to_pylist()


COLUMNS = "n BIGINT PRIMARY KEY, t TEXT"


def test_append_once_for_each_owner(connection, db) -> None:
    table = db.table(COLUMNS)
    owner = owner_of(table)
    first = load(connection, numbers(1, 2), table, owner)
    assert (first.rows, first.stored.rows, db.count(table)) == (2, 2, 2)
    again = Rows(numbers(3))
    second = load(connection, again, table, owner)
    assert second.stored == first.stored
    assert not again.asked
    load(connection, numbers(3), table)
    assert db.count(table) == 3
    assert first.stored.objects[0].uri.endswith(f"/{table}")
    assert connection.password not in str(first)


@pytest.mark.parametrize("what", ["TRUNCATE {}", "DROP TABLE {}", "DELETE FROM {} WHERE n = 1"])
def test_an_append_whose_rows_are_gone_is_told(connection, db, what: str) -> None:
    table = db.table(COLUMNS)
    owner = owner_of(table)
    load(connection, numbers(1, 2), table, owner)
    db.run(what.format(table))
    for create in (True, False):
        with pytest.raises(InputError, match="has appended 2 rows"):
            load(connection, numbers(1, 2), table, owner, create=create)
    # What the error advises: another name of the run, and create.
    assert load(connection, numbers(8, 9), table, owner_of("other"), create=True).rows == 2


def test_an_append_knows_the_table_from_another_of_its_name(connection, db) -> None:
    table = db.table(COLUMNS)
    owner = owner_of(table)
    load(connection, numbers(1, 2), table, owner)
    db.run(f"CREATE OR REPLACE TABLE {table} ({COLUMNS})")
    db.run(f"INSERT INTO {table} VALUES (1, 'else'), (2, 'else')")
    with pytest.raises(InputError, match="another one has its name"):
        load(connection, numbers(1, 2), table, owner)
    # The former version kept nothing of the table.
    db.run(f"UPDATE tradewind_published SET state = 'visible' WHERE target = '{table}'")
    assert load(connection, numbers(1, 2), table, owner).earlier
    made, its_owner = f"{table}_made", owner_of(f"{table}_made")
    for earlier in (False, True):
        assert load(connection, numbers(1), made, its_owner, create=True).earlier is earlier
    db.run(f"CREATE OR REPLACE TABLE {made} ({COLUMNS})")
    db.run(f"INSERT INTO {made} VALUES (1, 'else')")
    with pytest.raises(InputError, match="another one has its name"):
        load(connection, numbers(1), made, its_owner)


def test_a_retry_tells_its_own_rows_from_others(connection, db) -> None:
    """Each change of the table between an append and its retry, and what the retry says."""
    numbered = "id INT AUTO_INCREMENT PRIMARY KEY, n BIGINT, t TEXT"
    both = "t VARCHAR(9) NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (n, t)"
    others = "INSERT INTO {} (n, t) SELECT seq, 'old' FROM seq_10_to_90"
    alike = "INSERT INTO {} (n, t) VALUES (1, 'x'), (3, 'x')"
    unknown = "whether 2 of the rows there are these"
    lost, gone = "at most 1 of its rows", "at most 0 of its rows"
    rebuilt = "whether 2 rows are as they were but for their keys, the first and the last one"
    anew = "another one has its name, or it was altered or emptied"
    cases = (
        (numbered, "DELETE FROM {} WHERE n < 9; " + alike, gone),
        (numbered, "DELETE FROM {} WHERE n = 3", lost),
        (numbered, "UPDATE {} SET t = 'y'", None),
        (numbered, alike, None),
        (COLUMNS, "DELETE FROM {} WHERE n = 3; INSERT INTO {} VALUES (2, 'x')", lost),
        (COLUMNS, "INSERT INTO {} VALUES (2, 'x')", unknown),
        (both, "UPDATE {} SET t = 'y' WHERE n = 3", lost),
        (both, "DELETE FROM {} WHERE n > 9", None),
        ("n BIGINT, t TEXT", "DELETE FROM {} WHERE n < 9; " + alike, unknown),
        ("n BIGINT, `a%s` INT DEFAULT 1, t CHAR(9) PRIMARY KEY", "DELETE FROM {} LIMIT 9", unknown),
        ("n BIGINT, t TEXT, `a%s` INT AUTO_INCREMENT PRIMARY KEY", "COMMIT", None),
        # What makes the table anew with all rows, and what makes another one of as many.
        (numbered, "OPTIMIZE TABLE {}", rebuilt),
        (both, "ALTER TABLE {} ENGINE=InnoDB", rebuilt),
        (numbered, "OPTIMIZE TABLE {}; DELETE FROM {} WHERE n = 3", anew),
        (numbered, "UPDATE {} SET t = 'y' WHERE n = 3; OPTIMIZE TABLE {}", anew),
        (numbered, "TRUNCATE {}; " + others + "; " + alike, anew),
    )
    data = pa.table({"n": pa.array([1, 3], pa.int64()), "t": ["x", "z"]})
    for number, (columns, change, told) in enumerate(cases):
        table = db.table(columns)
        owner = owner_of(table)
        fill = others.replace("'old'", "seq") if "t CHAR" in columns else others
        db.run(fill.format(table))
        how = {"load": "insert"} if number % 2 else {}
        load(connection, data, table, owner, **how)
        for statement in change.split("; "):
            db.run(statement.format(table))
        again = Rows(data)
        if told in (None, unknown, rebuilt):
            receipt = load(connection, again, table, owner)
            said = receipt.stored.unchecked
            said = said and said.partition(":")[0]
            assert (receipt.earlier, said) == (True, told), (columns, change)
        else:
            with pytest.raises(InputError, match=told):
                load(connection, again, table, owner)
        assert not again.asked


def test_rows_of_others_that_come_meanwhile_are_no_rows_of_an_append(connection, db) -> None:
    table = db.table("id INT AUTO_INCREMENT PRIMARY KEY, n BIGINT, t TEXT")
    owner = owner_of(table)
    load(connection, numbers(1, 2, 3), table, owner)
    # They have the numbers after these, and are there when these are looked at.
    db.run(f"INSERT INTO {table} (n, t) SELECT seq, 'old' FROM seq_1_to_9")
    key = find_key(db.session, connection.database, table)
    key.mark(db.session, table, 3, 1)
    assert (key.low, key.high, key.columns) == (1, 3, ("id",))
    assert load(connection, numbers(1), table, owner).stored.unchecked is None


def test_the_ledger_of_a_former_version_gets_its_column(connection, db) -> None:
    table, owner = db.table(COLUMNS), owner_of("t")
    db.run("ALTER TABLE tradewind_published DROP COLUMN mark")
    load(connection, numbers(1), table, owner)
    assert load(connection, numbers(1), table, owner).stored.unchecked is None
    db.run(f"UPDATE tradewind_published SET mark = NULL WHERE target = '{table}'")
    receipt = load(connection, numbers(1), table, owner)
    assert "Not checked: whether 1 of the rows there" in receipt.stored.skipped


def test_a_table_s_mark_does_without_what_the_user_may_not_see() -> None:
    assert is_marked("aaaabbbb", "ccccbbbb"), "altered in place"
    assert not is_marked("aaaabbbb", "aaaacccc")
    assert is_marked("aaaabbbb", "aaaa----")
    assert not is_marked("aaaa----", "ccccbbbb")
    assert is_marked("--------", "ccccbbbb")


def test_replace_a_slice_and_all(connection, db) -> None:
    table = db.table("day DATE, n INT", "('2026-01-01', 1), ('2026-01-02', 2)")
    day = dt.date(2026, 1, 2)
    rows = pa.table({"day": [day, day], "n": [7, 8]})
    for _ in range(2):
        load(connection, rows, table, mode="replace", slice={"day": day})
    assert [row["n"] for row in content(connection, table, "n")] == [1, 7, 8]
    load(connection, rows, table, mode="replace", slice=("day > %s", [dt.date(2026, 1, 1)]))
    assert db.count(table) == 3
    with pytest.raises(InputError, match=r"slice.*has 0 now"):
        load(connection, rows, table, mode="replace", slice={"day": dt.date(2026, 1, 1)})
    with pytest.raises(InputError, match=r"'dya'.*Choose from: day, n"):
        load(connection, rows, table, mode="replace", slice={"dya": 1})
    with pytest.raises(InputError, match="1054"):
        load(connection, rows, table, mode="replace", slice="nope = 1")
    assert db.count(table) == 3
    load(connection, rows.slice(0, 0), table, mode="replace")
    assert db.count(table) == 0
    for slice, message in (({"n": 7}, "has 1 now"), ({"dya": 1}, "'dya'")):
        with pytest.raises(InputError, match=message):
            load(connection, rows, f"{table}_made", mode="replace", slice=slice, create=True)
    made = {"mode": "replace", "slice": {"day": day}, "create": True}
    for _ in range(2):
        load(connection, rows, f"{table}_made", **made)
    assert db.count(f"{table}_made") == 2


def test_names_of_any_spelling(connection, db) -> None:
    names = ["100%", "%s", "a`b", 'a"b', "select", "ä ö", "a\\b", "-- x"]
    table = fresh("odd `%s")
    rows = pa.table([pa.array([1, 2])] * len(names), names=names)
    load(connection, rows, table, create=True)
    for slice in ({"100%": 1, "%s": 1}, {"a`b": 1}, ("`100%%` = %s", [1])):
        load(connection, rows.slice(0, 1), table, mode="replace", slice=slice)
    load(connection, rows, f"{table}_keyed", mode="upsert", keys=names[:3], create=True)
    load(connection, rows, f"{table}_keyed", mode="upsert")
    for one in (table, f"{table}_keyed"):
        quoted = one.replace("`", "``")
        source = MySQLSource(connection, f"SELECT * FROM `{quoted}` ORDER BY 1")
        with source.batches() as batches:
            assert pa.Table.from_batches(batches, batches.schema).equals(rows)


def test_upsert(connection, db) -> None:
    table = db.table("n BIGINT PRIMARY KEY, t TEXT, u INT UNIQUE", "(1, 'old', 10), (2, 'old', 20)")
    load(connection, numbers(2, 3, text="new"), table, mode="upsert")
    assert content(connection, table) == [
        {"n": 1, "t": "old", "u": 10},
        {"n": 2, "t": "new", "u": 20},
        {"n": 3, "t": "new", "u": None},
    ]
    # A clash with another unique key is an error, not a row that is written over.
    clash = pa.table({"n": pa.array([9]), "u": pa.array([10])})
    with pytest.raises(InputError, match="Duplicate entry '10'"):
        load(connection, clash, table, mode="upsert")
    with pytest.raises(InputError, match=r"several rows.*n: 5"):
        load(connection, numbers(5, 5), table, mode="upsert")
    with pytest.raises(InputError, match="not unique"):
        load(connection, numbers(5), table, mode="upsert", keys=["t"])
    with pytest.raises(InputError, match="it has 'n'"):
        load(connection, pa.table({"t": ["x"]}), table, mode="upsert")
    null = pa.table({"n": [9], "u": pa.array([None], pa.int32())})
    with pytest.raises(InputError, match="NULL in a key"):
        load(connection, null, table, mode="upsert", keys=["u"])
    assert db.count(table) == 3


@pytest.mark.parametrize("how", ["infile", "insert"])
def test_create(connection, db, how) -> None:
    table = fresh("made")
    schema = pa.schema(
        [
            pa.field("i", pa.uint64()),
            pa.field("d", pa.decimal256(65, 30)),
            pa.field("s", pa.string()),
            pa.field("b", pa.binary()),
            pa.field("ts", pa.timestamp("us", "UTC")),
            pa.field("f", pa.float32()),
            pa.field("ok", pa.bool_()),
            pa.field("l", pa.list_(pa.int32())),
            field("j", pa.string(), "json"),
        ]
    )
    row = {
        "i": 2**64 - 1,
        "d": Decimal("12345678901234567890123456789012345.123456789012345678901234567891"),
        "s": 'NULL, "a"\n\\N\t\0🙂',
        "b": bytes(range(256)),
        "ts": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "f": 0.10000000149011612,
        "ok": True,
        "l": [1, None],
        "j": '{"a":1}',
    }
    empty = {**dict.fromkeys(schema.names), "s": "", "i": 0}
    rows = pa.Table.from_pylist([row, empty], schema)
    load(connection, rows, table, create=True, load=how)
    got = content(connection, table, "i DESC")
    assert got == [{**row, "ok": 1, "l": "[1,null]"}, empty]
    assert db.tables_like(table) == [table]
    load(connection, rows, table, create=True, load=how, mode="replace")
    assert db.count(table) == 2
    keyed = fresh("keyed")
    load(connection, numbers(1, 2), keyed, create=True, mode="upsert", keys=["n"], load=how)
    with pytest.raises(InputError, match=r"Duplicate|same"):
        load(connection, numbers(1), keyed)


def test_create_leaves_nothing_when_it_fails(connection, db) -> None:
    table = fresh("made")

    def fail() -> None:
        raise RuntimeError("of the source")

    with pytest.raises(RuntimeError):
        load(connection, Rows(numbers(1), numbers(2), before=fail), table, create=True)
    assert db.tables_like(table) == []
    load(connection, numbers(1, 2), table, create=True)
    assert db.count(table) == 2


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        ("TINYINT", 128, "c"),
        ("INT UNSIGNED", -1, "c"),
        ("VARCHAR(3)", "abcd", "c"),
        ("DECIMAL(4,2)", Decimal("1.234"), "c"),
        ("DECIMAL(4,2)", Decimal("123.4"), "c"),
        ("INT", "12x", "c"),
        ("ENUM('a')", "b", "c"),
        ("DATE", "2026-02-30", "c"),
        ("DATE", dt.datetime(2026, 1, 1, 12), "c"),
        ("TIMESTAMP", dt.datetime(1900, 1, 1), "c"),
        ("DATETIME", dt.datetime(2026, 1, 1, 0, 0, 0, 5), "c"),
        ("DATETIME(3)", dt.datetime(2026, 1, 1, 0, 0, 0, 5), "c"),
        ("TIME", dt.time(1, 1, 1, 5), "c"),
        ("FLOAT", 0.123456789, "c"),
        ("DOUBLE", float("nan"), "c"),
        ("DOUBLE", float("inf"), "c"),
        ("INT NOT NULL", None, "c"),
        ("VARCHAR(9) CHARACTER SET latin1", "🙂", "c"),
        ("JSON", "{", "c"),
        ("BIT(2)", 4, "c"),
        ("INT CHECK (c > 5)", 1, "c|CONSTRAINT"),
    ],
)
@pytest.mark.parametrize("how", ["infile", "insert"])
def test_nothing_is_changed_silently(connection, db, how, type_, value, message) -> None:
    table = db.table(f"c {type_}")
    kind = pa.int64() if value is None else None
    with pytest.raises(InputError, match=message):
        load(connection, pa.table({"c": pa.array([value], kind)}), table, load=how)
    assert db.count(table) == 0


def test_durations_into_times(connection, db) -> None:
    table = db.table("c TIME(6)")
    texts = ["PT-838H-59M-59S", "PT0.5S", "PT100H", None, "PT0S"]
    rows = pa.Table.from_arrays(
        [pa.array(texts)], schema=pa.schema([field("c", pa.string(), "interval")])
    )
    load(connection, rows, table)
    source = MySQLSource(connection, f"SELECT * FROM {table}", times="interval")
    assert [row for batch in source.batches() for row in batch["c"].to_pylist()] == texts
    month = pa.Table.from_arrays([pa.array(["P1M"])], schema=rows.schema)
    with pytest.raises(UnfitValueError, match="'P1M'"):
        load(connection, month, table)


def test_what_refuses_does_so_before_anything_is_read(connection, db) -> None:
    table = db.table(COLUMNS)
    aria = db.table(COLUMNS, more="ENGINE=MyISAM")
    user = fresh("u")[:30]
    db.run(f"CREATE USER {user}@'%' IDENTIFIED BY 'pw'")
    db.run(f"GRANT SELECT ON {connection.database}.* TO {user}@'%'")
    db.run(f"GRANT INSERT, CREATE ON {connection.database}.tradewind_published TO {user}@'%'")
    weak = MySQLConnection(connection.host, connection.port, user, "pw", connection.database)
    load(connection, numbers(1), table)
    cases = [
        (connection, fresh("none"), {}, SetupError, "there is no table"),
        (connection, aria, {}, SetupError, "MyISAM.*InnoDB"),
        (weak, table, {}, SetupError, "INSERT.*denied.*Grant"),
        (connection, table, {"mode": "replace", "slice": {"x": 1}}, InputError, "'x'"),
        (connection, table, {"columns": ["nope", "t"]}, InputError, "'nope'"),
        (connection, table, {"schema": fresh("db")}, SetupError, "there is no table"),
    ]
    for who, name, options, error, message in cases:
        rows = Rows(numbers(1))
        with pytest.raises(error, match=message):
            load(who, rows, name, **options)
        assert not rows.asked
    db.run(f"DROP USER {user}@'%'")


def test_columns_that_do_not_fit(connection, db) -> None:
    table = db.table("n INT NOT NULL, t TEXT, g INT AS (n + 1), d INT NOT NULL DEFAULT 3")
    with pytest.raises(InputError, match="'x', which it has not"):
        load(connection, pa.table({"n": [1], "x": [1]}), table)
    with pytest.raises(InputError, match="it has 'n', which the data have not"):
        load(connection, pa.table({"t": ["a"]}), table)
    with pytest.raises(InputError, match="'g'"):
        load(connection, pa.table({"n": [1], "g": [1]}), table)
    with pytest.raises(InputError, match="Name one for each"):
        load(connection, pa.table({"a": [1]}), table, columns=["n", "t"])
    load(connection, pa.table({"a": ["x"], "b": [5]}), table, columns=["t", "n"])
    assert content(connection, table) == [{"n": 5, "t": "x", "g": 6, "d": 3}]


def test_wrong_arguments(connection) -> None:
    for wrong in (
        {"mode": "x"},
        {"slice": "a"},
        {"keys": ["a"]},
        {"columns": "a"},
        {"load": "x"},
    ):
        with pytest.raises(InputError):
            MySQLTable(connection, "t", **wrong)
    for options in ({}, {"table": "t", "nope": "1"}, {"table": "t", "create": "maybe"}):
        with pytest.raises(InputError):
            MySQLTable.from_uri("mysql://u@h/d", options)
    with pytest.raises(InputError, match="no database"):
        MySQLTable(MySQLConnection("h"), "t")
    made = MySQLTable.from_uri(
        "mysql://u:secret@h/d",
        {"table": "a.t", "mode": "replace", "slice": '{"day": "2026-01-01"}', "create": "true"},
    )
    assert made.describe() == "mysql://h:3306/a: table t"
    assert made.slice == {"day": "2026-01-01"}
    assert any("slice" in line for line in made.plan(None))


def test_a_server_without_local_infile(connection, db) -> None:
    table = db.table(COLUMNS)
    db.run("SET GLOBAL local_infile = 0")
    try:
        with pytest.raises(SetupError, match="local_infile"):
            load(connection, numbers(1), table, load="infile")
        assert load(connection, numbers(1), table).rows == 1
    finally:
        db.run("SET GLOBAL local_infile = 1")


def test_a_source_that_fails_halfway(connection, db) -> None:
    table = db.table(COLUMNS, "(1, 'old')")

    def fail() -> None:
        raise RetryError("of the source")

    many = numbers(*range(10, 5000), text="x" * 500)
    for mode in ("append", "replace", "upsert"):
        with pytest.raises(RetryError, match="of the source"):
            load(connection, Rows(many, numbers(2), before=fail), table, mode=mode)
        assert content(connection, table) == [{"n": 1, "t": "old"}]


def test_a_killed_connection(connection, db) -> None:
    table = db.table(COLUMNS, "(1, 'old')")
    owner = owner_of(table)

    def kill() -> None:
        until(lambda: db.sessions("LOAD DATA"))
        for number in db.sessions(table):
            db.run(f"KILL {number}")

    many = numbers(*range(10, 5000), text="x" * 500)
    more = numbers(*range(5000, 10000), text="x" * 500)
    with pytest.raises(RetryError, match="ry again"):
        load(connection, Rows(many, more, before=kill), table, owner)
    until(lambda: db.count(table) == 1)
    load(connection, Rows(many, more), table, owner)
    assert db.count(table) == 9991


_LOADER = """
import sys, time, pyarrow as pa
sys.path.insert(0, "tests")
from made_rows import Rows
from tradewind.systems.mysql.connection import MySQLConnection
from tradewind.systems.mysql.table import MySQLTable
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
table, run, create = sys.argv[1:]
rows = pa.table({"n": range(10, 5000), "t": ["x" * 500] * 4990})
more = pa.table({"n": range(5000, 5001), "t": ["x"]})
def hang():
    print("hanging", flush=True)
    time.sleep(600)
target = MySQLTable(MySQLConnection(), table, create=create == "1")
transfer(Rows(rows, more, before=hang), target, Owner("dag", run, "t"))
"""


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("alive", [False, True])
def test_an_attempt_that_died_or_hangs(
    local_mariadb: Systems, connection, db, create, alive
) -> None:
    table = fresh("made") if create else db.table(COLUMNS)
    run = fresh("run")
    environment = {**os.environ, **local_mariadb.environment}
    command = [sys.executable, "-c", _LOADER, table, run, str(int(create))]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as loader:
        try:
            assert loader.stdout is not None
            assert loader.stdout.readline() == "hanging\n"
            if not alive:
                loader.send_signal(signal.SIGKILL)
                loader.wait()
            rows = Rows(numbers(1, 2))
            receipt = load(connection, rows, table, Owner("dag", run, "t"), create=create)
            assert receipt.rows == 2
        finally:
            loader.kill()
    assert db.count(table) == 2
    assert db.tables_like(table) == [table]


def test_two_owners_take_turns(connection, db) -> None:
    table = db.table(COLUMNS)
    inside, go = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go.wait(30)

    first = threading.Thread(
        target=load, args=(connection, Rows(numbers(1), numbers(2), before=wait), table)
    )
    first.start()
    assert inside.wait(30)
    with pytest.raises(RetryError, match="another load"):
        load(connection, numbers(3), table, lock_timeout=0.1)
    go.set()
    load(connection, numbers(3), table)
    first.join()
    assert db.count(table) == 3


def test_two_attempts_of_one_owner(connection, db) -> None:
    table = db.table(COLUMNS)
    owner = owner_of(table)
    inside, go = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def wait() -> None:
        inside.set()
        assert go.wait(30)

    def older() -> None:
        try:
            load(connection, Rows(numbers(1), numbers(2), before=wait), table, owner)
        except BaseException as error:
            failed.append(error)

    first = threading.Thread(target=older)
    first.start()
    assert inside.wait(30)
    load(connection, numbers(1, 2), table, owner)
    go.set()
    first.join()
    assert isinstance(failed[0], RetryError)
    assert db.count(table) == 2


def test_a_connection_lost_while_committing(connection, db, monkeypatch) -> None:
    from tradewind.systems.mysql.session import Session

    execute = Session.execute
    for committed in (True, False):
        table = db.table(COLUMNS)
        armed = [True]

        def lose(session, sql, *values, committed=committed, armed=armed):
            known = getattr(session, "writing", False)
            if isinstance(sql, str) and sql.startswith("REPLACE INTO"):
                session.writing = True
            if sql == "COMMIT" and known and armed:
                armed.clear()
                if committed:
                    execute(session, sql)
                session.abort()
                return execute(session, "SELECT 1")
            return execute(session, sql, *values)

        monkeypatch.setattr(Session, "execute", lose)
        owner = owner_of(table)
        if committed:
            assert load(connection, numbers(1, 2), table, owner).rows == 2
        else:
            with pytest.raises(RetryError, match="Nothing of it is visible"):
                load(connection, numbers(1, 2), table, owner)
            assert db.count(table) == 0
            assert load(connection, numbers(1, 2), table, owner).rows == 2
        monkeypatch.undo()
        assert db.count(table) == 2


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "NULL", "null", '"', '""', ",", "\n", "\r\n", "\\", "\\N", "a\\", '",', "\t", "\0", "'"]
)
_KINDS = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.float32(): st.floats(allow_nan=False, allow_infinity=False, width=32),
    pa.decimal128(20, 5): st.decimals(-(10**14), 10**14, places=5),
    pa.decimal256(65, 30): st.integers(-(10**65) + 1, 10**65 - 1).map(
        lambda number: Decimal(number).scaleb(-30, __import__("decimal").Context(prec=70))
    ),
    pa.string(): _TEXT,
    pa.binary(): st.binary(max_size=12),
    pa.date32(): st.dates(dt.date(1, 1, 1)),
    pa.timestamp("us"): st.datetimes(dt.datetime(1, 1, 1)),
    pa.timestamp("us", "UTC"): st.datetimes(
        dt.datetime(1970, 1, 2), dt.datetime(2038, 1, 1), timezones=st.just(dt.UTC)
    ),
    pa.time64("us"): st.times(),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    kinds = draw(st.lists(st.sampled_from(list(_KINDS)), min_size=1, max_size=5))
    rows = draw(st.integers(0, 4))
    columns = {
        f"c{number}": pa.array(
            draw(st.lists(st.none() | _KINDS[kind], min_size=rows, max_size=rows)), kind
        )
        for number, kind in enumerate(kinds)
    }
    return pa.table(columns)


@pytest.mark.parametrize("how", ["infile", "insert"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables())
def test_every_value_comes_back(connection, db, how, table) -> None:
    """Table to table, table to CSV to table: the same values."""
    numbered = table.append_column("row", pa.array(range(table.num_rows), pa.int32()))
    first, second = fresh("first"), fresh("second")
    load(connection, numbered, first, create=True, load=how)
    source = MySQLSource(connection, f"SELECT * FROM {first} ORDER BY `row`")
    with source.batches() as batches:
        got = pa.Table.from_batches(list(batches), batches.schema)
    assert got.schema == numbered.schema
    assert got.to_pylist() == numbered.to_pylist()

    format = CsvFormat()
    encoded = source.encoded(format)
    assert encoded is not None
    text = b"".join(encoded.chunks)
    with format.decode([text], schema=numbered.schema) as batches:
        back = pa.Table.from_batches(list(batches), batches.schema)
    load(connection, back, second, create=True, load=how)
    checksums = {db.rows(f"CHECKSUM TABLE {name}")[0][1] for name in (first, second)}
    assert len(checksums) == 1
    db.run(f"DROP TABLE {first}, {second}")
