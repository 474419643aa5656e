"""S3 from an AWS connection, by the official hook: profile, role, region, endpoint, TLS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, SetupError

if TYPE_CHECKING:
    from tradewind.systems.s3.store import S3Store

__all__ = ["s3_store", "split_s3"]


def s3_store(
    bucket: str,
    conn_id: str | None = "aws_default",
    *,
    verify: bool | str | None = None,
    region_name: str | None = None,
    botocore_config: Mapping[str, Any] | None = None,
    **options: Any,
) -> S3Store:
    """Make the store of a bucket.

    Args:
        bucket: Its name.
        conn_id: An AWS connection; None leaves the credentials to boto3's own chain. As with the
            official hook, one that does not exist does so too.
        verify: Whether to check certificates, or the file with those to trust; what the connection
            says when not given.
        region_name: The region; what the connection says when not given.
        botocore_config: Arguments of `botocore.config.Config`.
        options: Further arguments of `S3Store`, like ``extra_args``.

    Returns:
        The store. Its session is the hook's: credentials of a role are renewed when they expire,
        also while data are moving.

    Raises:
        SetupError: The connection is wrong.
    """
    try:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    except ImportError as error:
        raise SetupError(
            "An AWS connection needs Airflow's Amazon provider. Install it with: "
            "pip install apache-airflow-providers-amazon"
        ) from error
    from tradewind.systems.s3.store import S3Store

    hook = S3Hook(
        aws_conn_id=conn_id,
        verify=verify,
        region_name=region_name,
        config=dict(botocore_config) if botocore_config else None,
    )
    try:
        session = hook.get_session(region_name=hook.region_name)
        client_options: dict[str, Any] = {"config": hook.config}
        endpoint = hook.conn_config.get_service_endpoint_url("s3")
    except Exception as error:
        raise SetupError(
            f"The Airflow connection {conn_id!r} gives no AWS session: {error}. Correct it."
        ) from error
    if endpoint:
        client_options["endpoint_url"] = endpoint
    if hook.verify is not None:
        client_options["verify"] = hook.verify
    return S3Store(bucket, session=session, client_options=client_options, **options)


def split_s3(
    bucket: str | None,
    key: str,
    *,
    conn_id: str | None,
    bucket_argument: str,
    key_argument: str,
) -> tuple[str, str]:
    """Tell bucket and key, of which the key may be a whole ``s3://`` URI.

    Args:
        bucket: The bucket, None beside a URI.
        key: The key or URI.
        conn_id: The AWS connection, whose ``service_config`` may name the bucket that is meant
            where none is given (``{"s3": {"bucket_name": ...}}``).
        bucket_argument: What the user calls the bucket, for messages.
        key_argument: What the user calls the key.

    Returns:
        Bucket and key.

    Raises:
        InputError: Both name a bucket, or none does.
    """
    for scheme in ("s3://", "s3a://", "s3n://"):
        if key.startswith(scheme):
            if bucket:
                raise InputError(
                    f"{key_argument} is a whole URI ({key}): leave {bucket_argument} out."
                )
            bucket, _, key = key[len(scheme) :].partition("/")
    if not bucket and conn_id:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        bucket = S3Hook(aws_conn_id=conn_id).service_config.get("bucket_name")
    if not bucket or not key:
        raise InputError(
            f"{bucket_argument} and {key_argument} name no object: {bucket!r}, {key!r}. Give both, "
            f"or {key_argument}='s3://bucket/key'."
        )
    return bucket, key
