"""`GCSToS3Operator`: objects of Google Cloud Storage to S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import (
    Copies,
    CopyOperator,
    Pairs,
    one_slash,
    refuse_partial,
    s3_folder,
)
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["GCSToS3Operator"]


class GCSToS3Operator(CopyOperator):
    """Copy objects from Google Cloud Storage to S3. Takes the place of the official operator.

    Returns the names in Google Cloud Storage of what was copied, as the official operator does.

    Args:
        gcs_bucket: The bucket in Google Cloud Storage. (templated)
        prefix: What the names begin with. (templated)
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
            (templated)
        dest_aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        dest_s3_key: ``s3://bucket/folder/``. (templated)
        dest_verify: Whether to check S3's certificate, or the file with those to trust.
        replace: Whether objects that are there are replaced; they are let be otherwise.
        google_impersonation_chain: The service account to act as, or the chain to it. (templated)
        dest_s3_extra_args: What boto3 calls ``ExtraArgs``, like ``ServerSideEncryption``.
        s3_acl_policy: A canned ACL of the copies; none is sent when not given.
        keep_directory_structure: False puts the copies under `dest_s3_key` and `prefix`, as the
            official operator does.
        flatten_structure: Leave out the folders of the names; it goes before
            `keep_directory_structure`. Two names that become one are refused.
        match_glob: Which names, like ``**/*.json``. (templated)
        gcp_user_project: Refused: buckets whose requester pays cannot be read. (templated)
        delete_extra_files: Delete, when all are copied, what is in the folder of the copies and the
            copy of nothing. The receipt names what was deleted.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "gcs_bucket",
        "prefix",
        "dest_s3_key",
        "google_impersonation_chain",
        "gcp_user_project",
        "match_glob",
        "gcp_conn_id",
        "dest_aws_conn_id",
    )
    ui_color = "#f0eee4"

    def __init__(
        self,
        *,
        gcs_bucket: str,
        prefix: str | None = None,
        gcp_conn_id: str | None = "google_cloud_default",
        dest_aws_conn_id: str | None = "aws_default",
        dest_s3_key: str,
        dest_verify: str | bool | None = None,
        replace: bool = False,
        google_impersonation_chain: str | Sequence[str] | None = None,
        dest_s3_extra_args: dict[str, Any] | None = None,
        s3_acl_policy: str | None = None,
        keep_directory_structure: bool = True,
        flatten_structure: bool = False,
        match_glob: str | None = None,
        gcp_user_project: str | None = None,
        delete_extra_files: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gcs_bucket = gcs_bucket
        self.prefix = prefix
        self.gcp_conn_id = gcp_conn_id
        self.dest_aws_conn_id = dest_aws_conn_id
        self.dest_s3_key = dest_s3_key
        self.dest_verify = dest_verify
        self.replace = replace
        self.google_impersonation_chain = google_impersonation_chain
        self.dest_s3_extra_args = dest_s3_extra_args or {}
        self.s3_acl_policy = s3_acl_policy
        self.keep_directory_structure = keep_directory_structure
        self.flatten_structure = flatten_structure
        self.match_glob = match_glob
        self.gcp_user_project = gcp_user_project
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
        from tradewind.systems.gcs.airflow import gcs_store
        from tradewind.systems.gcs.globs import matches
        from tradewind.systems.s3.airflow import s3_store

        source = gcs_store(
            self.gcs_bucket, self.gcp_conn_id, impersonation_chain=self.google_impersonation_chain
        )
        base, prefix = self.dest_s3_key, self.prefix or ""
        if not self.keep_directory_structure and prefix and not self.flatten_structure:
            base = one_slash(base, prefix)
        bucket, folder = s3_folder(base, self.dest_aws_conn_id, "dest_s3_key")
        extra = dict(self.dest_s3_extra_args)
        if self.s3_acl_policy:
            extra["ACL"] = self.s3_acl_policy
        target = s3_store(bucket, self.dest_aws_conn_id, verify=self.dest_verify, extra_args=extra)
        chosen = matches(self.match_glob)
        pairs: Pairs = []
        for name in self.names(info.key for info in source.list(prefix) if chosen(info.key)):
            kept = name.rpartition("/")[2] if self.flatten_structure else name
            if kept:  # a folder's marker has no name of its own
                pairs.append((name, folder + kept))
        return Copies(
            source,
            target,
            pairs,
            read=prefix,
            written=folder,
            surplus=(prefix, folder + prefix) if self.delete_extra_files else None,
            existing="replace" if self.replace else "skip",
            content_type=extra.get("ContentType"),
        )

    def returned(self, done: Pairs) -> list[str]:
        """Tell the names in Google Cloud Storage."""
        return [source for source, _ in done]
