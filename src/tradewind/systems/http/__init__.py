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
    sweep="tradewind.systems.http.sweep:leftovers",
    sweep_place="CONNECTION=API",
    sweep_option="http-jobs",
    sweep_help=(
        "jobs of an HTTP API: an Airflow connection or https://host:port, and a file with the "
        "fields of its JobApi as JSON, or module:NAME"
    ),
)
