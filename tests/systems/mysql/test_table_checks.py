"""What MySQL would do in silence, or refuse late: references, names, a zombie's staging table."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mysql_client import need_mysql_client

need_mysql_client()

from made_rows import Rows  # noqa: E402
from mysql_server import database_on, fresh, load, owner_of  # noqa: E402
from tradewind.errors import InputError, RetryError  # noqa: E402
from tradewind.move.transfer import transfer  # noqa: E402
from tradewind.systems.mysql.load import Load, open_session  # noqa: E402
from tradewind.systems.mysql.source import MySQLSource  # noqa: E402
from tradewind.systems.mysql.table import MySQLTable  # noqa: E402


def ids(*values: int, **more: list) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int32()), **more})


def test_names_that_the_server_does_not_take(connection, db) -> None:
    data = Rows(ids(1))
    with pytest.raises(InputError, match="65 characters; the server keeps 64"):
        load(connection, data, "n" * 65, create=True)
    assert not data.asked
    with pytest.raises(InputError, match="65 characters"):
        load(connection, ids(1, **{"c" * 65: [1]}), fresh("long"), create=True)


def test_two_tables_of_one_owner_whose_names_begin_alike(connection, db) -> None:
    alike = (fresh("alike") + "x" * 64)[:62]
    owner = owner_of("alike")

    def other() -> None:
        load(connection, ids(7, 8, 9), f"{alike}_b", owner, create=True)

    load(connection, Rows(ids(1), ids(2), before=other), f"{alike}_a", owner, create=True)
    assert (db.count(f"{alike}_a"), db.count(f"{alike}_b")) == (2, 3)
    assert len(db.tables_like(alike[:30])) == 2


def test_a_staged_table_of_a_former_version_is_made_visible(connection, db) -> None:
    table = fresh("former")
    owner = owner_of(table)
    load(connection, ids(1, 2), table, owner, create=True)
    db.run(f"RENAME TABLE {table} TO {table}__{owner.digest}")
    db.run(f"UPDATE tradewind_published SET state = 'staged' WHERE target = '{table}'")
    again = Rows(ids(3))
    assert load(connection, again, table, owner, create=True).rows == 2
    assert not again.asked
    assert db.tables_like(table) == [table]


def test_a_zombie_leaves_the_staging_table_of_the_retry(connection, db) -> None:
    table = fresh("zombie")
    owner = owner_of(table)
    target = MySQLTable(connection, table, create=True)

    def retry() -> None:
        # It ends the first attempt, and makes the table anew; the first wakes while it loads.
        def wake() -> None:
            zombie.discard()

        load(connection, Rows(ids(1), ids(2), before=wake), table, owner, create=True)

    session = open_session(connection)
    zombie = Load(target, session, owner, schema=target.schema, how=target.load)
    try:
        assert zombie.begin() is None
        zombie._make(pa.schema([("id", pa.int32())]))
        retry()
    finally:
        session.close()
    assert db.count(table) == 2
    assert db.tables_like(table) == [table]
    sql = f"SELECT table_comment FROM information_schema.tables WHERE table_name = '{table}'"
    assert db.value(sql) == ""


@pytest.mark.parametrize("rule", ["CASCADE", "SET NULL"])
def test_a_replace_does_not_change_rows_of_others(connection, db, rule: str) -> None:
    parent = db.table("id INT PRIMARY KEY", "(1), (2)", name="cust")
    child = db.table(
        f"id INT, FOREIGN KEY (id) REFERENCES {parent} (id) ON DELETE {rule}", "(1), (2)"
    )
    data = Rows(ids(1, 2))
    with pytest.raises(InputError, match=rf"{child} \(ON DELETE {rule}\).*cascade=True"):
        load(connection, data, parent, mode="replace")
    assert not data.asked
    assert int(db.value(f"SELECT COUNT(id) FROM {child}") or 0) == 2
    load(connection, data, parent, mode="replace", cascade=True)
    assert int(db.value(f"SELECT COUNT(id) FROM {child}") or 0) == 0


def test_a_replace_that_references_forbid_points_to_upsert(connection, db) -> None:
    parent = db.table("id INT PRIMARY KEY", "(1), (2)", name="cust")
    db.table(f"id INT, FOREIGN KEY (id) REFERENCES {parent} (id)", "(1), (2)")
    with pytest.raises(InputError, match="mode='upsert' writes over rows"):
        load(connection, ids(1, 2), parent, mode="replace")
    load(connection, ids(1, 2, 3), parent, mode="upsert")
    assert db.count(parent) == 3


@pytest.mark.parametrize("kind", ["PERSISTENT", "VIRTUAL"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_generated_column_is_told_as_one(connection, db, kind: str, mode: str) -> None:
    columns = f"id INT AUTO_INCREMENT PRIMARY KEY, net INT, total INT AS (net * 2) {kind}"
    table = db.table(columns)
    with pytest.raises(InputError, match=r"computes 'total' itself.*id, net"):
        load(connection, ids(7, net=[1], total=[2]), table, mode=mode)
    load(connection, ids(7, net=[1]), table, mode=mode)
    assert db.rows(f"SELECT id, total FROM {table}") == [("7", "2")]


def test_names_as_mysql_reads_them(connection, db) -> None:
    table = fresh("Order Items")
    where = connection.database
    db.run(f"CREATE TABLE `{table}` (id INT)")
    db.run(f"CREATE TABLE `{table}.x` (id INT)")
    for name in (table, f"`{table}`", f"`{where}`.`{table}`", f"{where}.`{table}`"):
        load(connection, ids(1), name)
    load(connection, ids(1), f"`{table}`", schema=f"`{where}`")
    assert db.count(f"`{table}`") == 5
    load(connection, ids(1), f"`{table}.x`")
    assert db.count(f"`{table}.x`") == 1


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_a_copy_of_a_table_with_generated_columns(connection, db, mode: str) -> None:
    columns = (
        "id INT AUTO_INCREMENT PRIMARY KEY, net DECIMAL(10,2), vat DECIMAL(10,2), "
        "total DECIMAL(12,2) AS (net + vat) PERSISTENT, twice DECIMAL(12,2) AS (net * 2) VIRTUAL"
    )
    orders, copied = db.table(columns), db.table(columns)
    db.run(f"INSERT INTO {orders} (id, net, vat) VALUES (2, 1, 0.19), (5, NULL, 1)")
    source = MySQLSource(connection, f"SELECT * FROM {orders}")
    with pytest.raises(InputError, match=r"computes 'total', 'twice' itself.*skip_generated"):
        transfer(source, MySQLTable(connection, copied, mode=mode), owner_of("copy"))
    target = MySQLTable(connection, copied, mode=mode, skip_generated=True)
    transfer(source, target, owner_of("copy"))
    assert db.rows(f"SELECT * FROM {copied}") == db.rows(f"SELECT * FROM {orders}")


def test_a_locked_table_is_waited_for_as_long_as_is_said(connection, db) -> None:
    table = db.table("id INT")
    with database_on(connection) as other:
        other.run(f"LOCK TABLES {table} WRITE")
        with pytest.raises(RetryError, match="Others hold locks"):
            load(connection, pa.table({"id": pa.array([1], pa.int32())}), table, lock_timeout=1)
    assert not db.count(table)
