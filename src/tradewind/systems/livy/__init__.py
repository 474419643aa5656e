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
)
