"""`SFTPToGCSOperator`: files of an SFTP server to Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, Pairs, one_slash
from tradewind.airflow.sftp_names import present, taken
from tradewind.errors import InputError, RetryError

if TYPE_CHECKING:
    from tradewind.owner import Owner
    from tradewind.systems.gcs.store import GCSStore
    from tradewind.systems.sftp.store import SFTPStore

__all__ = ["SFTPToGCSOperator"]


class SFTPToGCSOperator(CopyOperator):
    """Copy files of an SFTP server to Google Cloud Storage. Takes the official operator's place.

    Args:
        source_path: Path of the file, or with one ``*`` in it of several, in folders below, too. It
            begins at the folder of the login where it has no ``/`` before it. (templated)
        destination_bucket: The bucket, with or without ``gs://``. (templated)
        destination_path: Name of the object, the file's when not given; with ``*`` the folder that
            the folder of the files becomes. (templated)
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
        sftp_conn_id: The connection, of type ``sftp`` or ``ssh``.
        mime_type: Media type of the objects.
        gzip: Compress on the way; the names stay as they are.
        move_object: Delete the files when all are copied, those that are still as they were, and of
            each the `done_file` that has its name.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        sftp_prefetch: Of no effect.
        use_stream: Of no effect: the data are streamed.
        newer_than: Only files that were written then or later, by the server's clock: a time, or
            its text in ISO 8601; of UTC without a zone. (templated)
        stable_seconds: Only files whose size and time are still the same after so many seconds.
        done_file: Only files that have one of this name beside them, in which ``{name}`` is the
            file's own: ``{name}.done`` or ``_SUCCESS``. Such files are not copied. (templated)
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "source_path",
        "destination_path",
        "destination_bucket",
        "impersonation_chain",
        "newer_than",
        "done_file",
    )

    def __init__(
        self,
        *,
        source_path: str,
        destination_bucket: str,
        destination_path: str | None = None,
        gcp_conn_id: str | None = "google_cloud_default",
        sftp_conn_id: str = "ssh_default",
        mime_type: str = "application/octet-stream",
        gzip: bool = False,
        move_object: bool = False,
        impersonation_chain: str | Sequence[str] | None = None,
        sftp_prefetch: bool = True,
        use_stream: bool = False,
        newer_than: datetime | str | None = None,
        stable_seconds: float = 0.0,
        done_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_path = source_path
        self.destination_bucket = destination_bucket
        self.destination_path = destination_path
        self.gcp_conn_id = gcp_conn_id
        self.sftp_conn_id = sftp_conn_id
        self.mime_type = mime_type
        self.gzip = gzip
        self.move_object = move_object
        self.impersonation_chain = impersonation_chain
        self.sftp_prefetch = sftp_prefetch
        self.use_stream = use_stream
        self.newer_than = newer_than
        self.stable_seconds = stable_seconds
        self.done_file = done_file

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Look which files there are, and name each copy."""
        from tradewind.systems.gcs.airflow import gcs_store
        from tradewind.systems.sftp.airflow import sftp_store

        if self.source_path.count("*") > 1:
            raise InputError(f"source_path={self.source_path!r}: give one * at most.")
        source = sftp_store("", self.sftp_conn_id)
        target = gcs_store(
            self.destination_bucket.removeprefix("gs://").strip("/"),
            self.gcp_conn_id,
            impersonation_chain=self.impersonation_chain,
        )
        begin, star, end = source.absolute(self.source_path).lstrip("/").partition("*")
        to = (self.destination_path or "").lstrip("/")
        if star:
            folder = begin[: begin.rfind("/") + 1]
            least = len(begin) + len(end)
            found = [i for i in source.list(begin) if i.key.endswith(end) and len(i.key) >= least]
            wanted = {info.key: one_slash(to, info.key[len(folder) :]) for info in found}
        else:
            if to.endswith("/"):
                raise InputError(
                    f"destination_path={self.destination_path!r} names no object. Write the name "
                    "of the copy after it."
                )
            wanted = {begin: to or begin.rpartition("/")[2]}
            moved = resume and self.move_object and self._moved(source, target, owner, wanted)
            found = [] if moved else present(source, [begin], required=True, log=self.log.info)
        found = taken(
            source,
            found,
            newer_than=self.newer_than,
            stable_seconds=self.stable_seconds,
            done_file=self.done_file,
            named=not star,
            stop=self._stop,
            log=self.log.info,
        )
        self._versions = {info.key: info.etag for info in found}
        return Copies(
            source,
            target,
            [(info.key, wanted[info.key]) for info in found],
            read=begin,
            written=to,
            gzip=self.gzip,
            content_type=self.mime_type,
        )

    def _moved(
        self, source: SFTPStore, target: GCSStore, owner: Owner, wanted: dict[str, str]
    ) -> bool:
        """Tell whether an earlier attempt has copied the one file and deleted it."""
        from tradewind.move.store import OWNER

        ((path, key),) = wanted.items()
        if source.head(path) is not None:
            return False
        copied = target.head(key)
        return copied is not None and copied.metadata.get(OWNER) == owner.digest

    def finish(self, copies: Copies, done: Pairs) -> None:
        """Delete the sources of a move."""
        if not self.move_object:
            return
        from tradewind.move.arrivals import beside

        source: SFTPStore = copies.source  # type: ignore[assignment]
        for key, _ in done:
            if not source.delete_version(key, str(self._versions[key])):
                raise RetryError(
                    f"{source.uri(key)} was replaced after it was copied, and is let be. A retry "
                    "copies it again."
                )
            if self.done_file and "{name}" in self.done_file:
                # Left behind, it would call the next file of that name whole from its first byte.
                mark = source.head(beside(key, self.done_file))
                if mark is not None:
                    source.delete_version(mark.key, str(mark.etag))
