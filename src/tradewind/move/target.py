"""What a target is: where data are published."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tradewind.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.flow import Flow
    from tradewind.move.receipt import Stored
    from tradewind.owner import Owner

__all__ = ["Target"]


class Target(ABC):
    """Where data are published: visible at once and whole, or not at all."""

    decides: ClassVar[tuple[str, ...]] = ()
    """Attributes that decide what is written and where. A class that names none in itself is never
    taken for one that was there before."""

    @property
    def adds(self) -> bool:
        """Whether publishing once more adds to what stands there, instead of replacing it."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """Name system and object in one line, without any secret: for messages and receipts."""

    def identity(self) -> Any:
        """Describe all that decides what is written and where; None where that cannot be told."""
        from tradewind.move.identity import described

        return described(self)

    @abstractmethod
    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Publish all that flows, atomically.

        What earlier attempts of the same owner have left unfinished is removed first. Whatever
        may refuse (a missing bucket, ``replace=False``) is checked before `flow` is read.
        When anything is raised in between, also `KeyboardInterrupt`, nothing of it is visible and
        what was begun is removed; where the process dies instead, the next attempt removes it.

        Args:
            flow: The data; read at most once.
            owner: Whose effect this is.

        Returns:
            What now stands on the target, as the target's system says it.

        Raises:
            InputError: The data or the target's arguments are wrong.
            SetupError: Connection, credentials, permissions, or a missing bucket or table.
            RetryError: The system or the way to it is in trouble, or another attempt took over.
        """

    def page(self, stored: Stored) -> str | None:
        """Tell where a person sees in a browser what was published; None where there is no page.

        Args:
            stored: What `publish` has returned.
        """
        return None

    # ------------------------------------------------------------------------ over several workers

    shares_need_columns: ClassVar[bool] = False
    """Whether `share` and `publish_shares` ask for the names of the data's columns."""

    def check_shares(self) -> None:
        """Refuse, before anything is read, what cannot be published in shares.

        Raises:
            InputError: It cannot, or not with these arguments.
        """
        raise InputError(
            f"{self.describe()}: several workers cannot publish here together. Publish to objects "
            "in parts or to a table of PostgreSQL, or move it with TransferOperator."
        )

    def share(self, owner: Owner, number: int, columns: Sequence[str] = ()) -> Target:
        """Make the target of one share, which publishes nothing of the whole.

        Args:
            owner: Whose the whole is.
            number: Which share, from 0.
            columns: Names of the data's columns.
        """
        raise NotImplementedError(f"{type(self).__name__} has no shares")

    def publish_shares(self, owner: Owner, shares: int, columns: Sequence[str] = ()) -> Stored:
        """Publish all shares at once; where that is done already, say so.

        Args:
            owner: Whose the whole is.
            shares: How many there are.
            columns: Names of the data's columns.

        Raises:
            InputError: One is missing, or they do not fit together.
            TradewindError: As `publish`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no shares")

    def remove_shares(self, owner: Owner, shares: int) -> int:
        """Remove what shares have left that is not published.

        Args:
            owner: Whose the whole is.
            shares: How many there were.

        Returns:
            How many things were removed.
        """
        raise NotImplementedError(f"{type(self).__name__} has no shares")

    def plan(self, schema: pa.Schema | None) -> list[str]:
        """Say what `publish` would do, for a dry run; touches nothing.

        Args:
            schema: The columns that would flow; None where they pass through unparsed.

        Returns:
            Lines for a person.
        """
        return [f"publish to {self.describe()}"]

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make the target that a URI of the command line names.

        Args:
            uri: Scheme, host, path; secrets come from the environment instead.
            options: What else was asked for, by the name of the argument.

        Returns:
            The target.

        Raises:
            InputError: The URI or an option is wrong, or one is missing.
        """
        raise NotImplementedError(f"{cls.__name__} has no URI")
