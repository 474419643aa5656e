"""PostgreSQL: a source, a table, and a server on this machine."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="postgres",
    title="PostgreSQL",
    schemes=("postgresql",),
    aliases={"postgres": "postgresql"},
    source="tradewind.systems.postgres.source:PostgresSource",
    target="tradewind.systems.postgres.table:PostgresTable",
    connection_types=("postgres", "postgresql"),
    default_connection="postgres_default",
    default_port=5432,
    connection="tradewind.systems.postgres.airflow:connection_of",
    local="tradewind.systems.postgres.local:SYSTEM",
    install="pip install 'tradewind[postgres]'",
    doctor="tradewind.systems.postgres.doctor:checks",
    dialect="postgres",
)
