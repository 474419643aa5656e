"""Any database with a DB-API or ADBC connection: a source."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="dbapi",
    title="Any DB-API or ADBC connection",
    source="tradewind.systems.dbapi.source:DbApiSource",
)
