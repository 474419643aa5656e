"""`GCSSynchronizeBucketsOperator`: a folder of Google Cloud Storage made like another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, flag, one_slash, refuse_partial

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["GCSSynchronizeBucketsOperator"]


class GCSSynchronizeBucketsOperator(CopyOperator):
    """Make a folder or bucket of Google Cloud Storage like another. Takes the official one's place.

    What is equal already is not copied. Returns the receipt, which names what was copied, what was
    equal (``skipped``) and what was deleted (``removed``).

    Args:
        source_bucket: Where from. (templated)
        destination_bucket: Where to. (templated)
        source_object: The folder there; the whole bucket when not given. (templated)
        destination_object: The folder of the copies; the whole bucket when not given. (templated)
        recursive: Whether folders below are copied, too. (templated)
        delete_extra_files: Delete, when all are copied, what is in the folder of the copies and has
            no source. (templated)
        allow_overwrite: Whether an object that is there and is another one is replaced; it is let
            be otherwise. (templated)
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
            (templated)
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "source_bucket",
        "destination_bucket",
        "source_object",
        "destination_object",
        "recursive",
        "delete_extra_files",
        "allow_overwrite",
        "gcp_conn_id",
        "impersonation_chain",
    )

    def __init__(
        self,
        *,
        source_bucket: str,
        destination_bucket: str,
        source_object: str | None = None,
        destination_object: str | None = None,
        recursive: bool = True,
        delete_extra_files: bool = False,
        allow_overwrite: bool = False,
        gcp_conn_id: str | None = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_bucket = source_bucket
        self.destination_bucket = destination_bucket
        self.source_object = source_object
        self.destination_object = destination_object
        self.recursive = recursive
        self.delete_extra_files = delete_extra_files
        self.allow_overwrite = allow_overwrite
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each copy."""
        from tradewind.systems.gcs.airflow import gcs_store

        recursive = flag("recursive", self.recursive)
        delete = flag("delete_extra_files", self.delete_extra_files)
        overwrite = flag("allow_overwrite", self.allow_overwrite)
        refuse_partial(delete, **{"recursive=False": not recursive})
        source, target = (
            gcs_store(bucket, self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
            for bucket in (self.source_bucket, self.destination_bucket)
        )
        read, written = (
            one_slash(folder, "") if folder else ""
            for folder in (self.source_object, self.destination_object)
        )
        rests = [info.key[len(read) :] for info in source.list(read)]
        return Copies(
            source,
            target,
            [
                (read + rest, written + rest)
                for rest in rests
                # The folder's own marker has no name in it.
                if rest and (recursive or "/" not in rest)
            ],
            read=read,
            written=written,
            existing="replace" if overwrite else "skip",
            skip_equal=True,
            surplus=(read, written) if delete else None,
        )
