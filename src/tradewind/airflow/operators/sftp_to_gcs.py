"""`SFTPToGCSOperator`: files of an SFTP server to Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, one_slash
from tradewind.airflow.sftp_copies import SFTPSource, by_pattern
from tradewind.airflow.sftp_names import present
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["SFTPToGCSOperator"]


class SFTPToGCSOperator(SFTPSource):
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
        super().__init__(
            newer_than=newer_than, stable_seconds=stable_seconds, done_file=done_file, **kwargs
        )
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

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Look which files there are, and name each copy."""
        from tradewind.systems.gcs.airflow import gcs_store
        from tradewind.systems.sftp.airflow import sftp_store

        source = sftp_store("", self.sftp_conn_id)
        target = gcs_store(
            self.destination_bucket.removeprefix("gs://").strip("/"),
            self.gcp_conn_id,
            impersonation_chain=self.impersonation_chain,
        )
        begin, found = by_pattern(source, self.source_path, "source_path")
        to = (self.destination_path or "").lstrip("/")
        named = found is None
        if found is not None:
            folder = begin[: begin.rfind("/") + 1]
            wanted = {info.key: one_slash(to, info.key[len(folder) :]) for info in found}
        else:
            if to.endswith("/"):
                raise InputError(
                    f"destination_path={self.destination_path!r} names no object. Write the name "
                    "of the copy after it."
                )
            wanted = {begin: to or begin.rpartition("/")[2]}
            found = []
            if not self.moved(source, target, owner, begin, wanted[begin], resume=resume):
                found = present(source, [begin], required=True, log=self.log.info)
        return Copies(
            source,
            target,
            [(info.key, wanted[info.key]) for info in self.whole(source, found, named=named)],
            read=begin,
            written=to,
            gzip=self.gzip,
            content_type=self.mime_type,
        )
