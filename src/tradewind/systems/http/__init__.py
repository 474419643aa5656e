"""HTTP APIs: a source of records, and jobs behind an API."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="http",
    title="HTTP APIs",
    schemes=("http", "https"),
    source="tradewind.systems.http.source:RestSource",
    connection_types=("http", "https"),
    default_connection="http_default",
    connection="tradewind.systems.http.airflow:connection_of",
    backend="tradewind.systems.http.backend:RestJobBackend",
    install="pip install 'tradewind[http]'",
    doctor="tradewind.systems.http.doctor:checks",
)
