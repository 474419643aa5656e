"""SQLite: a source and a table."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="sqlite",
    title="SQLite",
    schemes=("sqlite",),
    source="tradewind.systems.sqlite.source:SQLiteSource",
    target="tradewind.systems.sqlite.table:SQLiteTable",
    connection_types=("sqlite",),
    default_connection="sqlite_default",
    connection="tradewind.systems.sqlite.airflow:connection_of",
    in_file=True,
    dialect="sqlite",
)
