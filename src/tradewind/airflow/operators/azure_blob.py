"""Blobs of Azure to S3 and Google Cloud Storage, and objects of S3 to Azure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import (
    Copies,
    CopyOperator,
    Pairs,
    refuse_others,
    refuse_partial,
    s3_folder,
)
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = [
    "AzureBlobStorageToGCSOperator",
    "AzureBlobStorageToS3Operator",
    "S3ToAzureBlobStorageOperator",
]

_CONNECTION = "Say it in the connection."


class AzureBlobStorageToS3Operator(CopyOperator):
    """Copy blobs from Azure Blob Storage to S3. Takes the place of the official operator.

    Returns the names of the blobs that were copied, as the official operator does.

    Args:
        wasb_conn_id: The Azure connection. (templated)
        container_name: The container. (templated)
        prefix: What the names begin with. (templated)
        delimiter: What the names end with, like ``.csv``. (templated)
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        dest_s3_key: ``s3://bucket/folder/``. (templated)
        dest_verify: Whether to check S3's certificate, or the file with those to trust.
        dest_s3_extra_args: What boto3 calls ``ExtraArgs``, like ``ServerSideEncryption``.
        replace: Whether objects that are there are replaced; they are let be otherwise.
        s3_acl_policy: A canned ACL of the copies; none is sent when not given.
        wasb_extra_args: Refused.
        s3_extra_args: ``region_name``; others are refused.
        delete_extra_files: Delete, when all are copied, what is in the folder of the copies and the
            copy of nothing. The receipt names what was deleted.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "container_name",
        "prefix",
        "delimiter",
        "dest_s3_key",
        "wasb_conn_id",
        "aws_conn_id",
    )

    def __init__(
        self,
        *,
        wasb_conn_id: str = "wasb_default",
        container_name: str,
        prefix: str | None = None,
        delimiter: str = "",
        aws_conn_id: str | None = "aws_default",
        dest_s3_key: str,
        dest_verify: str | bool | None = None,
        dest_s3_extra_args: dict[str, Any] | None = None,
        replace: bool = False,
        s3_acl_policy: str | None = None,
        wasb_extra_args: dict[str, Any] | None = None,
        s3_extra_args: dict[str, Any] | None = None,
        delete_extra_files: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wasb_conn_id = wasb_conn_id
        self.container_name = container_name
        self.prefix = prefix
        self.delimiter = delimiter
        self.aws_conn_id = aws_conn_id
        self.dest_s3_key = dest_s3_key
        self.dest_verify = dest_verify
        self.dest_s3_extra_args = dest_s3_extra_args or {}
        self.replace = replace
        self.s3_acl_policy = s3_acl_policy
        self.wasb_extra_args = refuse_others("wasb_extra_args", wasb_extra_args, (), _CONNECTION)
        self.delete_extra_files = delete_extra_files
        refuse_partial(delete_extra_files, delimiter=delimiter)
        self.s3_extra_args = refuse_others(
            "s3_extra_args", s3_extra_args, ("region_name",), _CONNECTION
        )

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each copy."""
        from tradewind.systems.azure.airflow import azure_store
        from tradewind.systems.s3.airflow import s3_store

        bucket, folder = s3_folder(self.dest_s3_key, self.aws_conn_id, "dest_s3_key")
        extra = dict(self.dest_s3_extra_args)
        if self.s3_acl_policy:
            extra["ACL"] = self.s3_acl_policy
        source = azure_store(self.container_name, self.wasb_conn_id)
        prefix = self.prefix or ""
        names = self.names(
            info.key for info in source.list(prefix) if info.key.endswith(self.delimiter or "")
        )
        return Copies(
            source,
            s3_store(
                bucket,
                self.aws_conn_id,
                verify=self.dest_verify,
                extra_args=extra,
                **self.s3_extra_args,
            ),
            [(name, folder + name) for name in names],
            read=prefix,
            written=folder,
            surplus=(prefix, folder + prefix) if self.delete_extra_files else None,
            existing="replace" if self.replace else "skip",
            content_type=extra.get("ContentType"),
        )

    def returned(self, done: Pairs) -> list[str]:
        """Tell the names of the blobs."""
        return [source for source, _ in done]


class AzureBlobStorageToGCSOperator(CopyOperator):
    """Copy a blob from Azure to Google Cloud Storage. Takes the place of the official operator.

    Returns the object's URI as the official operator does: a text, or a list of one.

    Args:
        wasb_conn_id: The Azure connection.
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
        blob_name: Name of the blob. (templated)
        container_name: Its container. (templated)
        bucket_name: The bucket in Google Cloud Storage. (templated)
        object_name: Name of the object. (templated)
        filename: Of no effect, as in the official operator: no file is written. (templated)
        gzip: Compress on the way; the name stays as it is.
        impersonation_chain: The service account to act as, or the chain to it.
        return_gcs_uris: Return a list.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "blob_name",
        "container_name",
        "bucket_name",
        "object_name",
        "filename",
    )

    def __init__(
        self,
        *,
        wasb_conn_id: str = "wasb_default",
        gcp_conn_id: str | None = "google_cloud_default",
        blob_name: str,
        container_name: str,
        bucket_name: str,
        object_name: str,
        filename: str | None = None,
        gzip: bool = False,
        impersonation_chain: str | Sequence[str] | None = None,
        return_gcs_uris: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wasb_conn_id = wasb_conn_id
        self.gcp_conn_id = gcp_conn_id
        self.blob_name = blob_name
        self.container_name = container_name
        self.bucket_name = bucket_name
        self.object_name = object_name
        self.filename = filename
        self.gzip = gzip
        self.impersonation_chain = impersonation_chain
        self.return_gcs_uris = return_gcs_uris

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Name the one copy."""
        from tradewind.systems.azure.airflow import azure_store
        from tradewind.systems.gcs.airflow import gcs_store

        return Copies(
            azure_store(self.container_name, self.wasb_conn_id),
            gcs_store(
                self.bucket_name, self.gcp_conn_id, impersonation_chain=self.impersonation_chain
            ),
            [(self.blob_name, self.object_name)],
            read=self.blob_name,
            written=self.object_name,
            gzip=self.gzip,
        )

    def returned(self, done: Pairs) -> str | list[str]:
        """Tell the object's URI."""
        uri = f"gs://{self.bucket_name}/{self.object_name}"
        return [uri] if self.return_gcs_uris else uri


class S3ToAzureBlobStorageOperator(CopyOperator):
    """Copy objects from S3 to Azure Blob Storage. Takes the place of the official operator.

    Returns the names of what was copied without their folders' prefix, as the official operator
    does.

    Args:
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        wasb_conn_id: The Azure connection. (templated)
        s3_bucket: The bucket in S3. (templated)
        container_name: The container in Azure. (templated)
        s3_prefix: A folder in S3, with all that is in it. (templated)
        s3_key: One object in S3, which goes before `s3_prefix`. (templated)
        blob_prefix: The folder in Azure. (templated)
        blob_name: The name of the one blob, which goes before `blob_prefix`. (templated)
        create_container: Make the container where it is not there.
        replace: Whether blobs that are there are replaced; they are let be otherwise.
        s3_verify: Whether to check S3's certificate, or the file with those to trust. As in the
            official operator it is not checked when not given.
        s3_extra_args: ``region_name``; others are refused.
        wasb_extra_args: Refused.
        delete_extra_files: Delete, when all are copied, what is in the folder of the copies and the
            copy of nothing. The receipt names what was deleted.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "container_name",
        "s3_prefix",
        "s3_key",
        "blob_prefix",
        "blob_name",
        "aws_conn_id",
        "wasb_conn_id",
    )

    def __init__(
        self,
        *,
        aws_conn_id: str | None = "aws_default",
        wasb_conn_id: str = "wasb_default",
        s3_bucket: str,
        container_name: str,
        s3_prefix: str | None = None,
        s3_key: str | None = None,
        blob_prefix: str | None = None,
        blob_name: str | None = None,
        create_container: bool = False,
        replace: bool = False,
        s3_verify: bool | str | None = False,
        s3_extra_args: dict[str, Any] | None = None,
        wasb_extra_args: dict[str, Any] | None = None,
        delete_extra_files: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.wasb_conn_id = wasb_conn_id
        self.s3_bucket = s3_bucket
        self.container_name = container_name
        self.s3_prefix = s3_prefix
        self.s3_key = s3_key
        self.blob_prefix = blob_prefix
        self.blob_name = blob_name
        self.create_container = create_container
        self.replace = replace
        self.s3_verify = s3_verify
        self.s3_extra_args = refuse_others(
            "s3_extra_args", s3_extra_args, ("region_name",), _CONNECTION
        )
        self.delete_extra_files = delete_extra_files
        refuse_partial(delete_extra_files, s3_key=s3_key, blob_name=blob_name)
        self.wasb_extra_args = refuse_others("wasb_extra_args", wasb_extra_args, (), _CONNECTION)
        if s3_key is None and s3_prefix is None:
            raise InputError("One of s3_key and s3_prefix must be given.")
        if blob_name is None and blob_prefix is None:
            raise InputError("One of blob_name and blob_prefix must be given.")

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each copy."""
        from tradewind.systems.azure.airflow import azure_store
        from tradewind.systems.s3.airflow import s3_store

        source = s3_store(
            self.s3_bucket, self.aws_conn_id, verify=self.s3_verify, **self.s3_extra_args
        )
        target = azure_store(self.container_name, self.wasb_conn_id)
        begin = self.s3_key or self.s3_prefix or ""
        self._folder = begin.rpartition("/")[0] if self.s3_key else begin.rstrip("/")
        if self._folder:
            self._folder += "/"
        keys = [begin] if self.s3_key else [info.key for info in source.list(begin)]
        for key in keys:
            if not key.startswith(self._folder):
                raise InputError(
                    f"s3_prefix={begin!r} is no folder: {source.uri(key)} begins with it too. End "
                    "it with a slash, or name the objects by s3_key."
                )
        if self.blob_name and len(keys) > 1:
            raise InputError(
                f"blob_name={self.blob_name!r} names one blob, and there are {len(keys)} objects. "
                "Give blob_prefix."
            )
        folder = (self.blob_prefix or "").rstrip("/")
        if folder:
            folder += "/"
        if self.create_container:
            target.create()
        names = [(key, self.blob_name or folder + key[len(self._folder) :]) for key in keys]
        return Copies(
            source,
            target,
            # The folder's own marker has no name in it.
            [pair for pair in names if pair[0] != self._folder],
            read=begin,
            written=self.blob_name or folder,
            surplus=(self._folder, folder) if self.delete_extra_files else None,
            existing="replace" if self.replace else "skip",
        )

    def returned(self, done: Pairs) -> list[str]:
        """Tell the names in the folder."""
        return [source[len(self._folder) :] for source, _ in done]
