"""Files of this machine: a store."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="files",
    title="Files of this machine",
    schemes=("file",),
    store="tradewind.systems.files.store:FileStore",
)
