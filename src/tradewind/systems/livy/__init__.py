"""Apache Livy: batches and statements."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="livy",
    title="Apache Livy",
    backend="tradewind.systems.livy.backend:LivyBackend",
    connection_types=("livy",),
    default_connection="livy_default",
    install="pip install 'tradewind[http]'",
    sweep="tradewind.systems.livy.sweep:leftovers",
    sweep_place="CONNECTION",
    sweep_help=(
        "batches and sessions: an Airflow connection (CONNECTION/PREFIX where Livy has one), or "
        "Livy's http://host:port/prefix"
    ),
)
