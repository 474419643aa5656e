"""The lines that jobs and endpoints write, kept as CloudWatch Logs keeps them.

One SQLite file; every answer is read by an index and cut to a page, so neither a log's length nor
a stream's age costs memory. Order within a stream is (timestamp, arrival).
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_local.store import connect

__all__ = ["MAX_EVENT_BYTES", "Event", "Logs"]

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
MAX_EVENT_BYTES = 256 * 1024

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS groups (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL REFERENCES groups (id),
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    first_event INTEGER,
    last_event INTEGER,
    last_ingestion INTEGER,
    stored INTEGER NOT NULL DEFAULT 0,
    UNIQUE (group_id, name)
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    timestamp INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_in_order ON events (stream_id, timestamp, id);
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a log.

    Args:
        id: Rises with arrival.
        stream: Name of its stream.
        timestamp: When it was written, epoch milliseconds.
        ingested: When it arrived, epoch milliseconds.
        message: The line.
    """

    id: int
    stream: str
    timestamp: int
    ingested: int
    message: str


class Logs:
    """Log groups, their streams and events. Safe to use from several threads.

    Args:
        path: The database file; made when it is not there.
        region: Part of the ARNs.
        account: Part of the ARNs.

    Raises:
        SetupError: The file is no such database, or cannot be opened.
    """

    def __init__(self, path: Path, region: str, account: str) -> None:
        # Logs may be long: a start does not wait until all are read.
        self._database = connect(path, _SCHEMA, _SCHEMA_VERSION, thorough=False)
        self._database.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        # Readers have a connection of their own: a long look through the lines keeps no writer,
        # and with it the event loop, waiting.
        self._reader = connect(path, _SCHEMA, _SCHEMA_VERSION, thorough=False)
        self._reader.row_factory = sqlite3.Row
        self._reader_lock = threading.RLock()
        self._prefix = f"arn:aws:logs:{region}:{account}:log-group:"

    def close(self) -> None:
        """Close the database."""
        with self._reader_lock:
            self._reader.close()
        with self._lock:
            self._database.close()

    def arn(self, group: str, stream: str | None = None) -> str:
        """Return the ARN of a group, or of one of its streams."""
        return self._prefix + group + (":*" if stream is None else f":log-stream:{stream}")

    # Writing --------------------------------------------------------------------------------

    def put(self, group: str, stream: str, events: Iterable[tuple[int, str]]) -> None:
        """Append lines to a stream; group and stream are made when they are not there.

        Args:
            group: Such as "/aws/sagemaker/TrainingJobs".
            stream: Such as "my-job/algo-1-1700000000".
            events: Pairs of epoch milliseconds and line; longer lines are cut to 256 KB.
        """
        now = _now()
        rows = [(moment, now, _cut(line)) for moment, line in events]
        with self._lock, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            stream_id = self._stream_id(group, stream, now)
            if not rows:
                return
            self._database.executemany(
                f"INSERT INTO events (stream_id, timestamp, ingested, message) "  # noqa: S608
                f"VALUES ({stream_id}, ?, ?, ?)",
                rows,
            )
            first, last = min(row[0] for row in rows), max(row[0] for row in rows)
            self._database.execute(
                "UPDATE streams SET first_event = min(coalesce(first_event, ?1), ?1), "
                "last_event = max(coalesce(last_event, ?2), ?2), last_ingestion = ?3, "
                "stored = stored + ?4 WHERE id = ?5",
                (first, last, now, sum(len(row[2]) + 26 for row in rows), stream_id),
            )

    def create_group(self, group: str) -> bool:
        """Make a group; tell whether it was not there before."""
        with self._lock:
            done = self._database.execute(
                "INSERT OR IGNORE INTO groups (name, created) VALUES (?, ?)", (group, _now())
            )
        return done.rowcount > 0

    def create_stream(self, group: str, stream: str) -> bool:
        """Make a stream in a group that is there; tell whether it was not there before."""
        with self._lock:
            done = self._database.execute(
                "INSERT OR IGNORE INTO streams (group_id, name, created) "
                "SELECT id, ?, ? FROM groups WHERE name = ?",
                (stream, _now(), group),
            )
        return done.rowcount > 0

    def delete(self, group: str, stream: str | None = None) -> bool:
        """Remove a stream, or a whole group; tell whether it was there."""
        with self._lock, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            found = self._database.execute(
                "SELECT streams.id FROM streams JOIN groups ON groups.id = group_id "
                "WHERE groups.name = ?1 AND (?2 IS NULL OR streams.name = ?2)",
                (group, stream),
            ).fetchall()
            for row in found:
                self._database.execute("DELETE FROM events WHERE stream_id = ?", (row[0],))
                self._database.execute("DELETE FROM streams WHERE id = ?", (row[0],))
            if stream is not None:
                return bool(found)
            done = self._database.execute("DELETE FROM groups WHERE name = ?", (group,))
            return done.rowcount > 0

    def _stream_id(self, group: str, stream: str, now: int) -> int:
        row = self._database.execute(
            "SELECT streams.id FROM streams JOIN groups ON groups.id = group_id "
            "WHERE groups.name = ? AND streams.name = ?",
            (group, stream),
        ).fetchone()
        if row is None:
            self._database.execute(
                "INSERT OR IGNORE INTO groups (name, created) VALUES (?, ?)", (group, now)
            )
            self._database.execute(
                "INSERT INTO streams (group_id, name, created) "
                "SELECT id, ?, ? FROM groups WHERE name = ?",
                (stream, now, group),
            )
            return self._stream_id(group, stream, now)
        return int(row[0])

    # Reading --------------------------------------------------------------------------------

    def groups(self, prefix: str = "", contains: str = "") -> list[dict[str, Any]]:
        """Return the groups by name, as DescribeLogGroups shows them."""
        with self._reader_lock:
            rows = self._reader.execute(
                "SELECT name, created, "
                "(SELECT coalesce(sum(stored), 0) FROM streams WHERE group_id = groups.id) AS size "
                "FROM groups WHERE substr(name, 1, length(?1)) = ?1 AND instr(name, ?2) "
                "ORDER BY name",
                (prefix, contains),
            ).fetchall()
        return [
            {
                "logGroupName": row["name"],
                "creationTime": row["created"],
                "metricFilterCount": 0,
                "arn": self.arn(row["name"]),
                "logGroupArn": self.arn(row["name"]).removesuffix(":*"),
                "storedBytes": row["size"],
                "logGroupClass": "STANDARD",
            }
            for row in rows
        ]

    def has_group(self, group: str) -> bool:
        """Tell whether there is such a group."""
        with self._reader_lock:
            found = self._reader.execute("SELECT 1 FROM groups WHERE name = ?", (group,)).fetchone()
        return found is not None

    def streams(self, group: str, prefix: str = "") -> list[dict[str, Any]]:
        """Return the streams of a group by name, as DescribeLogStreams shows them."""
        with self._reader_lock:
            rows = self._reader.execute(
                "SELECT streams.* FROM streams JOIN groups ON groups.id = group_id "
                "WHERE groups.name = ?1 AND substr(streams.name, 1, length(?2)) = ?2 "
                "ORDER BY streams.name",
                (group, prefix),
            ).fetchall()
        found = []
        for row in rows:
            stream = {
                "logStreamName": row["name"],
                "creationTime": row["created"],
                "firstEventTimestamp": row["first_event"],
                "lastEventTimestamp": row["last_event"],
                "lastIngestionTime": row["last_ingestion"],
                "uploadSequenceToken": f"{row['id']:056d}",
                "arn": self.arn(group, row["name"]),
                "storedBytes": 0,  # AWS has answered 0 here since 2019
            }
            found.append({key: value for key, value in stream.items() if value is not None})
        return found

    def events(
        self,
        group: str,
        streams: Sequence[str],
        *,
        start: int | None = None,
        end: int | None = None,
        after: tuple[int, int] | None = None,
        before: tuple[int, int] | None = None,
        newest: bool = False,
        limit: int = 10_000,
    ) -> list[Event]:
        """Return a page of events, the oldest first.

        Args:
            group: The group's name.
            streams: Names of its streams.
            start: No event older than this, epoch milliseconds.
            end: No event of this time or newer, epoch milliseconds.
            after: Events past this (timestamp, id) alone.
            before: Events ahead of this (timestamp, id) alone.
            newest: Take the page from the end, not from the start.
            limit: At most so many events.
        """
        way = "DESC" if newest else "ASC"
        condition = "timestamp >= ? AND timestamp < ?"
        arguments: list[Any] = [
            -(2**62) if start is None else start,
            2**62 if end is None else end,
        ]
        if after is not None:
            condition += " AND (timestamp, events.id) > (?, ?)"
            arguments += after
        if before is not None:
            condition += " AND (timestamp, events.id) < (?, ?)"
            arguments += before
        with self._reader_lock:
            names: dict[int, str] = {}
            for name in streams:
                row = self._reader.execute(
                    "SELECT streams.id FROM streams JOIN groups ON groups.id = group_id "
                    "WHERE groups.name = ? AND streams.name = ?",
                    (group, name),
                ).fetchone()
                if row is not None:
                    names[row[0]] = name
            # One index scan a stream, merged while they are read: a page of many streams costs no
            # more than its own lines.
            scans = [
                self._reader.execute(
                    "SELECT timestamp, id, stream_id, ingested, message FROM events "  # noqa: S608
                    f"WHERE stream_id = ? AND {condition} "
                    f"ORDER BY timestamp {way}, id {way} LIMIT ?",
                    [stream_id, *arguments, limit],
                )
                for stream_id in names
            ]
            merged = heapq.merge(*scans, key=lambda row: (row[0], row[1]), reverse=newest)
            rows = list(itertools.islice(merged, limit))
            for scan in scans:
                scan.close()
        if newest:
            rows.reverse()
        return [
            Event(row["id"], names[row["stream_id"]], row["timestamp"], row["ingested"], row[4])
            for row in rows
        ]


def _now() -> int:
    return int(time.time() * 1000)


def _cut(line: str) -> str:
    if len(line) * 4 <= MAX_EVENT_BYTES:
        return line
    return line.encode("utf-8", "replace")[:MAX_EVENT_BYTES].decode("utf-8", "ignore")
