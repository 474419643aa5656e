"""What the DAG is told: by its parameters, whose defaults the environment may set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param

__all__ = [
    "END",
    "RETRIES",
    "RETRY_DELAY",
    "START",
    "STORES",
    "WAYS",
    "S3Address",
    "access",
    "parameters",
    "s3",
]

STORES = ("s3", "gs", "az")
WAYS = ("docker", "ssh", "spark", "livy")
START = date(2015, 4, 1)
_MONTHS = int(os.environ.get("LISTINGS_MONTHS", "57"))
END = date(START.year + (START.month + _MONTHS - 2) // 12, (START.month + _MONTHS - 2) % 12 + 1, 1)
"""First day of the last month: 2019-12-01, or what LISTINGS_MONTHS makes of it."""
RETRIES = int(os.environ.get("LISTINGS_RETRIES", "3"))
RETRY_DELAY = timedelta(seconds=float(os.environ.get("LISTINGS_RETRY_SECONDS", "60")))


def parameters() -> dict[str, Any]:
    """Make the DAG's parameters."""

    def text(name: str, default: str, about: str, **more: Any) -> Param:
        value = os.environ.get(f"LISTINGS_{name}", default)
        return Param(value, type="string", description=about, **more)

    program = str(Path(__file__).with_name("crunch.py"))
    return {
        "store": text(
            "STORE",
            "s3",
            "The store of all objects: S3, Google Cloud Storage or Azure Blob Storage; its "
            "connection is aws_default, google_cloud_default or wasb_default.",
            enum=list(STORES),
        ),
        "bucket": text("BUCKET", "inside-airbnb", "The bucket, or Azure's container, there."),
        "source": text(
            "SOURCE",
            "postgres",
            "The database of the listings; its connection is SOURCE_default.",
            enum=["postgres", "mysql"],
        ),
        "format": text("FORMAT", "csv", "What listings are kept as.", enum=["csv", "parquet"]),
        "way": text("WAY", "docker", "Who runs the program crunch.py.", enum=list(WAYS)),
        "image": text("IMAGE", "tradewind-listings:1", "The image with crunch.py."),
        "program": text("PROGRAM", program, "Path of crunch.py where ssh or Spark starts it."),
        "python": text("PYTHON", "python3", "The Python there, which has pyarrow."),
        "reports": text("REPORTS", "", "The address that the bucket's reports are served at."),
    }


@dataclass(frozen=True)
class S3Address:
    """Where S3 is.

    Args:
        endpoint: Its address; empty for AWS's own.
        region: The region.
    """

    endpoint: str
    region: str


def s3(connection: Any) -> S3Address:
    """Read where S3 is from an AWS connection, as the official hook reads it.

    Args:
        connection: Airflow's connection, or the accessor that templates have.
    """
    extra: Mapping[str, Any] = connection.extra_dejson
    service = (extra.get("service_config") or {}).get("s3") or {}
    endpoint = service.get("endpoint_url") or extra.get("endpoint_url") or ""
    return S3Address(str(endpoint), str(extra.get("region_name") or ""))


def access(store: str, name: str) -> str:
    """Tell what a program elsewhere has to know of the store, from the store's usual connection.

    A secret is masked in the logs and rendered fields from then on.

    Args:
        store: One of `STORES`.
        name: ``token`` (of an hour) or ``endpoint`` of Google Cloud Storage; ``account``, ``key``,
            ``sas`` or ``endpoint`` of Azure.

    Returns:
        It; empty where another store is used, or the program has to find it by itself there.
    """
    from airflow.sdk.log import mask_secret

    if store == "s3":
        return ""
    told = _google() if store == "gs" else _azure()
    value = told.get(name, "")
    if value and name in ("token", "key", "sas"):
        mask_secret(value)
    return value


def _google() -> dict[str, str]:
    from google.auth.credentials import AnonymousCredentials
    from google.auth.transport.requests import Request

    from tradewind.systems.gcs.airflow import google_credentials

    told = {"endpoint": os.environ.get("STORAGE_EMULATOR_HOST", "")}
    credentials = google_credentials("google_cloud_default")
    if not isinstance(credentials, AnonymousCredentials):
        credentials.refresh(Request())
        told["token"] = str(credentials.token)
    return told


def _azure() -> dict[str, str]:
    from tradewind.systems.azure.airflow import azure_settings

    told = azure_settings("wasb_default")
    credential = told.get("credential")
    found = {"account": str(told["account"]), "endpoint": str(told.get("endpoint") or "")}
    if isinstance(credential, str):
        # A signature is a query, a key is Base64.
        found["sas" if "sig=" in credential else "key"] = credential.removeprefix("?")
    return found
