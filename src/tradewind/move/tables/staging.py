"""What tables of SQL systems have in common as targets: arguments, columns, slices.

Over 400 lines: small functions that all tables use, most of each its error and remedy.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.interface import names_option, target_option
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "LEDGER",
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

_SWITCHES = ("create", "cascade", "skip_generated")
MODES = ("append", "replace", "upsert")

Slice = Mapping[str, Any] | str | tuple[str, Any]


@dataclass(frozen=True)
class TableColumn:
    """A column of a target table.

    Args:
        name: Its name.
        type: Its type, as the system spells it, in lower case.
        filled: Whether a row may leave it out.
        generated: Whether it is computed, so that nothing can be written to it.
        precision: Digits of fractions of seconds; None where it is no time.
        scale: Digits after the point; None where it has none of its own.
        length: Characters of a text, bytes of bytes, that it has room for; None for no number.
        members: The values of an ENUM or SET.
        spelled: The type with all that belongs to it, for messages.
    """

    name: str
    type: str
    filled: bool = True
    generated: bool = False
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    members: tuple[str, ...] = ()
    spelled: str = ""


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


def check_claim(
    system: str,
    table: str,
    *,
    claimed: int,
    there: int | None,
    at: str,
    gone: str = "that table is gone",
) -> None:
    """See that a table has what the ledger says an earlier attempt has appended to it.

    Args:
        system: The system, for messages.
        table: The table, for messages.
        claimed: Rows that were appended.
        there: Rows of the table, counted up to `claimed`; None where the table is gone, or another
            one has its name.
        at: When they were appended.
        gone: What became of the table where it is not there.

    Raises:
        InputError: They are not there.
    """
    if there is not None and there >= claimed:
        return
    found = gone if there is None else f"it has {there} rows"
    raise InputError(
        f"{system}: this run has appended {claimed} rows to {table} at {at}, and by now {found}. "
        "Whoever did that may have used them, so they are not written again. To write them again, "
        "clear the task, or give the run another name (--run). If all is as it should be, nothing "
        "is left to do: mark the task as success."
    )


def said_of_cascade(cascade: bool) -> str:
    """Say, for a plan, what becomes of other tables' rows that refer to deleted ones."""
    if cascade:
        return ", with what its foreign keys do to rows of other tables (cascade)"
    return "; refused where foreign keys would delete or change rows of other tables"


def refuse_cascade(system: str, table: str, references: Sequence[tuple[str, str]]) -> None:
    """Refuse to delete rows where other tables' rows would go, or change, with them.

    Args:
        system: The system, for messages.
        table: Whose rows are to be deleted.
        references: Each table that refers to it, and what its foreign key does: ``CASCADE``,
            ``SET NULL`` or ``SET DEFAULT``.

    Raises:
        InputError: There are any.
    """
    if references:
        listed = ", ".join(f"{name} (ON DELETE {rule})" for name, rule in references)
        raise InputError(
            f"{system}: to replace rows of {table} would delete or change rows of other tables "
            f"that refer to it: {listed}. {target_option('mode', 'upsert')} writes over rows "
            f"and deletes none; {target_option('cascade', True)} replaces all the same."
        )


def refuse_names(
    system: str, names: Iterable[str], limit: int, unit: str, size: Callable[[str], int] = len
) -> None:
    """Refuse names that are longer than a system keeps.

    Args:
        system: The system, for messages.
        names: Of tables, schemas, columns.
        limit: The most that it keeps.
        unit: What it counts: ``bytes`` or ``characters``.
        size: Counts them.

    Raises:
        InputError: One is too long.
    """
    for name in names:
        if size(name) > limit:
            shown = name if len(name) <= 100 else f"{name[:100]}..."
            raise InputError(
                f"{system}: the name {shown!r} has {size(name)} {unit}; the server keeps {limit}, "
                "and what is cut may be another table's or column's name. Give a shorter one."
            )


def table_options(
    system: str, options: Mapping[str, str], more: Sequence[str] = ()
) -> dict[str, Any]:
    """Read the options of a table from the command line.

    Args:
        system: Its name, for messages.
        options: ``table``, ``mode``, ``slice`` (a JSON object or a condition), ``keys`` and
            ``columns`` (with commas), ``create``, ``cascade`` and ``skip_generated`` (``true``).
        more: Names of further options, kept as they are.

    Returns:
        Arguments of `SqlTable`.

    Raises:
        InputError: Something of it is wrong.
    """
    given = dict(options)
    keywords: dict[str, Any] = {"table": given.pop("table", "")}
    keywords |= {name: given.pop(name) for name in ("mode", "slice", *more) if name in given}
    if keywords.get("slice", "").lstrip().startswith("{"):
        try:
            keywords["slice"] = json.loads(keywords["slice"])
        except ValueError as error:
            raise InputError(f"{system}: the slice is no JSON object: {error}.") from error
    for name in ("keys", "columns"):
        if name in given:
            keywords[name] = [part.strip() for part in given.pop(name).split(",")]
    for name in _SWITCHES:
        if name in given:
            asked = given.pop(name).lower()
            if asked not in ("true", "false"):
                raise InputError(f"{system}: {name} is true or false.")
            keywords[name] = asked == "true"
    if "lock_timeout" in keywords:
        keywords["lock_timeout"] = _seconds(system, keywords["lock_timeout"])
    if given:
        raise InputError(
            f"{system}: a table has no option {', '.join(sorted(given))}. Choose from: table, "
            f"{', '.join(['mode', 'slice', *more, 'keys', 'columns', *_SWITCHES])}."
        )
    return keywords


def _seconds(system: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e7:
        raise InputError(f"{system}: lock_timeout is a number of seconds, like 60.")
    return seconds


def matched(
    system: str,
    table: str,
    columns: Sequence[TableColumn],
    names: Sequence[str],
    *,
    asked: Sequence[str] | None,
    keys: Sequence[str],
) -> tuple[TableColumn, ...]:
    """Find the table's column for each of the data's.

    Args:
        system: The system, for messages.
        table: The table, for messages.
        columns: All of the table's.
        names: The data's.
        asked: The table's columns that the data's go to one by one, if chosen.
        keys: Columns that must be among them.

    Returns:
        One for each name.

    Raises:
        InputError: They do not fit together.
    """
    wanted = tuple(names)
    if asked is not None:
        if len(asked) != len(wanted):
            raise InputError(
                f"{system}: columns names {len(asked)} columns of {table}, the data have "
                f"{len(wanted)}: {', '.join(wanted)}. Name one for each."
            )
        wanted = tuple(asked)
    # Names that differ in case only are the same column to these systems.
    writable = {column.name.lower(): column for column in columns if not column.generated}
    found = [name.lower() for name in wanted]
    for name in found:
        if found.count(name) > 1:
            raise InputError(f"{system}: the data have the column {name!r} twice. Name one.")
    computed = {column.name.lower() for column in columns if column.generated}
    refuse_generated(
        system,
        table,
        [name for name in wanted if name.lower() in computed],
        [name for name in wanted if name.lower() not in computed],
    )
    surplus = [name for name in wanted if name.lower() not in writable]
    lacking = [
        column.name
        for column in columns
        if column.name.lower() not in found and not column.filled and not column.generated
    ]
    if surplus or lacking:
        wrong = []
        if surplus:
            wrong.append(f"the data have {', '.join(map(repr, surplus))}, which it has not")
        if lacking:
            wrong.append(f"it has {', '.join(map(repr, lacking))}, which the data have not")
        raise InputError(
            f"{system}: the columns of {table} and of the data differ: {'; '.join(wrong)}. "
            f"Select the same names, or give {names_option('columns')}."
        )
    for key in keys:
        if key.lower() not in found:
            raise InputError(f"{system}: the data have no column {key!r}, a key.")
    return tuple(writable[name] for name in found)


def refuse_generated(
    system: str, table: str, generated: Sequence[str], others: Sequence[str]
) -> None:
    """Refuse data for columns that the table computes itself.

    Args:
        system: The system, for messages.
        table: The table.
        generated: Such columns among the data's.
        others: The data's other columns.

    Raises:
        InputError: There are any.
    """
    if generated:
        raise InputError(
            f"{system}: {table} computes {', '.join(map(repr, generated))} itself (GENERATED "
            "ALWAYS AS), so no value can be written there. Leave it out of the data: by "
            f"{target_option('skip_generated', True)}, or by "
            f"a query that selects the others only: {', '.join(others)}."
        )


def refused_by_triggers(
    system: str, table: str, triggers: Sequence[str], dropped: int, rows: int
) -> InputError:
    """Make the error for rows that triggers of a table have left out.

    Args:
        system: The system, for messages.
        table: The table.
        triggers: Their names.
        dropped: How many rows are not there.
        rows: How many there should be.
    """
    return InputError(
        f"{system}: {dropped} of {rows} rows for {table} were left out by its triggers "
        f"({', '.join(triggers)}). Nothing of it is visible. Leave such rows out of the data, or "
        "load into a table without these triggers."
    )


def without_generated(batches: Batches, generated: Iterable[str], *, fold: bool) -> Batches:
    """Leave out columns that a table computes itself.

    Args:
        batches: The data.
        generated: Names of such columns.
        fold: Whether names that differ in case only are the same.

    Returns:
        The data's other columns.
    """
    import pyarrow as pa

    def folded(name: str) -> str:
        return name.lower() if fold else name

    computed = {folded(name) for name in generated}
    kept = [n for n, name in enumerate(batches.schema.names) if folded(name) not in computed]
    if len(kept) == len(batches.schema):
        return batches
    schema = pa.schema([batches.schema.field(n) for n in kept], batches.schema.metadata)

    def chosen() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            # By hand: a batch without any column would forget its rows.
            arrays = [batch.column(n) for n in kept]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Batches(schema, chosen(), on_close=batches.close)


def slice_condition(
    slice: Slice,
    columns: Sequence[TableColumn],
    *,
    quote: Callable[[str], str],
    mark: str,
    system: str,
    equal: Callable[[TableColumn, str, Any], tuple[str, list[Any]]] | None = None,
) -> tuple[str, Any]:
    """Write a slice as a condition.

    Args:
        slice: Values by column, a condition, or a condition and its parameters.
        columns: The table's columns.
        quote: Writes a name.
        mark: What stands for a value: ``%s`` or ``?``.
        system: The system, for messages.
        equal: Writes that a column, with its name in SQL, has a value: a condition, in which each
            of its parameters stands as a mark. None for ``=``.

    Returns:
        The condition and its parameters; None for none.

    Raises:
        InputError: It is empty or names a column that is not there.
    """
    if isinstance(slice, str):
        condition, parameters = slice, None
    elif isinstance(slice, Mapping):
        known = {column.name.lower(): column for column in columns}
        for name in slice:
            if name.lower() not in known:
                raise InputError(
                    f"{system}: the slice names the column {name!r}, which the table has not. "
                    f"Choose from: {', '.join(column.name for column in columns)}."
                )
        # Where marks are formatted in, a percent sign of a name's own has to be told from them.
        spelled = {
            name: quote(name).replace("%", "%%") if mark == "%s" else quote(name) for name in slice
        }
        parts: list[str] = []
        parameters = []
        for name, value in slice.items():
            part, values = f"{spelled[name]} = {mark}", [value]
            if value is None:
                part, values = f"{spelled[name]} IS NULL", []
            elif equal is not None:
                part, values = equal(known[name.lower()], spelled[name], value)
            parts.append(part)
            parameters += values
        condition = " AND ".join(parts)
    elif isinstance(slice, tuple | list) and len(slice) == 2 and isinstance(slice[0], str):
        condition, parameters = slice[0], slice[1]
    else:
        raise InputError(
            f"{system}: a slice is a mapping of columns to values, a condition, or a pair of a "
            "condition and its parameters."
        )
    if not condition.strip():
        raise InputError(f"{system}: the slice is empty. Leave it out to replace all rows.")
    return condition, parameters
