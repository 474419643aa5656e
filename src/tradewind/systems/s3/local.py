"""S3: OpenStack Swift with its S3 API, in the process of `tradewind.systems.s3.swift`."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.samples import SAMPLE_BUCKET
from tradewind.local.system import AWS_REGION, Context, Credentials, Offer, System

__all__ = ["S3", "SYSTEM"]


def s3_offer(endpoint: str, credentials: Credentials) -> Offer:
    """Say how clients reach an S3 server.

    Args:
        endpoint: Its address.
        credentials: The key pair it accepts.

    Returns:
        Endpoint, environment and Airflow connection ``aws_default``.
    """
    return Offer(
        endpoint=endpoint,
        environment={
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_DEFAULT_REGION": AWS_REGION,
            "AWS_REGION": AWS_REGION,
            # Never ask the network for credentials.
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": endpoint,
        },
        connections={
            "aws_default": {
                "conn_type": "aws",
                "login": credentials.access_key_id,
                "password": credentials.secret_access_key,
                "extra": {
                    "region_name": AWS_REGION,
                    "config_kwargs": {"s3": {"addressing_style": "path"}},
                    "service_config": {"s3": {"endpoint_url": endpoint}},
                },
            }
        },
    )


class S3(System):
    """An S3 server for development, whose objects are files in its folder."""

    name = "s3"
    summary = "object store with the S3 API (OpenStack Swift)"
    default_port = 9000
    role = "s3"

    def check(self) -> None:
        """Look for the server's package."""
        for module in ("swift", "eventlet"):
            if importlib.util.find_spec(module) is None:
                raise SetupError(
                    f"{self.name}: the Python module {module!r} is not installed. "
                    "Install it with: pip install 'tradewind[local-s3]'"
                )

    def sample(self, environment: Mapping[str, str]) -> None:
        """Make the bucket ``sample``."""
        _make_bucket(environment)

    def start(self, context: Context) -> Offer:
        """Start the server and wait until it announces its endpoint and answers."""
        _check_attributes(context.folder)
        child = context.children.start(
            [
                sys.executable,
                "-Wignore",
                "-m",
                "tradewind.systems.s3.swift",
                f"--folder={context.folder}",
                f"--host={context.host}",
                f"--port={context.port}",
                f"--region={AWS_REGION}",
            ],
            # Not on the command line, where every user of the machine can read it.
            environment={
                "AWS_ACCESS_KEY_ID": context.credentials.access_key_id,
                "AWS_SECRET_ACCESS_KEY": context.credentials.secret_access_key,
            },
            separate_output=True,
        )
        endpoint = child.announced_endpoint(seconds=context.start_timeout)
        return s3_offer(endpoint, context.credentials)


def _check_attributes(folder: Path) -> None:
    """Swift keeps an object's metadata in extended attributes of its file."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        try:
            os.setxattr(probe.fileno(), "user.tradewind", b"1")
        except OSError as error:
            raise SetupError(
                f"s3: the file system of {folder} keeps no extended attributes "
                f"({error.strerror}). Choose a folder on another one with --data."
            ) from error


def _make_bucket(environment: Mapping[str, str]) -> None:
    try:
        import boto3
    except ImportError as error:
        raise SetupError(
            "--sample makes a bucket by boto3. Install it with: pip install 'tradewind[s3]'"
        ) from error
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    buckets = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    if SAMPLE_BUCKET not in buckets:
        client.create_bucket(Bucket=SAMPLE_BUCKET)


SYSTEM = S3()
