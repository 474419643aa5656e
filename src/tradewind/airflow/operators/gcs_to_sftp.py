"""`GCSToSFTPOperator`: objects of Google Cloud Storage to an SFTP server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, Pairs, one_slash
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.move.store import ObjectInfo, Store
    from tradewind.owner import Owner
    from tradewind.systems.sftp.store import SFTPStore

__all__ = ["GCSToSFTPOperator"]


class GCSToSFTPOperator(CopyOperator):
    """Copy objects of Google Cloud Storage to an SFTP server. Takes the official operator's place.

    Each file appears whole, by a rename, over one that is there.

    Args:
        source_bucket: The bucket. (templated)
        source_object: Name of the object, or with one ``*`` in it of several. (templated)
        destination_path: The folder that the files are put in. It begins at the folder of the login
            where it has no ``/`` before it. (templated)
        keep_directory_structure: Whether the whole names stand under that folder; without their
            folders otherwise, and with ``*`` without the folder of the part before it.
        create_intermediate_dirs: Make folders that are missing; it is an error otherwise.
        move_object: Delete the objects when all are copied, those that are still as they were.
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
        sftp_conn_id: The connection, of type ``sftp`` or ``ssh``.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "source_bucket",
        "source_object",
        "destination_path",
        "impersonation_chain",
    )
    ui_color = "#f0eee4"

    def __init__(
        self,
        *,
        source_bucket: str,
        source_object: str,
        destination_path: str,
        keep_directory_structure: bool = True,
        create_intermediate_dirs: bool = True,
        move_object: bool = False,
        gcp_conn_id: str | None = "google_cloud_default",
        sftp_conn_id: str = "ssh_default",
        impersonation_chain: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_bucket = source_bucket
        self.source_object = source_object
        self.destination_path = destination_path
        self.keep_directory_structure = keep_directory_structure
        self.create_intermediate_dirs = create_intermediate_dirs
        self.move_object = move_object
        self.gcp_conn_id = gcp_conn_id
        self.sftp_conn_id = sftp_conn_id
        self.impersonation_chain = impersonation_chain

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each file."""
        from tradewind.systems.gcs.airflow import gcs_store
        from tradewind.systems.sftp.airflow import sftp_store

        source = gcs_store(
            self.source_bucket, self.gcp_conn_id, impersonation_chain=self.impersonation_chain
        )
        target = sftp_store("", self.sftp_conn_id)
        folder = target.absolute(self.destination_path).strip("/")
        begin, star, end = self.source_object.partition("*")
        if "*" in end:
            raise InputError(f"source_object={self.source_object!r}: give one * at most.")
        left_out = begin[: begin.rfind("/") + 1]

        def named(key: str) -> str:
            return one_slash(folder, key if self.keep_directory_structure else key[len(left_out) :])

        if star:
            least = len(begin) + len(end)
            found = [
                info
                for info in source.list(begin)
                if info.key.endswith(end)
                and len(info.key) >= least
                # What stands for a folder is no file.
                and not (info.size == 0 and info.key.endswith("/"))
            ]
        else:
            found = [self._one(source, target, named(begin), resume=resume)]
        self._versions = {info.key: info.etag for info in found}
        pairs: Pairs = [(info.key, named(info.key)) for info in found]
        if not self.create_intermediate_dirs:
            for missing in {key[: key.rfind("/") + 1] for _, key in pairs}:
                next(iter(target.files(missing)), None)
        return Copies(source, target, pairs, read=begin, written=folder)

    def _one(self, source: Store, target: SFTPStore, copy: str, *, resume: bool) -> ObjectInfo:
        found = source.head(self.source_object)
        if found is not None:
            return found
        source.check()
        may_be = ""
        if resume and self.move_object and target.head(copy) is not None:
            may_be = f" An earlier attempt may have moved it: {target.uri(copy)} is there."
        raise InputError(
            f"There is no object {source.uri(self.source_object)}. Correct source_object.{may_be}"
        )

    def finish(self, copies: Copies, done: Pairs) -> None:
        """Delete the sources of a move."""
        if self.move_object:
            self.delete_sources(copies, done, self._versions)
