"""`S3CopyObjectOperator`: a copy of an object within S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.base import MoveOperator, ProgressLog
from tradewind.airflow.lineage import Lineage, dataset_of_uri
from tradewind.errors import InputError

if TYPE_CHECKING:
    import threading

    from airflow.sdk import Context

    from tradewind.move.receipt import Receipt
    from tradewind.owner import Owner

__all__ = ["S3CopyObjectOperator"]


class S3CopyObjectOperator(MoveOperator):
    """Copy an object within S3, of any size, verified. Takes the place of the official operator.

    Args:
        source_bucket_key: Key of the source, or ``s3://bucket/key``. (templated)
        dest_bucket_key: Key of the copy, or ``s3://bucket/key``. (templated)
        source_bucket_name: Bucket of the source, left out beside a whole URI. (templated)
        dest_bucket_name: Bucket of the copy, left out beside a whole URI. (templated)
        source_version_id: Version of the source.
        acl_policy: A canned ACL of the copy; none is sent when not given.
        meta_data_directive: ``COPY``, which is done anyway; ``REPLACE`` is refused.
        kms_key_id: Key of KMS that the copy is encrypted with.
        kms_encryption_type: ``aws:kms`` or ``aws:kms:dsse``, goes with `kms_key_id`.
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        region_name: The region; the connection's when not given. (templated)
        verify: Whether to check S3's certificate, or the file with those to trust. (templated)
        botocore_config: Arguments of `botocore.config.Config`.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "source_bucket_key",
        "dest_bucket_key",
        "source_bucket_name",
        "dest_bucket_name",
        "aws_conn_id",
        "region_name",
        "verify",
    )

    def __init__(
        self,
        *,
        source_bucket_key: str,
        dest_bucket_key: str,
        source_bucket_name: str | None = None,
        dest_bucket_name: str | None = None,
        source_version_id: str | None = None,
        acl_policy: str | None = None,
        meta_data_directive: str | None = None,
        kms_key_id: str | None = None,
        kms_encryption_type: str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_bucket_key = source_bucket_key
        self.dest_bucket_key = dest_bucket_key
        self.source_bucket_name = source_bucket_name
        self.dest_bucket_name = dest_bucket_name
        self.source_version_id = source_version_id
        self.acl_policy = acl_policy
        self.meta_data_directive = meta_data_directive
        self.kms_key_id = kms_key_id
        self.kms_encryption_type = kms_encryption_type
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        if bool(kms_key_id) != bool(kms_encryption_type):
            raise InputError(
                "kms_key_id and kms_encryption_type must both be specified. Only one was provided."
            )
        if meta_data_directive not in (None, "COPY"):
            raise InputError(
                f"meta_data_directive={meta_data_directive!r}: metadata are copied. Leave it out, "
                "or write the object anew with TransferOperator and Objects(metadata=...)."
            )

    def act(self, context: Context, owner: Owner, stop: threading.Event) -> Receipt:
        """Copy it: the data stay in S3."""
        from tradewind.move.copy import copy_object
        from tradewind.systems.s3.airflow import s3_store, split_s3

        source_bucket, source_key = split_s3(
            self.source_bucket_name,
            self.source_bucket_key,
            conn_id=self.aws_conn_id,
            bucket_argument="source_bucket_name",
            key_argument="source_bucket_key",
        )
        dest_bucket, dest_key = split_s3(
            self.dest_bucket_name,
            self.dest_bucket_key,
            conn_id=self.aws_conn_id,
            bucket_argument="dest_bucket_name",
            key_argument="dest_bucket_key",
        )
        settings: dict[str, Any] = {
            "verify": self.verify,
            "region_name": self.region_name,
            "botocore_config": self.botocore_config,
        }
        encryption: dict[str, Any] = {}
        if self.kms_key_id:
            encryption = {
                "SSEKMSKeyId": self.kms_key_id,
                "ServerSideEncryption": self.kms_encryption_type,
            }
        source = s3_store(source_bucket, self.aws_conn_id, **settings)
        target = s3_store(dest_bucket, self.aws_conn_id, extra_args=encryption, **settings)
        read, written = source.uri(source_key), target.uri(dest_key)
        self._lineage = Lineage((dataset_of_uri(read),), (dataset_of_uri(written),))
        self.log.info("Copying %s to %s, for %s.", read, written, owner)
        return copy_object(
            source,
            source_key,
            target,
            dest_key,
            owner=owner,
            source_version=self.source_version_id,
            acl=None if self.acl_policy == "no-acl" else self.acl_policy,
            progress=ProgressLog(self.log.info),
            stop=stop,
        )
