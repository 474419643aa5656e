"""One kind of move each: what it is told, what a reader sees of it, and what it may have left.

Over 400 lines: one class a kind of move, all of one shape.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pymongo

from tradewind.local.processes import wait_until
from tradewind.move.store import Store
from tradewind.owner import Owner

ROWS = 25_000
DAY, OTHER_DAY = "2026-01-31", "2026-01-30"
COLUMNS = "id integer primary key, day date not null, price numeric(12,2), title text"


def filler(number: int) -> str:
    """Text that gives a row some 250 bytes and does not compress to nothing."""
    return "".join(hashlib.sha256(f"{number}/{i}".encode()).hexdigest() for i in range(3))


class Kind(ABC):
    """A move, and the ways to look at its result.

    Args:
        action: Its name in `moves.ACTIONS`.
    """

    action: str

    @abstractmethod
    def prepare(self, name: str) -> dict[str, Any]:
        """Put something older into the place that `name` stands for; give the arguments."""

    @abstractmethod
    def seen(self, name: str) -> Any:
        """Tell what a reader sees there."""

    @abstractmethod
    def left(self, name: str) -> list[str]:
        """Tell what is there that is neither visible nor needed."""


# --------------------------------------------------------------------------------------------- S3


class OnS3(Kind):
    """The result is an object.

    Args:
        action: The move.
        bucket: Where to.
        ending: Of the key.
        given: What the move is told besides.
    """

    def __init__(self, action: str, s3: Any, bucket: str, ending: str, **given: Any) -> None:
        self.action = action
        self.s3, self.bucket, self.ending, self.given = s3, bucket, ending, given

    def key(self, name: str) -> str:
        return f"{self.action}/{name}/data{self.ending}"

    def prepare(self, name: str) -> dict[str, Any]:
        self.s3.put_object(Bucket=self.bucket, Key=self.key(name), Body=b"old")
        return {"bucket": self.bucket, "key": self.key(name), **self.given}

    def seen(self, name: str) -> Any:
        return self.s3.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read()

    def keys(self, name: str) -> list[str]:
        prefix = f"{self.action}/{name}/"
        told = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [one["Key"] for one in told.get("Contents", [])]

    def needed(self, name: str) -> set[str]:
        return {self.key(name)}

    def left(self, name: str) -> list[str]:
        prefix = f"{self.action}/{name}/"
        told = self.s3.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix)
        uploads = [f"upload of {one['Key']}" for one in told.get("Uploads", [])]
        return uploads + [key for key in self.keys(name) if key not in self.needed(name)]


class PartsOnS3(OnS3):
    """The result is what a manifest names."""

    def prepare(self, name: str) -> dict[str, Any]:
        prefix = f"{self.action}/{name}"
        # What an earlier attempt has left without publishing it.
        old = f"{prefix}/part-00000-01234567.parquet"
        mine = {"tradewind-owner": Owner("faults", name, "move").digest}
        self.s3.put_object(Bucket=self.bucket, Key=old, Body=b"old", Metadata=mine)
        return {"bucket": self.bucket, "key": f"{prefix}/", **self.given}

    def manifest(self, name: str) -> dict[str, Any] | None:
        try:
            told = self.s3.get_object(
                Bucket=self.bucket, Key=f"{self.action}/{name}/_manifest.json"
            )
        except self.s3.exceptions.NoSuchKey:
            return None
        return dict(json.loads(told["Body"].read()))

    def seen(self, name: str) -> Any:
        manifest = self.manifest(name)
        if manifest is None:
            return None
        return [
            self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            for key in self._parts(name, manifest)
        ]

    def _parts(self, name: str, manifest: dict[str, Any]) -> list[str]:
        return [f"{self.action}/{name}/{one['key']}" for one in manifest["objects"]]

    def needed(self, name: str) -> set[str]:
        manifest = self.manifest(name)
        assert manifest is not None
        return {f"{self.action}/{name}/_manifest.json", *self._parts(name, manifest)}


class CopyOnS3(OnS3):
    """The result is a copy."""

    def prepare(self, name: str) -> dict[str, Any]:
        given = super().prepare(name)
        given["target"] = given.pop("key")
        return given


# -------------------------------------------------------------------------- any store


class InStore(Kind):
    """The result is an object of any store, or a set of them.

    Args:
        action: The move.
        store: Where to, for the test.
        where: The same for the worker.
        given: What the move is told besides.
    """

    name = "data.csv"

    def __init__(self, action: str, store: Store, where: dict[str, Any], **given: Any) -> None:
        self.action, self.store, self.where, self.given = action, store, where, given

    def place(self, name: str) -> str:
        return f"{self.action}/{name}/{self.name}"

    def put(self, key: str, data: bytes) -> None:
        upload = self.store.upload(key)
        upload.write(data)
        upload.complete()

    def prepare(self, name: str) -> dict[str, Any]:
        self.put(self.place(name), b"old")
        return {**self.where, "key": self.place(name), **self.given}

    def keys(self, name: str) -> list[str]:
        return [info.key for info in self.store.list(f"{self.action}/{name}/")]

    def seen(self, name: str) -> Any:
        return b"".join(self.store.read(self.place(name)))

    def left(self, name: str) -> list[str]:
        prefix = f"{self.action}/{name}/"
        uploads = [f"upload of {one.key}" for one in self.store.unfinished(prefix)]
        return uploads + [key for key in self.keys(name) if key != self.place(name)]


class PrefixInStore(InStore):
    """The result is a copy of a prefix: each object appears whole, and the marker last."""

    name = ""
    marker = "_SUCCESS"

    def prepare(self, name: str) -> dict[str, Any]:
        return {**self.where, "target": self.place(name), **self.given}

    def seen(self, name: str) -> Any:
        if f"{self.place(name)}{self.marker}" not in self.keys(name):
            return None
        return {
            key.removeprefix(self.place(name)): b"".join(self.store.read(key))
            for key in self.keys(name)
        }

    def left(self, name: str) -> list[str]:
        return [f"upload of {one.key}" for one in self.store.unfinished(self.place(name))]


class FilesInStore(PrefixInStore):
    """The result are files of numbered names; between the first and the last are moments."""

    name = "data"

    def prepare(self, name: str) -> dict[str, Any]:
        return {**self.where, "stem": self.place(name), **self.given}

    def seen(self, name: str) -> Any:
        visible = [key for key in self.keys(name) if ".tradewind-" not in key]
        if len(visible) < self.given["files"]:
            return None
        return {
            key.removeprefix(self.place(name)): b"".join(self.store.read(key)) for key in visible
        }

    def left(self, name: str) -> list[str]:
        staged = [key for key in self.keys(name) if ".tradewind-" in key]
        return staged + super().left(name)


# ----------------------------------------------------------------------------------------- files


class OnDisk(Kind):
    """The result is a file of this machine."""

    def __init__(self, action: str, folder: Path, **given: Any) -> None:
        self.action, self.folder, self.given = action, folder, given

    def prepare(self, name: str) -> dict[str, Any]:
        (self.folder / name).mkdir(parents=True)
        (self.folder / name / "data.jsonl").write_bytes(b"old")
        return {"folder": str(self.folder / name), "key": "data.jsonl", **self.given}

    def seen(self, name: str) -> Any:
        return (self.folder / name / "data.jsonl").read_bytes()

    def left(self, name: str) -> list[str]:
        return [path.name for path in (self.folder / name).iterdir() if path.name != "data.jsonl"]


# ---------------------------------------------------------------------------------------- tables


class InTable(Kind):
    """The result is a table; before, it has a row of this day and one of another."""

    label = ""

    def __init__(self, action: str, **given: Any) -> None:
        self.action, self.given = action, given
        # The short and the long form of a test may share a database.
        self.run = uuid.uuid4().hex[:6]

    def table(self, name: str) -> str:
        return f"{self.label}_{self.given['mode']}_{self.run}_{name}"

    def prepare(self, name: str) -> dict[str, Any]:
        table = self.table(name)
        self.do(f"CREATE TABLE {table} ({COLUMNS})")
        self.do(f"INSERT INTO {table} VALUES (-1, '{OTHER_DAY}', 1.5, 'kept')")
        # What an upsert writes over, and a replacement of the day takes away.
        mine = 7 if self.given["mode"] == "upsert" else -2
        self.do(f"INSERT INTO {table} VALUES ({mine}, '{DAY}', 2.5, 'old')")
        return {"table": table, **self.given}

    def seen(self, name: str) -> Any:
        rows = self.ask(f"SELECT id, day, price, title FROM {self.table(name)} ORDER BY id")
        return [tuple(map(str, row)) for row in rows]

    def left(self, name: str) -> list[str]:
        # A server notices a dead client when it next reads from it or writes to it.
        wait_until(lambda: not self.sessions(), seconds=20)
        return self.sessions() + self.others()

    @abstractmethod
    def do(self, statement: str) -> None: ...

    @abstractmethod
    def ask(self, query: str) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def sessions(self) -> list[str]: ...

    @abstractmethod
    def others(self) -> list[str]: ...


class InPostgres(InTable):
    label = "faults"

    def __init__(self, action: str, connection: psycopg.Connection[Any], **given: Any) -> None:
        super().__init__(action, **given)
        self.connection = connection

    def do(self, statement: str) -> None:
        self.connection.execute(statement)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def sessions(self) -> list[str]:
        query = "SELECT application_name, query FROM pg_stat_activity"
        return [
            f"session {query}" for name, query in self.ask(query) if name.startswith("tradewind:")
        ]

    def others(self) -> list[str]:
        query = "SELECT tablename FROM pg_tables WHERE tablename ILIKE '%tradewind%'"
        return [name for (name,) in self.ask(query) if name != "tradewind_published"]


class InMySQL(InTable):
    label = "faults"

    def __init__(self, action: str, connection: Any, **given: Any) -> None:
        super().__init__(action, **given)
        self.connection = connection

    def do(self, statement: str) -> None:
        cursor = self.connection.cursor()
        cursor.execute(statement)
        cursor.close()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        cursor = self.connection.cursor()
        cursor.execute(query)
        rows = list(cursor.fetchall())
        cursor.close()
        return rows

    def sessions(self) -> list[str]:
        own = self.connection.thread_id()
        return [
            f"session {row}"
            for row in self.ask("SHOW PROCESSLIST")
            if row[0] != own and row[1] != "system user" and row[4] != "Daemon"
        ]

    def others(self) -> list[str]:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = database()"
        found = [name for (name,) in self.ask(query) if "tradewind" in name.lower()]
        return [name for name in found if name != "tradewind_published"]


class InSQLite(InTable):
    label = "faults"

    def __init__(self, action: str, path: Path, **given: Any) -> None:
        super().__init__(action, **given, path=str(path))
        self.path = path

    def do(self, statement: str) -> None:
        self.ask(statement)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(query).fetchall()

    def sessions(self) -> list[str]:
        return []

    def others(self) -> list[str]:
        found = self.ask("SELECT name FROM sqlite_master WHERE name LIKE '%tradewind%'")
        files = [path.name for path in self.path.parent.iterdir() if path != self.path]
        mine = [name for (name,) in found if "tradewind_published" not in name]
        return mine + files


# --------------------------------------------------------------------------------- where data are


def fill_postgres(connection: psycopg.Connection[Any]) -> None:
    connection.execute(f"CREATE TABLE listings ({COLUMNS})")
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY listings FROM STDIN") as copy,
    ):
        for number in range(ROWS):
            copy.write_row((number, DAY, f"{number}.25", filler(number)))


def fill_mysql(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"CREATE TABLE listings ({COLUMNS})")
    rows = [(number, DAY, f"{number}.25", filler(number)) for number in range(ROWS)]
    cursor.executemany("INSERT INTO listings VALUES (%s, %s, %s, %s)", rows)
    cursor.close()


def fill_mongo(client: pymongo.MongoClient[Any], database: str) -> None:
    client[database]["listings"].insert_many(
        {"_id": number, "day": DAY, "title": filler(number)} for number in range(ROWS)
    )


def csv_of_listings() -> bytes:
    lines = [f"{number},{DAY},{number}.25,{filler(number)}\n" for number in range(ROWS)]
    return ("id,day,price,title\n" + "".join(lines)).encode()


@contextmanager
def pages(count: int = 30, size: int = 300) -> Iterator[str]:
    """An API that gives `count` pages, each with the address of the next one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            page = int(self.path.rpartition("=")[2]) if "=" in self.path else 0
            items = [{"id": page * size + i, "title": filler(page * size + i)} for i in range(size)]
            more = f"/?page={page + 1}" if page + 1 < count else None
            body = json.dumps({"items": items, "next": more}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
