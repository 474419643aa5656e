"""What the service remembers: one row of SQLite a resource, kept through a kill of the process.

A body is the resource as its Describe operation shows it, a dict of JSON values (times are epoch
seconds), with private members whose names begin with "_".
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from sagemaker_local.errors import SetupError

__all__ = ["Body", "Exists", "FolderLock", "Missing", "Store", "connect"]

Body: TypeAlias = dict[str, Any]

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""


class Exists(KeyError):
    """A resource of that kind and name is there already."""


class Missing(KeyError):
    """There is no resource of that kind and name."""


class FolderLock:
    """Holds a data folder for one service process, until closed or the process ends.

    Args:
        folder: The data folder; it is made if need be.

    Raises:
        SetupError: The folder cannot be used, or another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(
                f"The data folder {folder} of the local SageMaker cannot be used: "
                f"{error.strerror}. Name a folder that can be written with --data."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise SetupError(
                f"Another local SageMaker is running on the data folder {folder}. "
                "Stop it, or name another folder with --data."
            ) from error

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._file)


def connect(path: Path, schema: str, version: int, *, thorough: bool = True) -> sqlite3.Connection:
    """Open a database of the service, making it when it is not there.

    Write-ahead logging with synchronous=NORMAL keeps every committed change through a kill of
    the process (https://www.sqlite.org/wal.html, "Performance Considerations").

    Args:
        path: The database file.
        schema: Statements that make what is missing.
        version: Of the schema; a file of another version is refused.
        thorough: Read the whole file to see whether it is sound.

    Raises:
        SetupError: The file is no such database, or cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, version):
                raise SetupError(
                    f"The database {path} was written by another version of the local SageMaker "
                    f"(its schema is {found}, this one reads {version}). "
                    "Move it away or delete it to start with an empty one."
                )
            if thorough:
                check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
                if check != "ok":
                    raise sqlite3.DatabaseError(check)
            database.executescript(schema)
            database.execute(f"PRAGMA user_version={version}")
        except BaseException:
            database.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise SetupError(
            f"The database {path} of the local SageMaker cannot be used: {error}. "
            "Move it away or delete it to start with an empty one."
        ) from error
    return database


class Store:
    """The service's resources. Safe to use from several threads.

    Args:
        path: The database file; made when it is not there.

    Raises:
        SetupError: The file is no such database, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._database = connect(path, _SCHEMA, _SCHEMA_VERSION)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def create(self, kind: str, name: str, body: Body) -> Body:
        """Add a resource; CreationTime and LastModifiedTime are set where the body has none.

        Args:
            kind: Such as "training-job".
            name: Unique among its kind.
            body: The resource.

        Returns:
            The body as stored.

        Raises:
            Exists: The name is taken.
        """
        now = round(time.time(), 3)
        body = {"CreationTime": now, "LastModifiedTime": now} | body
        try:
            with self._lock:
                self._database.execute(
                    "INSERT INTO resources VALUES (?, ?, ?)", (kind, name, _dump(body))
                )
        except sqlite3.IntegrityError:
            raise Exists(f"{kind} {name}") from None
        return body

    def get(self, kind: str, name: str) -> Body | None:
        """Return a copy of the resource, or None."""
        with self._lock:
            row = self._database.execute(
                "SELECT body FROM resources WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        return None if row is None else _load(row[0])

    def update(
        self,
        kind: str,
        name: str,
        change: Callable[[Body], object] | None = None,
        /,
        **changes: Any,
    ) -> Body:
        """Change a resource in one step: read, change, write. LastModifiedTime becomes now.

        Args:
            kind: Such as "training-job".
            name: Unique among its kind.
            change: Called with the body, which it changes in place; what it raises undoes all.
            changes: Members to set; those that are None are removed.

        Returns:
            The body as stored.

        Raises:
            Missing: There is no such resource.
        """
        with self._transaction() as database:
            row = database.execute(
                "SELECT body FROM resources WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
            if row is None:
                raise Missing(f"{kind} {name}")
            body = _load(row[0])
            if change is not None:
                change(body)
            for key, value in changes.items():
                if value is None:
                    body.pop(key, None)
                else:
                    body[key] = value
            body["LastModifiedTime"] = round(time.time(), 3)
            database.execute(
                "UPDATE resources SET body = ? WHERE kind = ? AND name = ?",
                (_dump(body), kind, name),
            )
        return body

    def put(self, kind: str, name: str, body: Body) -> None:
        """Set a resource to exactly this body, whether it is there or not."""
        with self._lock:
            self._database.execute(
                "INSERT OR REPLACE INTO resources VALUES (?, ?, ?)", (kind, name, _dump(body))
            )

    def delete(self, kind: str, name: str) -> bool:
        """Remove a resource; tell whether it was there."""
        with self._lock:
            done = self._database.execute(
                "DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name)
            )
        return done.rowcount > 0

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all resources of a kind, in order."""
        with self._lock:
            rows = self._database.execute(
                "SELECT name FROM resources WHERE kind = ? ORDER BY name", (kind,)
            ).fetchall()
        return tuple(row[0] for row in rows)

    def list(self, kind: str) -> list[Body]:
        """Return copies of all resources of a kind, ordered by name."""
        with self._lock:
            rows = self._database.execute(
                "SELECT body FROM resources WHERE kind = ? ORDER BY name", (kind,)
            ).fetchall()
        return [_load(row[0]) for row in rows]


def _dump(body: Body) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def _load(text: str) -> Body:
    body: Body = json.loads(text)
    return body
