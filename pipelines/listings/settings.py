"""What the DAG is told: by its parameters, whose defaults the environment may set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param

__all__ = ["END", "RETRIES", "RETRY_DELAY", "START", "WAYS", "S3Address", "parameters", "s3"]

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
        "bucket": text("BUCKET", "inside-airbnb", "The bucket that all objects go to."),
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
