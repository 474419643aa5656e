"""Files of the worker to S3, Google Cloud Storage and Azure Blob Storage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, Pairs, one_slash, refuse_others
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.move.store import Store
    from tradewind.owner import Owner

__all__ = [
    "LocalFilesystemToGCSOperator",
    "LocalFilesystemToS3Operator",
    "LocalFilesystemToWasbOperator",
]

_CHUNK = 256 << 10


def _file(filename: str) -> tuple[Store, str]:
    """Make the store of a file's folder, and its name there."""
    from tradewind.systems.files.store import FileStore

    path = Path(filename).absolute()
    return FileStore(path.parent), path.name


def _from_root(filename: str) -> str:
    """Spell a path as a key of the store of all files, which knows no ``..``."""
    path = Path(filename)
    return str(path.parent.resolve() / path.name).lstrip("/")


class LocalFilesystemToS3Operator(CopyOperator):
    """Upload a file of the worker to S3. Takes the place of the official operator.

    Args:
        filename: Path of the file. (templated)
        dest_key: Key of the object, or ``s3://bucket/key``. (templated)
        dest_bucket: Its bucket, left out beside a whole URI. (templated)
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        verify: Whether to check S3's certificate, or the file with those to trust.
        replace: Whether an object that is there is replaced; it is an error otherwise, unless an
            earlier attempt of this task run has made it.
        encrypt: Have S3 encrypt it with its own keys (``AES256``).
        gzip: Compress on the way; the key stays as it is.
        acl_policy: A canned ACL; none is sent when not given.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = ("filename", "dest_key", "dest_bucket", "aws_conn_id")

    def __init__(
        self,
        *,
        filename: str,
        dest_key: str,
        dest_bucket: str | None = None,
        aws_conn_id: str | None = "aws_default",
        verify: str | bool | None = None,
        replace: bool = False,
        encrypt: bool = False,
        gzip: bool = False,
        acl_policy: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filename = filename
        self.dest_key = dest_key
        self.dest_bucket = dest_bucket
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.replace = replace
        self.encrypt = encrypt
        self.gzip = gzip
        self.acl_policy = acl_policy

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Name the one copy."""
        from tradewind.systems.s3.airflow import s3_store, split_s3

        bucket, key = split_s3(
            self.dest_bucket,
            self.dest_key,
            conn_id=self.aws_conn_id,
            bucket_argument="dest_bucket",
            key_argument="dest_key",
        )
        extra: dict[str, Any] = {}
        if self.encrypt:
            extra["ServerSideEncryption"] = "AES256"
        if self.acl_policy:
            extra["ACL"] = self.acl_policy
        source, name = _file(self.filename)
        return Copies(
            source,
            s3_store(bucket, self.aws_conn_id, verify=self.verify, extra_args=extra),
            [(name, key)],
            read=name,
            written=key,
            existing="replace" if self.replace else "refuse",
            gzip=self.gzip,
        )


class LocalFilesystemToGCSOperator(CopyOperator):
    """Upload files of the worker to Google Cloud Storage. Takes the place of the official operator.

    Returns the URIs of the objects, as the official operator does.

    Args:
        src: Path of a file, a glob, or a list of paths. (templated)
        dst: Name of the object, or the folder, with ``/`` at its end. (templated)
        bucket: The bucket. (templated)
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
        mime_type: Media type of the objects.
        gzip: Compress on the way; the names stay as they are.
        chunk_size: Bytes that are sent in one request, a multiple of 262144; three are in memory
            for each of eight files at once.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = ("src", "dst", "bucket", "impersonation_chain")

    def __init__(
        self,
        *,
        src: str | list[str],
        dst: str,
        bucket: str,
        gcp_conn_id: str | None = "google_cloud_default",
        mime_type: str = "application/octet-stream",
        gzip: bool = False,
        chunk_size: int | None = None,
        impersonation_chain: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.src = src
        self.dst = dst
        self.bucket = bucket
        self.gcp_conn_id = gcp_conn_id
        self.mime_type = mime_type
        self.gzip = gzip
        self.chunk_size = chunk_size
        self.impersonation_chain = impersonation_chain
        if chunk_size is not None and (chunk_size <= 0 or chunk_size % _CHUNK):
            raise InputError(f"chunk_size={chunk_size}: give a multiple of {_CHUNK}.")

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Look which files there are, and name each copy."""
        from tradewind.move.copy_pairs import beginning
        from tradewind.systems.files.store import FileStore
        from tradewind.systems.gcs.airflow import gcs_store

        paths = self.src if isinstance(self.src, list) else sorted(glob(self.src))
        if not paths:
            raise InputError(f"src={self.src!r}: there is no such file. Correct it.")
        to_file = self.dst.rpartition("/")[2]
        if to_file and len(paths) > 1:
            raise InputError(
                f"dst={self.dst!r} names one object, and there are {len(paths)} files. End it with "
                "a slash to have them in a folder."
            )
        # In this order and once each, though a list may name a file twice.
        names = {_from_root(path): os.path.basename(path) for path in paths}
        options = {} if self.chunk_size is None else {"part_bytes": self.chunk_size}
        return Copies(
            FileStore("/"),
            gcs_store(
                self.bucket,
                self.gcp_conn_id,
                impersonation_chain=self.impersonation_chain,
                **options,
            ),
            [
                (path, self.dst if to_file else one_slash(self.dst, name))
                for path, name in names.items()
            ],
            read=beginning(list(names)),
            written=self.dst,
            gzip=self.gzip,
            content_type=self.mime_type,
        )

    def returned(self, done: Pairs) -> list[str]:
        """Tell the URIs of the objects."""
        return [f"gs://{self.bucket}/{target}" for _, target in done]


class LocalFilesystemToWasbOperator(CopyOperator):
    """Upload a file of the worker to Azure Blob Storage. Takes the place of the official operator.

    Args:
        file_path: Path of the file. (templated)
        container_name: The container. (templated)
        blob_name: Name of the blob. (templated)
        wasb_conn_id: The Azure connection. (templated)
        create_container: Make the container where it is not there.
        load_options: ``overwrite``: whether a blob that is there is replaced, an error otherwise;
            ``metadata``: user metadata; ``max_concurrency``: of no effect. Others are refused.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = ("file_path", "container_name", "blob_name", "wasb_conn_id")

    def __init__(
        self,
        *,
        file_path: str,
        container_name: str,
        blob_name: str,
        wasb_conn_id: str = "wasb_default",
        create_container: bool = False,
        load_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.file_path = file_path
        self.container_name = container_name
        self.blob_name = blob_name
        self.wasb_conn_id = wasb_conn_id
        self.create_container = create_container
        self.load_options = refuse_others(
            "load_options",
            load_options,
            ("overwrite", "metadata", "max_concurrency"),
            "Choose from overwrite, metadata, max_concurrency.",
        )

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Name the one copy."""
        from tradewind.systems.azure.airflow import azure_store

        source, name = _file(self.file_path)
        target = azure_store(self.container_name, self.wasb_conn_id)
        if self.create_container:
            target.create()
        return Copies(
            source,
            target,
            [(name, self.blob_name)],
            read=name,
            written=self.blob_name,
            existing="replace" if self.load_options.get("overwrite") else "refuse",
            metadata=self.load_options.get("metadata"),
        )
