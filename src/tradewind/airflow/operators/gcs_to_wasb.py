"""`GCSToAzureBlobStorageOperator`: objects of Google Cloud Storage to Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, Pairs, one_slash, refuse_partial
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["GCSToAzureBlobStorageOperator"]


class GCSToAzureBlobStorageOperator(CopyOperator):
    """Copy objects of Google Cloud Storage to Azure. Takes the place of the official operator.

    Returns the names in Google Cloud Storage of what was copied, as the official operator does.

    Args:
        gcs_bucket: The bucket in Google Cloud Storage. (templated)
        container_name: The container in Azure. (templated)
        blob_prefix: The folder in Azure. (templated)
        prefix: What the names begin with. (templated)
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
            (templated)
        google_impersonation_chain: The service account to act as, or the chain to it. (templated)
        wasb_conn_id: The Azure connection. (templated)
        replace: Whether blobs that are there are replaced; they are let be otherwise.
        keep_directory_structure: False puts the copies under `blob_prefix` and `prefix`, as the
            official operator does.
        flatten_structure: Leave out the folders of the names; it goes before
            `keep_directory_structure`. Two names that become one are refused.
        match_glob: Which names, like ``**/*.json``. (templated)
        gcp_user_project: Refused: buckets whose requester pays cannot be read. (templated)
        create_container: Make the container where it is not there.
        delete_extra_files: Delete, when all are copied, what is in the folder of the copies and the
            copy of nothing. The receipt names what was deleted.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "gcs_bucket",
        "prefix",
        "blob_prefix",
        "container_name",
        "google_impersonation_chain",
        "gcp_user_project",
        "match_glob",
        "gcp_conn_id",
        "wasb_conn_id",
    )
    ui_color = "#f0eee4"

    def __init__(
        self,
        *,
        gcs_bucket: str,
        container_name: str,
        blob_prefix: str = "",
        prefix: str | None = None,
        gcp_conn_id: str | None = "google_cloud_default",
        google_impersonation_chain: str | Sequence[str] | None = None,
        wasb_conn_id: str = "wasb_default",
        replace: bool = False,
        keep_directory_structure: bool = True,
        flatten_structure: bool = False,
        match_glob: str | None = None,
        gcp_user_project: str | None = None,
        create_container: bool = False,
        delete_extra_files: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gcs_bucket = gcs_bucket
        self.prefix = prefix
        self.gcp_conn_id = gcp_conn_id
        self.google_impersonation_chain = google_impersonation_chain
        self.container_name = container_name
        self.blob_prefix = blob_prefix
        self.wasb_conn_id = wasb_conn_id
        self.replace = replace
        self.keep_directory_structure = keep_directory_structure
        self.flatten_structure = flatten_structure
        self.match_glob = match_glob
        self.gcp_user_project = gcp_user_project
        self.create_container = create_container
        self.delete_extra_files = delete_extra_files
        refuse_partial(
            delete_extra_files, match_glob=match_glob, flatten_structure=flatten_structure
        )
        if gcp_user_project is not None:
            raise InputError(
                f"gcp_user_project={gcp_user_project!r}: a bucket whose requester pays cannot be "
                "read here. Leave it out, or use the official operator for this bucket."
            )

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each copy."""
        from tradewind.systems.azure.airflow import azure_store
        from tradewind.systems.gcs.airflow import gcs_store
        from tradewind.systems.gcs.globs import matches

        source = gcs_store(
            self.gcs_bucket, self.gcp_conn_id, impersonation_chain=self.google_impersonation_chain
        )
        target = azure_store(self.container_name, self.wasb_conn_id)
        folder, prefix = self.blob_prefix or "", self.prefix or ""
        if not self.keep_directory_structure and prefix and not self.flatten_structure:
            folder = one_slash(folder, prefix)
        folder = one_slash(folder, "") if folder else ""
        chosen = matches(self.match_glob)
        # As in the official operator all names that end in a slash are left out.
        names = [i.key for i in source.list(prefix) if chosen(i.key) and not i.key.endswith("/")]
        pairs: Pairs = [
            (name, folder + (name.rpartition("/")[2] if self.flatten_structure else name))
            for name in names
        ]
        if self.create_container:
            target.create()
        return Copies(
            source,
            target,
            pairs,
            read=prefix,
            written=folder,
            existing="replace" if self.replace else "skip",
            surplus=(prefix, folder + prefix) if self.delete_extra_files else None,
        )

    def returned(self, done: Pairs) -> list[str]:
        """Tell the names in Google Cloud Storage."""
        return [source for source, _ in done]
