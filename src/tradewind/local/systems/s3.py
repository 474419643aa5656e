"""S3: rclone serving a folder (https://rclone.org/commands/rclone_serve_s3/)."""

from __future__ import annotations

import re
from pathlib import Path

from tradewind.local.system import AWS_REGION, Context, Credentials, Offer, System, find_program

__all__ = ["S3", "SYSTEM"]

_REMEDY = "Install it with: pip install 'tradewind[local-s3]'"
_ANNOUNCED = re.compile(r"Starting s3 server on \[(http://[^/\]]+)/?\]")


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
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        },
        connections={
            "aws_default": {
                "conn_type": "aws",
                "login": credentials.access_key_id,
                "password": credentials.secret_access_key,
                "extra": {
                    "region_name": AWS_REGION,
                    "config_kwargs": {
                        "s3": {"addressing_style": "path"},
                        "response_checksum_validation": "when_required",
                    },
                    "service_config": {"s3": {"endpoint_url": endpoint}},
                },
            }
        },
    )


class S3(System):
    """An S3 server for development: objects are the files of a folder."""

    name = "s3"
    summary = "object store with the S3 API (rclone)"
    default_port = 9000
    role = "s3"

    def check(self) -> None:
        """Look for the program."""
        self._program()

    def start(self, context: Context) -> Offer:
        """Start rclone and wait until it says where it listens."""
        buckets = context.folder / "buckets"
        buckets.mkdir(exist_ok=True)
        key = f"{context.credentials.access_key_id},{context.credentials.secret_access_key}"
        child = context.children.start(
            [
                self._program(),
                "serve",
                "s3",
                f"--addr={context.host}:{context.port}",
                "--vfs-cache-mode=off",
                str(buckets),
            ],
            # Not on the command line, where every user of the machine can read it.
            environment={"RCLONE_AUTH_KEY": f'"{key}"', "RCLONE_CONFIG": ""},
        )
        child.wait_ready(lambda: _announced(child.log) is not None, seconds=context.start_timeout)
        endpoint = _announced(child.log)
        assert endpoint is not None  # noqa: S101  (it was just there)
        return s3_offer(endpoint, context.credentials)

    def _program(self) -> str:
        return find_program("rclone", system=self.name, remedy=_REMEDY)


def _announced(log: Path) -> str | None:
    found = _ANNOUNCED.search(log.read_text(errors="replace"))
    return found.group(1) if found else None


SYSTEM = S3()
