"""MongoDB: a source, and a server on this machine."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="mongodb",
    title="MongoDB",
    schemes=("mongodb", "mongodb+srv"),
    source="tradewind.systems.mongodb.source:MongoSource",
    connection_types=("mongo",),
    default_connection="mongo_default",
    default_port=27017,
    connection="tradewind.systems.mongodb.airflow:connection_of",
    local="tradewind.systems.mongodb.local:SYSTEM",
    install="pip install 'tradewind[mongo]'",
    doctor="tradewind.systems.mongodb.doctor:checks",
)
