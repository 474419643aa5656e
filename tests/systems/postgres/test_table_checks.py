"""What PostgreSQL would do in silence, or refuse late: names, references, identities, keys."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from made_rows import Rows
from postgres_server import connection_to, fresh, owner_of
from tradewind.errors import InputError, SetupError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.receipt import Receipt
from tradewind.move.transfer import transfer
from tradewind.systems.files.store import FileStore
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable


def load(connection: PostgresConnection, rows: Rows | pa.Table, table: str, **options) -> Receipt:
    source = rows if isinstance(rows, Rows) else Rows(rows)
    return transfer(source, PostgresTable(connection, table, **options), owner_of("checks"))


def ids(*values: int, **more: list) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int32()), **more})


@pytest.mark.parametrize("name", ["n" * 64, "é" * 32])
def test_names_that_the_server_would_cut(connection, db, name: str):
    data = Rows(ids(1))
    with pytest.raises(InputError, match="64 bytes; the server keeps 63"):
        load(connection, data, name, create=True)
    assert not data.asked
    with pytest.raises(InputError, match="64 bytes"):
        load(connection, ids(1), "t", schema=name, create=True)
    made = fresh("long")
    with pytest.raises(InputError, match="64 bytes"):
        load(connection, ids(1, **{name: [1]}), made, create=True)
    assert db.value("SELECT to_regclass($1)::text", made) is None
    longest = (made + "n" * 63)[:63]
    load(connection, ids(1), longest, create=True)
    assert db.value(f"SELECT count(*) FROM {longest}") == 1


@pytest.mark.parametrize("rule", ["CASCADE", "SET NULL", "SET DEFAULT"])
@pytest.mark.parametrize("slice", [None, {"id": 1}])
def test_a_replace_does_not_change_rows_of_others(connection, db, rule: str, slice):
    parent = db.table("id int PRIMARY KEY", "VALUES (1), (2)", name="cust")
    child = db.table(f"id int REFERENCES {parent} ON DELETE {rule}", "VALUES (1), (2)", name="pay")
    data = Rows(ids(1) if slice else ids(1, 2))
    with pytest.raises(
        InputError, match=rf"{child} \(ON DELETE {rule}\).*mode='upsert'"
    ) as refused:
        load(connection, data, parent, mode="replace", slice=slice)
    assert "cascade=True" in str(refused.value)
    assert not data.asked
    assert db.value(f"SELECT count(id) FROM {child}") == 2
    load(connection, ids(1, 2, 3), parent, mode="upsert")
    assert db.value(f"SELECT count(id) FROM {child}") == 2
    load(connection, data, parent, mode="replace", slice=slice, cascade=True)
    assert db.value(f"SELECT count(id) FROM {child}") == (1 if slice else 0)


def test_references_of_partitions_and_of_a_table_to_itself(connection, db):
    whole = fresh("parts")
    db.run(
        f"CREATE TABLE {whole} (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        f"CREATE TABLE {whole}_1 PARTITION OF {whole} FOR VALUES FROM (0) TO (10);"
        f"CREATE TABLE {whole}_child (id int REFERENCES {whole}_1 ON DELETE CASCADE)"
    )
    with pytest.raises(InputError, match=f"{whole}_child"):
        load(connection, ids(1), whole, mode="replace")
    tree = db.table("id int PRIMARY KEY, up int", "VALUES (1, NULL), (2, 1)", name="tree")
    db.run(f"ALTER TABLE {tree} ADD FOREIGN KEY (up) REFERENCES {tree} ON DELETE CASCADE")
    load(connection, ids(1, 3, up=[None, 1]), tree, mode="replace")
    with pytest.raises(InputError, match="ON DELETE CASCADE"):
        load(connection, ids(1, up=[None]), tree, mode="replace", slice={"id": 1})


def test_the_plan_says_what_becomes_of_references(connection):
    (said, _) = PostgresTable(connection, "t", mode="replace").plan(None)
    assert "refused where foreign keys" in said
    (said, _) = PostgresTable(connection, "t", mode="replace", cascade=True).plan(None)
    assert "cascade" in said


@pytest.mark.parametrize("late", ["", "DEFERRABLE INITIALLY DEFERRED"])
def test_a_replace_that_references_forbid_points_to_upsert(connection, db, late: str):
    parent = db.table("id int PRIMARY KEY", "VALUES (1), (2)", name="cust")
    db.table(f"id int REFERENCES {parent} {late}", "VALUES (1), (2)", name="pay")
    with pytest.raises(InputError, match="mode='upsert' writes over rows"):
        load(connection, ids(1), parent, mode="replace")
    assert db.value(f"SELECT count(*) FROM {parent}") == 2


ORDERS = (
    "id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code int UNIQUE, net numeric(10,2),"
    " total numeric(12,2) GENERATED ALWAYS AS (net * 2) STORED"
)


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_ids_of_an_identity_are_kept(connection, db, mode: str):
    table = db.table(ORDERS, name="orders")
    db.run(f"INSERT INTO {table} (code, net) VALUES (70, 1)")
    known = [1, 12] if mode != "append" else [11, 12]
    load(connection, ids(*known, code=[71, 72], net=[3, 4]), table, mode=mode)
    found = db.rows(f"SELECT id, code, total::int FROM {table} WHERE code > 70 ORDER BY code")
    assert [tuple(row) for row in found] == [(known[0], 71, 6), (12, 72, 8)]


def test_an_identity_that_is_no_key_cannot_be_written_over(connection, db):
    table = db.table(ORDERS, name="orders")
    with pytest.raises(InputError, match=r"'id' of .* is GENERATED ALWAYS AS IDENTITY"):
        load(connection, ids(1, code=[7], net=[1]), table, mode="upsert", keys=["code"])
    load(connection, pa.table({"code": [7], "net": [1]}), table, mode="upsert", keys=["code"])
    assert db.value(f"SELECT count(*) FROM {table}") == 1


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_a_generated_column_is_told_as_one(connection, db, mode: str):
    table = db.table(ORDERS, name="orders")
    data = ids(1, code=[7], net=[1], total=[2])
    with pytest.raises(InputError, match=r"computes 'total' itself.*id, code, net"):
        load(connection, data, table, mode=mode)


@pytest.mark.parametrize("key", ["PRIMARY KEY", "UNIQUE"])
def test_a_deferrable_key_is_refused_before_reading(connection, db, key: str):
    table = db.table(f"id int {key} DEFERRABLE, t int")
    data = Rows(ids(1, t=[1]))
    with pytest.raises(InputError, match="DEFERRABLE"):
        load(connection, data, table, mode="upsert", keys=["id"])
    assert not data.asked
    db.run(f"CREATE UNIQUE INDEX ON {table} (id)")
    with pytest.raises(InputError, match="DEFERRABLE"):
        load(connection, data, table, mode="upsert", keys=["id"])


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_a_copy_of_a_table_with_identity_and_generated_columns(connection, db, mode: str) -> None:
    columns = (
        "id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, net numeric(10,2), vat numeric(10,2), "
        "total numeric(12,2) GENERATED ALWAYS AS (net + vat) STORED"
    )
    orders, copied = db.table(columns), db.table(columns)
    db.run(f"INSERT INTO {orders} (net, vat) VALUES (1, 0.19), (2, 0.38), (NULL, 1)")
    db.run(f"DELETE FROM {orders} WHERE id = 1")
    source = PostgresSource(connection, f"TABLE {orders}")
    with pytest.raises(InputError, match=r"computes 'total' itself.*skip_generated"):
        transfer(source, PostgresTable(connection, copied, mode=mode), owner_of("copy"))
    target = PostgresTable.from_uri(
        f"postgresql://{connection.user}:{connection.password}@{connection.host}:"
        f"{connection.port}/{connection.database}",
        {"table": copied, "mode": mode, "skip_generated": "true"},
    )
    transfer(source, target, owner_of("copy"))
    assert db.texts(copied) == db.texts(orders)


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_rows_that_a_trigger_leaves_out_are_told(connection, db, tmp_path: Path, mode: str) -> None:
    table, name = db.table("id int PRIMARY KEY, v int", "VALUES (0, 0)"), fresh("drops")
    db.run(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.v < 0 THEN RETURN NULL; END IF; RETURN NEW; END $$"
    )
    db.run(f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
    (tmp_path / "rows.csv").write_text("id,v\n1,1\n2,-1\n3,3\n")
    source = ObjectSource(FileStore(tmp_path), "rows.csv")
    with pytest.raises(InputError, match=f"1 of 3 rows .* left out by its triggers .{name}."):
        transfer(source, PostgresTable(connection, table, mode=mode), owner_of("drops"))
    assert db.texts(table) == ["(0,0)"]
    (tmp_path / "rows.csv").write_text("id,v\n1,1\n3,3\n")
    transfer(source, PostgresTable(connection, table, mode=mode), owner_of("drops"))
    assert db.texts(table)[-2:] == ["(1,1)", "(3,3)"]


def test_row_level_security_is_told_as_what_it_is(connection, db, local_postgres) -> None:
    table, role = db.table("id int, v int"), fresh("limited")
    db.run(
        f"CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT ALL ON {table} TO {role}; "
        f"GRANT ALL ON SCHEMA public TO {role}; "
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; "
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; "
        f"CREATE POLICY few ON {table} USING (v > 0) WITH CHECK (v > 0)"
    )
    limited = connection_to(local_postgres, user=role, password="p")
    data = Rows(pa.table({"id": [1, 2], "v": [1, -1]}))
    with pytest.raises((InputError, SetupError), match=r"row-level security"):
        transfer(data, PostgresTable(limited, table), owner_of("rls"))
    assert db.value(f"SELECT count(*) FROM {table}") == 0
