"""What tables of SQL systems have in common as targets.

All that such a table needs is imported from here, also by systems of other distributions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from tradewind.errors import InputError
from tradewind.move.interface import target_option
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.tables.checks import (
    GONE,
    check_claim,
    refuse_cascade,
    refuse_names,
    refused_by_triggers,
    said_of_cascade,
)
from tradewind.move.tables.columns import (
    TableColumn,
    matched,
    refuse_generated,
    without_generated,
)
from tradewind.move.tables.options import table_options
from tradewind.move.tables.slices import Slice, slice_condition
from tradewind.move.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "GONE",
    "LEDGER",
    "Slice",
    "SqlTable",
    "TableColumn",
    "check_claim",
    "matched",
    "refuse_cascade",
    "refuse_generated",
    "refuse_names",
    "refused_by_triggers",
    "said_of_cascade",
    "slice_condition",
    "table_options",
    "without_generated",
]

LEDGER = "tradewind_published"
"""The table that says which owner has published what; beside the target, in its transaction."""

MODES = ("append", "replace", "upsert")


class SqlTable(Target):
    """The arguments that all tables take; see `tradewind.systems.mysql.table.MySQLTable`."""

    system_name: ClassVar[str] = "SQL"
    writes: ClassVar[str] = "write"
    """The verb of its plan for rows: ``copy`` where they go by COPY."""

    def __init__(
        self,
        table: str,
        *,
        mode: str = "append",
        slice: Slice | None = None,
        keys: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        create: bool = False,
        cascade: bool = False,
        skip_generated: bool = False,
        lock_timeout: float = 600.0,
    ) -> None:
        name = self.system_name
        if mode not in MODES:
            raise InputError(f"{name}: there is no mode {mode!r}. Choose {', '.join(MODES)}.")
        if slice is not None and mode != "replace":
            raise InputError(f"{name}: a slice goes with {target_option('mode', 'replace')} only.")
        if keys and mode != "upsert":
            raise InputError(f"{name}: keys go with {target_option('mode', 'upsert')} only.")
        if isinstance(keys, str) or isinstance(columns, str):
            raise InputError(f"{name}: keys and columns are lists of names, not one string.")
        if not table:
            raise InputError(f"{name}: the target needs the name of a table.")
        self.table = table
        self.mode = mode
        self.slice = slice
        self.keys = tuple(keys)
        self.columns = None if columns is None else tuple(columns)
        self.create = create
        self.cascade = cascade
        self.skip_generated = skip_generated
        self.lock_timeout = lock_timeout

    @property
    def adds(self) -> bool:
        """Whether publishing once more adds rows: an append."""
        return self.mode == "append"

    @property
    def full_name(self) -> str:
        """The table's name as a plan shows it."""
        return self.table

    @property
    @abstractmethod
    def uri(self) -> str:
        """The table as a URI without any secret."""

    def plan(self, schema: pa.Schema | None) -> list[str]:
        """Say what `publish` would do; see `Target.plan`."""
        table, verb = self.full_name, self.writes
        what = {
            "append": f"{verb} the rows into {table}, once",
            "replace": f"delete {'all rows' if self.slice is None else 'the slice'} of {table} "
            f"and {verb} the rows in{said_of_cascade(self.cascade)}",
            "upsert": f"write the rows over those of {table} with the same "
            f"{', '.join(self.keys) or 'primary key'}",
        }
        made = [f"create the table {table} if there is none"] if self.create else []
        return [*made, what[self.mode], f"commit, with a line in {LEDGER}"]

    def stored(
        self,
        rows: int,
        size: int | None,
        at: str | None = None,
        by: object = None,
        unchecked: str | None = None,
    ) -> Stored:
        """Say what stands there now; and when, and by whose attempt, if by an earlier one."""
        whose = None if by is None else str(by)
        objects = (StoredObject(self.uri, bytes=size, rows=rows),)
        return Stored(objects, rows=rows, at=at, by=whose, unchecked=unchecked)
