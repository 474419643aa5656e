"""What operators that copy objects between stores have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tradewind.airflow.base import MoveOperator, ProgressLog
from tradewind.airflow.lineage import Lineage, dataset_of_uri
from tradewind.errors import InputError, RetryError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from airflow.sdk import Context

    from tradewind.move.copy_pairs import Existing
    from tradewind.move.receipt import Receipt
    from tradewind.move.store import Store
    from tradewind.owner import Owner

__all__ = [
    "Copies",
    "CopyOperator",
    "flag",
    "folder_of",
    "one_slash",
    "refuse_others",
    "refuse_partial",
    "s3_folder",
    "without_folder_markers",
]

Pairs = list[tuple[str, str]]
_SHOWN = 20


@dataclass(frozen=True)
class Copies:
    """What is to be copied, by keys of the source and of the target.

    Args:
        source: Where from.
        target: Where to.
        pairs: Key of the source, key of the copy.
        read: Prefix of what is read, for lineage.
        written: Prefix of what is written.
        existing: What happens where a target exists.
        gzip: Compress on the way.
        content_type: Media type of the copies; the sources' when not given.
        metadata: User metadata instead of the sources'.
        skip_equal: Let be also what others have written, where it is a copy of the same source.
        surplus: Folder of the sources and of the copies, as `copy_pairs` takes them: what is the
            copy of nothing is deleted there when all are copied.
    """

    source: Store
    target: Store
    pairs: Pairs
    read: str = ""
    written: str = ""
    existing: Existing = "replace"
    gzip: bool = False
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None
    skip_equal: bool = False
    surplus: tuple[str, str] | None = None


class CopyOperator(MoveOperator):
    """An operator that copies objects between stores: subclasses say which.

    The return value is the official operator's; the receipt is the XCom ``receipt``. Where the
    official operator returns nothing, the receipt is the return value, as elsewhere.
    """

    _done: Pairs | None = None

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Say what is to be copied, from the rendered fields.

        Args:
            owner: Whose effect it is.
            resume: Whether it may have had earlier attempts.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it copies.")

    def names(self, keys: Iterable[str]) -> list[str]:
        """Leave markers of folders out, and say so in the log; see `without_folder_markers`."""
        found = list(keys)
        kept = without_folder_markers(found)
        if len(kept) < len(found):
            self.log.info("%d markers of folders are left out.", len(found) - len(kept))
        return kept

    def finish(self, copies: Copies, done: Pairs) -> None:
        """Do what is to be done when all are copied."""

    def returned(self, done: Pairs) -> Any:
        """Tell what the official operator returns; None for the receipt.

        Args:
            done: What stands on the target by this task run, in the order of the plan.
        """
        return None

    def act(self, context: Context, owner: Owner, stop: threading.Event) -> Receipt:
        """Copy them, eight at once."""
        from tradewind.move.copy_pairs import copy_pairs

        ti = context.get("ti")
        resume = ti is None or getattr(ti, "try_number", None) != 1
        copies = self.plan_copy(owner, resume=resume)
        read, written = copies.source.uri(copies.read), copies.target.uri(copies.written)
        self._lineage = Lineage((dataset_of_uri(read),), (dataset_of_uri(written),))
        self.log.info(
            "Copying %d objects from %s to %s, for %s.", len(copies.pairs), read, written, owner
        )
        receipt = copy_pairs(
            copies.source,
            copies.target,
            copies.pairs,
            owner=owner,
            existing=copies.existing,
            resume=resume,
            gzip=copies.gzip,
            content_type=copies.content_type,
            metadata=copies.metadata,
            skip_equal=copies.skip_equal,
            surplus=copies.surplus,
            progress=ProgressLog(self.log.info),
            stop=stop,
        )
        there = {one.uri for one in receipt.stored.objects} | set(receipt.skipped)
        done = [pair for pair in copies.pairs if copies.target.uri(pair[1]) in there]
        if len(done) < len(copies.pairs):
            left = len(copies.pairs) - len(done)
            self.log.info("%d objects were there already and replace=False: let be.", left)
        self._tell_surplus(receipt)
        self.finish(copies, done)
        self._done = done
        return receipt

    def delete_sources(
        self,
        copies: Copies,
        done: Pairs,
        versions: Mapping[str, str | None],
        after: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Delete the sources of a move, those that are still as they were copied.

        Args:
            copies: What was to be copied.
            done: What was.
            versions: The version that each was listed in.
            after: Is told the key of each that is deleted, in any thread.

        Raises:
            RetryError: One was replaced after it was copied; it is let be.
        """
        from concurrent.futures import ThreadPoolExecutor

        def one(key: str) -> None:
            if not copies.source.delete_version(key, str(versions[key])):
                raise RetryError(
                    f"{copies.source.uri(key)} was replaced after it was copied, and is let be. A "
                    "retry copies it again."
                )
            after(key)

        with ThreadPoolExecutor(8, "delete-source") as pool:
            for _ in pool.map(one, {source: None for source, _ in done}):
                pass

    def _tell_surplus(self, receipt: Receipt) -> None:
        removed = receipt.stored.removed
        for uri in removed[:_SHOWN]:
            self.log.info("Deleted %s, which has no source.", uri)
        if len(removed) > _SHOWN:
            self.log.info("Deleted %d objects in all; the receipt names each.", len(removed))
        for note in receipt.stored.notes:
            self.log.warning(note)

    def execute(self, context: Context) -> Any:
        """Copy them; see `MoveOperator.execute`.

        Returns:
            What the official operator returns, or the receipt where that is nothing.
        """
        receipt = super().execute(context)
        value = self.returned(self._done or [])
        if value is None:
            return receipt
        ti = context.get("ti")
        if ti is not None and self.do_xcom_push:
            ti.xcom_push(key="receipt", value=receipt)
        return value


def one_slash(folder: str, name: str) -> str:
    """Put a name under a folder, as ``os.path.join`` does but for names that begin with ``/``."""
    return folder + name if not folder or folder.endswith("/") else f"{folder}/{name}"


def without_folder_markers(keys: Iterable[str]) -> list[str]:
    """Leave out keys that end in ``/`` and begin another key: they stand for folders.

    Args:
        keys: The keys.

    Returns:
        The others, in ascending order.
    """
    ordered = sorted(set(keys))
    following = [*ordered[1:], ""]
    return [
        key
        for key, after in zip(ordered, following, strict=True)
        if not (key.endswith("/") and after.startswith(key))
    ]


def s3_folder(uri: str, conn_id: str | None, argument: str) -> tuple[str, str]:
    """Tell bucket and prefix of ``s3://bucket/prefix``; of a prefix the connection's bucket.

    Args:
        uri: The URI or prefix.
        conn_id: The AWS connection.
        argument: What the user calls it, for messages.
    """
    from tradewind.systems.s3.airflow import split_s3

    # Some object of the folder: a folder may be the whole bucket, an object has a key.
    bucket, key = split_s3(
        None,
        one_slash(uri, "x"),
        conn_id=conn_id,
        bucket_argument="the connection's bucket",
        key_argument=argument,
    )
    return bucket, key[:-1]


def folder_of(uri: str | None, argument: str) -> tuple[str, str]:
    """Tell bucket and prefix of ``gs://bucket/prefix/``.

    Args:
        uri: The URI.
        argument: What the user calls it, for messages.
    """
    scheme, _, rest = (uri or "").partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "gs" or not bucket:
        raise InputError(f"{argument}={uri!r} names no bucket. Write gs://bucket/folder/.")
    if prefix and not prefix.endswith("/"):
        raise InputError(
            f"{argument}={uri!r}: the destination must end with a slash or be the bucket alone. "
            f"Write {uri}/."
        )
    return bucket, prefix


def flag(argument: str, value: Any) -> bool:
    """Read a yes or no that may have been a template: the text ``False`` is not true.

    Args:
        argument: What the user calls it, for messages.
        value: The rendered value.
    """
    if isinstance(value, str):
        told = {"true": True, "false": False}.get(value.strip().lower())
        if told is None:
            raise InputError(f"{argument}={value!r}: give True or False.")
        return told
    return bool(value)


def refuse_partial(delete_extra_files: bool, **chosen: Any) -> None:
    """Refuse to delete surplus beside arguments that leave sources out.

    Args:
        delete_extra_files: Whether surplus is deleted.
        chosen: Those arguments.

    Raises:
        InputError: What they leave out would be deleted at the target.
    """
    named = [name for name, value in chosen.items() if value]
    if delete_extra_files and named:
        raise InputError(
            "delete_extra_files makes one folder like the other, and "
            f"{', '.join(named)} takes only a part of the one, or names its copies otherwise. "
            "Leave one of them out."
        )


def refuse_others(
    argument: str, given: Mapping[str, Any] | None, known: Iterable[str], remedy: str
) -> dict[str, Any]:
    """Refuse members of a dictionary of further arguments that have no meaning here.

    Args:
        argument: What the user calls it.
        given: The dictionary.
        known: Its members that have a meaning.
        remedy: What to do instead.

    Returns:
        A copy of it.
    """
    others = sorted(set(given or {}) - set(known))
    if others:
        raise InputError(f"{argument}: {', '.join(others)} has no meaning here. {remedy}")
    return dict(given or {})
