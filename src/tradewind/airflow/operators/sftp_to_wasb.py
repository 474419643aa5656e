"""`SFTPToWasbOperator`: files of an SFTP server to Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, one_slash, refuse_others
from tradewind.airflow.sftp_copies import SFTPSource, by_pattern

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["SFTPToWasbOperator"]


class SFTPToWasbOperator(SFTPSource):
    """Copy files of an SFTP server to Azure Blob Storage. Takes the official operator's place.

    Args:
        sftp_source_path: Path of a file, of a folder with all files in it and below, or with one
            ``*`` in it of several files. It begins at the folder of the login where it has no
            ``/`` before it. (templated)
        container_name: The container. (templated)
        blob_prefix: What the blobs' names begin with, before the files' names without their
            folders. (templated)
        sftp_conn_id: The connection, of type ``sftp`` or ``ssh``. (templated)
        wasb_conn_id: The Azure connection. (templated)
        load_options: ``overwrite``, as `wasb_overwrite_object`, which it goes before; ``metadata``:
            user metadata; ``max_concurrency``: of no effect. Others are refused.
        move_object: Delete the files when all are copied, those that are still as they were, and of
            each the `done_file` that has its name.
        wasb_overwrite_object: Whether blobs that are there are replaced; it is an error otherwise,
            unless an earlier attempt of this task run has made them.
        create_container: Make the container where it is not there.
        newer_than: Only files that were written then or later, by the server's clock: a time, or
            its text in ISO 8601; of UTC without a zone. (templated)
        stable_seconds: Only files whose size and time are still the same after so many seconds.
        done_file: Only files that have one of this name beside them, in which ``{name}`` is the
            file's own: ``{name}.done`` or ``_SUCCESS``. Such files are not copied. (templated)
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "sftp_source_path",
        "container_name",
        "blob_prefix",
        "sftp_conn_id",
        "wasb_conn_id",
        "newer_than",
        "done_file",
    )

    def __init__(
        self,
        *,
        sftp_source_path: str,
        container_name: str,
        blob_prefix: str = "",
        sftp_conn_id: str = "sftp_default",
        wasb_conn_id: str = "wasb_default",
        load_options: dict[str, Any] | None = None,
        move_object: bool = False,
        wasb_overwrite_object: bool = False,
        create_container: bool = False,
        newer_than: datetime | str | None = None,
        stable_seconds: float = 0.0,
        done_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            newer_than=newer_than, stable_seconds=stable_seconds, done_file=done_file, **kwargs
        )
        self.sftp_source_path = sftp_source_path
        self.container_name = container_name
        self.blob_prefix = blob_prefix
        self.sftp_conn_id = sftp_conn_id
        self.wasb_conn_id = wasb_conn_id
        self.load_options = refuse_others(
            "load_options",
            load_options or {"overwrite": wasb_overwrite_object},
            ("overwrite", "metadata", "max_concurrency"),
            "Choose from overwrite, metadata, max_concurrency.",
        )
        self.move_object = move_object
        self.create_container = create_container

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Look which files there are, and name each blob."""
        from tradewind.airflow.sftp_names import present
        from tradewind.systems.azure.airflow import azure_store
        from tradewind.systems.sftp.airflow import sftp_store

        source = sftp_store("", self.sftp_conn_id)
        target = azure_store(self.container_name, self.wasb_conn_id)
        if self.create_container:
            target.create()
        begin, found = by_pattern(source, self.sftp_source_path, "sftp_source_path")
        begin = begin if found is not None else begin.rstrip("/")
        blob = self.blob_prefix + begin.rpartition("/")[2]
        named = False
        if found is None and not self.moved(source, target, owner, begin, blob, resume=resume):
            named = bool(begin) and source.head(begin) is not None
            folder = one_slash(begin, "") if begin else ""
            found = [] if named else list(source.list(folder))
            if not found:
                # Says what is missing, unless it is a folder without files.
                found = (
                    present(source, [begin], required=True, log=self.log.info)
                    if named
                    else list(source.files(folder))
                )
        infos = self.whole(source, found or [], named=named)
        return Copies(
            source,
            target,
            [(info.key, self.blob_prefix + info.key.rpartition("/")[2]) for info in infos],
            read=begin,
            written=self.blob_prefix,
            existing="replace" if self.load_options.get("overwrite") else "refuse",
            metadata=self.load_options.get("metadata"),
        )
