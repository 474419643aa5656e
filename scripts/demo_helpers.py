"""What the demos share: saying what happens, waiting, looking after systems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from airflow_api import AirflowApi
from tradewind.errors import TradewindError
from tradewind.local import Systems
from tradewind.local.processes import check_port_free
from tradewind.local.system import AWS_REGION, find_systems

__all__ = [
    "DemoError",
    "dag_is_known",
    "free_or_any",
    "interrupt",
    "look",
    "phase",
    "ports",
    "s3_client",
    "say",
    "wait",
]


class DemoError(Exception):
    """Something the demo relies on did not come true."""


def dag_is_known(api: AirflowApi, dag: str) -> bool:
    """Whether Airflow has read the DAG; an error when it cannot."""
    try:
        return api.dag_is_known(dag)
    except RuntimeError as error:
        raise DemoError(f"Airflow cannot read a DAG file: {error}") from error


def wait(condition: Callable[[], bool], systems: Systems, *, seconds: float, what: str) -> None:
    """Wait for a condition while the systems run."""
    deadline = time.monotonic() + seconds
    while not condition():
        look(systems)
        if time.monotonic() > deadline:
            raise DemoError(f"no {what} after {seconds:.0f} s; logs are in {systems.data}")
        time.sleep(0.3)


def look(systems: Systems) -> None:
    """Raise an error when a process of a system has ended by itself."""
    if child := systems.ended():
        raise DemoError(
            f"{child.system}: its process {child.describe_end()}. "
            f"Its log is {child.log} and ends with:\n{child.tail()}"
        )


def ports(names: Iterable[str], *, once: bool) -> dict[str, int]:
    """Give the usual ports where they are free, so that addresses stay; any for one run."""
    known = find_systems()
    return {name: 0 if once else free_or_any(known[name].default_port) for name in names}


def free_or_any(port: int) -> int:
    """Give the port if it is free, else 0."""
    try:
        check_port_free("demo", port)
    except TradewindError:
        return 0
    return port


def s3_client(environment: dict[str, str]) -> Any:
    """Make boto3's client of the S3 that an environment leads to."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=AWS_REGION,
    )


def interrupt(number: int, frame: FrameType | None) -> None:
    """Make a signal a KeyboardInterrupt."""
    raise KeyboardInterrupt


_BEGAN = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - _BEGAN:6.1f} s  {text}", flush=True)


@contextmanager
def phase(done: str) -> Iterator[None]:
    """Say when a part of the demo is done and how long it took."""
    began = time.monotonic()
    yield
    say(f"{done} ({time.monotonic() - began:.1f} s)")
