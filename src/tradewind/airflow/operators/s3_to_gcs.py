"""`S3ToGCSOperator`: objects of S3 to Google Cloud Storage."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, Pairs, folder_of, refuse_partial
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["S3ToGCSOperator"]


class S3ToGCSOperator(CopyOperator):
    """Copy objects from S3 to Google Cloud Storage. Takes the place of the official operator.

    Returns the keys in S3 of what was copied, as the official operator does.

    Args:
        bucket: The bucket in S3. (templated)
        prefix: What the keys begin with. (templated)
        apply_gcs_prefix: Whether `dest_gcs` stands in place of `prefix`, and not before it.
        delimiter: Leave out keys that have it after the prefix: ``/`` for no subfolders.
            (templated)
        aws_conn_id: The AWS connection; None for boto3's own chain.
        verify: Whether to check S3's certificate, or the file with those to trust.
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
        dest_gcs: ``gs://bucket/folder/``, or the bucket alone. (templated)
        replace: Whether objects that are there are replaced; they are let be otherwise.
        gzip: Compress on the way; the names stay as they are.
        google_impersonation_chain: The service account to act as, or the chain to it. (templated)
        deferrable: True is refused: the data are streamed by the worker, and not by Google's
            Storage Transfer Service.
        poll_interval: Of no effect.
        apply_wildcard: Take ``*`` in `prefix` for a pattern.
        region_name: S3's region; the connection's when not given.
        botocore_config: Arguments of `botocore.config.Config`.
        delete_extra_files: Delete, when all are copied, what is in the folder of the copies and the
            copy of nothing. The receipt names what was deleted.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "bucket",
        "prefix",
        "delimiter",
        "dest_gcs",
        "google_impersonation_chain",
    )
    ui_color = "#e09411"

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        apply_gcs_prefix: bool = False,
        delimiter: str = "",
        aws_conn_id: str | None = "aws_default",
        verify: str | bool | None = None,
        gcp_conn_id: str | None = "google_cloud_default",
        dest_gcs: str | None = None,
        replace: bool = False,
        gzip: bool = False,
        google_impersonation_chain: str | Sequence[str] | None = None,
        deferrable: bool | None = None,
        poll_interval: int = 10,
        apply_wildcard: bool = False,
        region_name: str | None = None,
        botocore_config: dict[str, Any] | None = None,
        delete_extra_files: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.prefix = prefix
        self.apply_gcs_prefix = apply_gcs_prefix
        self.delimiter = delimiter
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.gcp_conn_id = gcp_conn_id
        self.dest_gcs = dest_gcs
        self.replace = replace
        self.gzip = gzip
        self.google_impersonation_chain = google_impersonation_chain
        self.poll_interval = poll_interval
        self.apply_wildcard = apply_wildcard
        self.region_name = region_name
        self.botocore_config = botocore_config
        self.delete_extra_files = delete_extra_files
        refuse_partial(delete_extra_files, delimiter=delimiter, apply_wildcard=apply_wildcard)
        if dest_gcs is None:
            raise InputError("dest_gcs is missing. Give gs://bucket/folder/.")
        if deferrable:
            raise InputError(
                "deferrable=True hands the copy to Google's Storage Transfer Service, with the "
                "keys of AWS. Here the worker streams the data: leave it out."
            )
        if poll_interval <= 0:
            raise InputError("poll_interval has to be more than 0.")
        if apply_gcs_prefix and apply_wildcard:
            raise InputError(
                "apply_gcs_prefix puts dest_gcs in place of the prefix, and with apply_wildcard "
                "the prefix is a pattern. Choose one of them."
            )

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each copy."""
        from tradewind.systems.gcs.airflow import gcs_store
        from tradewind.systems.s3.airflow import s3_store

        bucket, folder = folder_of(self.dest_gcs, "dest_gcs")
        source = s3_store(
            self.bucket,
            self.aws_conn_id,
            verify=self.verify,
            region_name=self.region_name,
            botocore_config=self.botocore_config,
        )
        target = gcs_store(
            bucket, self.gcp_conn_id, impersonation_chain=self.google_impersonation_chain
        )
        prefix = self.prefix or ""
        wild = self.apply_wildcard and "*" in prefix
        begin = prefix.partition("*")[0] if wild else prefix
        pairs: Pairs = []
        for info in source.list(begin):
            rest = info.key[len(begin) :]
            if self.delimiter and self.delimiter in rest:
                continue
            if wild and not fnmatch.fnmatchcase(info.key, prefix):
                continue
            pairs.append((info.key, folder + (rest if self.apply_gcs_prefix else info.key)))
        return Copies(
            source,
            target,
            pairs,
            read=begin,
            written=folder if self.apply_gcs_prefix else folder + begin,
            surplus=(begin, folder if self.apply_gcs_prefix else folder + begin)
            if self.delete_extra_files
            else None,
            existing="replace" if self.replace else "skip",
            gzip=self.gzip,
        )

    def returned(self, done: Pairs) -> list[str]:
        """Tell the keys in S3."""
        return [source for source, _ in done]
