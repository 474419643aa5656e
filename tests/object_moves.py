"""Moves to objects that tests carry out in workers that are killed; see `tests/killing.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pyarrow as pa

from tradewind.move.batches import Batches
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.source import Source
from tradewind.move.store import Store
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.s3.store import S3Store

SCHEMA = pa.schema([("id", pa.int64()), ("kind", pa.string()), ("text", pa.string())])
FILLING = "x" * 1000
session: list[boto3.Session] = []


class ManyRows(Source):
    """Generated rows of about a kilobyte, five hundred a batch, of three kinds."""

    def __init__(
        self, count: int, *, start: int = 0, before: Callable[[int], None] | None = None
    ) -> None:
        self.count = count
        self.start = start
        self.before = before
        self.touched = False

    def describe(self) -> str:
        return "rows"

    def batches(self) -> Batches:
        self.touched = True

        def generate() -> Iterator[pa.RecordBatch]:
            for begin in range(0, self.count, 500):
                if self.before is not None:
                    self.before(begin)
                numbers = range(self.start + begin, self.start + min(begin + 500, self.count))
                yield pa.record_batch(
                    [
                        pa.array(numbers),
                        pa.array([("a", "b/c", None)[number % 3] for number in numbers]),
                        pa.array([FILLING] * len(numbers)),
                    ],
                    schema=SCHEMA,
                )

        return Batches(SCHEMA, generate())


def warm() -> None:
    CsvFormat()
    session.append(boto3.Session())
    session[0].client("s3")


def store_of(place: str) -> Store:
    if place.startswith("/"):
        return FileStore(place)
    return S3Store(place, session=session[0], part_bytes=5 << 20)


def move(place: str, key: str, rows: int, parts: dict[str, Any] | None = None) -> dict[str, Any]:
    target = ObjectTarget(
        store_of(place), key, format="csv", parts=None if parts is None else Parts(**parts)
    )
    return transfer(ManyRows(rows), target, Owner("dag", "run", "task")).as_dict()


ACTIONS = {"move": move, "pid": lambda: {"pid": os.getpid()}}
