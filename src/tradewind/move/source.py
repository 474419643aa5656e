"""What a source is: where data comes from."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.move.batches import Batches
    from tradewind.move.division import Division
    from tradewind.move.format import Format
    from tradewind.owner import Owner

__all__ = ["Encoded", "Source"]


@dataclass(frozen=True)
class Encoded:
    """Data in a format that their system has written itself.

    Args:
        chunks: The bytes, in pieces of some megabytes or less. Closing it early ends the reading.
        columns: Names of the columns, where they are known before the first byte is read.
        rows: Tells how many rows there were, once `chunks` is exhausted; None where the source
            cannot know without parsing.
    """

    chunks: Iterator[bytes]
    columns: tuple[str, ...] | None = None
    rows: Callable[[], int | None] = lambda: None


class Source(ABC):
    """Where data comes from. Nothing is opened before it is asked for.

    A source can be read once or again; each reading is one consistent snapshot, and reading the
    same data again gives the same rows in the same order where the system allows it.
    """

    decides: ClassVar[tuple[str, ...]] = ()
    """Attributes that decide which rows are read. A class that names none in itself is never
    taken for one that was there before."""
    notes: tuple[str, ...] = ()
    """What the receipt says of how it was read, one sentence each; known after the reading."""

    core: str | None = None
    """Which decoder gave what it has given last, for receipts: see `tradewind.move.native`. None
    where there is no choice of one."""

    owner: Owner | None = None
    """Set by `tradewind.move.transfer` while it reads: whose reading it is, for a source that has
    something on its system meanwhile. None where it is read without."""

    stop: threading.Event | None = None
    """Set by the flow that reads the source. Once the event is set, a wait for the other system, as
    for a Retry-After, ends with `CancelledError`."""

    @property
    def own_format(self) -> Format | None:
        """The format that the data are in already, in which `encoded` passes them through.

        None where their system has none, or writes any.
        """
        return None

    def refuse_target(self, target: object) -> None:  # noqa: B027  most sources lie elsewhere
        """Refuse a target that lies in what is read here, before anything is read.

        Args:
            target: Where the data will go.

        Raises:
            InputError: Each run would read what the one before has written.
        """

    def discard(self, owner: Owner) -> None:  # noqa: B027  most sources leave nothing
        """Remove what earlier attempts have left on the system, where nothing is read any more.

        Called where the target finds its owner's work done. What cannot be removed is logged, and
        is for the sweep.

        Args:
            owner: Whose attempts.
        """

    @abstractmethod
    def describe(self) -> str:
        """Name system and object in one line, without any secret: for messages and receipts."""

    def identity(self) -> Any:
        """Describe all that decides its rows, without secrets; None where that cannot be told."""
        from tradewind.move.identity import described

        return described(self)

    @abstractmethod
    def batches(self) -> Batches:
        """Read typed record batches in the types of `tradewind.move.types`.

        Returns:
            Batches of some megabytes, a few in memory at a time. Where they begin and end depends
            on the data alone, never on timing, so that a retry writes the same bytes. Closing
            them ends the reading on the other system too.

        Raises:
            InputError: Query, table, document or such is wrong.
            SetupError: Connection, credentials or permissions are wrong.
            RetryError: The system or the way to it is in trouble.
        """

    def loose_batches(self, format: Format) -> Batches | None:
        """Read batches for a format without one type a column: each value by its own type.

        Args:
            format: CSV or JSON lines, with its options; see `Format.loose`.

        Returns:
            Batches that may differ in their types, and for JSON lines in further columns behind
            the first ones. None where types are certain, not guessed: then `batches` is used.

        Raises:
            TradewindError: As `batches`.
            SourceChangedError: A column turned up that the header has not: read again from the
                beginning, and it is there.
        """
        return None

    def encoded(self, format: Format) -> Encoded | None:
        """Read bytes that the system can write itself in this format: the shortest way.

        Args:
            format: The format asked for, with its options.

        Returns:
            The bytes, or None where the system cannot write exactly this; then `batches` is used.

        Raises:
            TradewindError: As `batches`.
        """
        return None

    def divide(self, number: int, by: str | None = None) -> Division:
        """Divide the data into shares that several workers read, each with `share`.

        Args:
            number: How many, at most.
            by: A column of the result, for sources that are divided by ranges of one.

        Raises:
            InputError: It cannot be divided, or not by that.
            TradewindError: As `batches`.
        """
        raise InputError(
            f"{self.describe()}: this cannot be spread over several workers. Queries of PostgreSQL "
            "and MySQL can, and objects; move it with TransferOperator."
        )

    def share(self, told: Mapping[str, Any]) -> Source:
        """Make the source of one share.

        Args:
            told: One of `tradewind.move.division.Division.shares`, of a source with the same
                arguments.
        """
        raise NotImplementedError(f"{type(self).__name__} has no shares")

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make the source that a URI of the command line names.

        Args:
            uri: Scheme, host, path; secrets come from the environment instead.
            options: What else was asked for, by the name of the argument, like ``query``.

        Returns:
            The source.

        Raises:
            InputError: The URI or an option is wrong, or one is missing.
        """
        raise NotImplementedError(f"{cls.__name__} has no URI")
