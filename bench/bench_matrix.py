"""Every source to every target: what goes, and how fast, each cell from a run of its own.

    make bench-matrix                                 all of it, into docs/matrix.md
    python bench/bench_matrix.py --rows 1000 --only postgresql,s3

Sources and targets are those of the registry. Each is started as `tradewind up` starts it; where it
cannot be, its row or column says why. A cell is one move of the same rows: objects are Parquet,
tables are made by the move. It counts what the receipt says was moved, and compares it with what
was there.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from tradewind.errors import TradewindError
from tradewind.local import Systems, up
from tradewind.move.registry import SOURCES, TARGETS, load
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.testing.memory_source import MemorySource

PAGE = Path(__file__).resolve().parent.parent / "docs" / "matrix.md"
PAGE_ROWS = 5_000
FEWER = {"bigquery": 5_000}
"""Most rows of what is slow by itself: each statement takes BigQuery's emulator a second."""
EMULATED = {
    "az": "Azurite",
    "bigquery": "bqemulator",
    "gs": "fake-gcs-server",
    "s3": "Swift's S3 API on one process",
}
NAMES = {
    "az": "Azure Blob",
    "bigquery": "BigQuery",
    "file": "files",
    "gs": "Google Cloud Storage",
    "http": "HTTP API",
    "mongodb": "MongoDB",
    "mysql": "MariaDB",
    "postgresql": "PostgreSQL",
    "s3": "S3",
    "sftp": "SFTP",
    "sqlite": "SQLite",
}
_STARTED = {
    "az": "azure",
    "bigquery": "bigquery",
    "gs": "gcs",
    "mongodb": "mongodb",
    "mysql": "mariadb",
    "postgresql": "postgres",
    "s3": "s3",
    "sftp": "sftp",
}
_OBJECTS = ("az", "file", "gs", "s3", "sftp")


def made_rows(count: int) -> pa.Table:
    """Make the rows: a number, a text, a float, a day and a yes or no."""
    first = date(2015, 1, 1)
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "name": [f'Listing "{number}", Zimmer für zwei' for number in range(count)],
            "price": [number % 1000 / 4 for number in range(count)],
            "day": [first + timedelta(days=number % 3600) for number in range(count)],
            "note": [f"note {number % 17}" if number % 5 else None for number in range(count)],
        }
    )


@dataclass
class Bench:
    """The systems that run, and why others do not."""

    folder: Path
    rows: pa.Table
    running: dict[str, Systems] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    http: str = ""

    def count(self, *schemes: str) -> int:
        """Tell how many rows a cell moves."""
        few = [FEWER[one] for one in schemes if one in FEWER]
        return min([int(self.rows.num_rows), *few])

    def uri(self, scheme: str, name: str) -> tuple[str, dict[str, str]]:
        """Name a place of a system: URI and options of both sides."""
        env = os.environ
        table = {"table": name.replace("-", "_")}
        if scheme == "postgresql":
            place = f"{env['PGUSER']}@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"
            return f"postgresql://{place}", table
        if scheme == "mysql":
            place = f"{env['MYSQL_USER']}@{env['MYSQL_HOST']}:{env['MYSQL_TCP_PORT']}"
            return f"mysql://{place}/{env['MYSQL_DATABASE']}", table
        if scheme == "sqlite":
            return f"sqlite:///{self.folder}/matrix.sqlite", table
        if scheme == "bigquery":
            project = env["GOOGLE_CLOUD_PROJECT"]
            return f"bigquery://{project}/{project}", table
        if scheme == "mongodb":
            return env["MONGODB_URI"], {"collection": "listings"}
        if scheme == "http":
            return self.http, {"pagination": "page", "records": "$.rows"}
        roots = {
            "file": f"file://{self.folder}/files",
            "s3": "s3://matrix",
            "gs": "gs://tradewind",
            "az": "az://tradewind",
        }
        if scheme == "sftp":
            port = json.loads(env["AIRFLOW_CONN_SFTP_DEFAULT"])["port"]
            place = f"{getpass.getuser()}@127.0.0.1:{port}"
            return f"sftp://{place}{self.folder}/sftp/{name}.parquet", {}
        return f"{roots[scheme]}/matrix/{name}.parquet", {}

    def source(self, scheme: str, rows: int) -> Any:
        """Make a source of so many rows."""
        uri, options = self.uri(scheme, f"source-{rows}")
        if scheme == "mongodb":
            options["limit"] = str(rows)
        if scheme == "http":
            uri += f"?rows={rows}"
        return load(SOURCES, scheme, what="source").from_uri(uri, options)

    def target(self, scheme: str, name: str) -> Any:
        """Make a target."""
        uri, options = self.uri(scheme, name)
        if scheme not in _OBJECTS:
            options |= {"create": "true", "mode": "replace"}
        return load(TARGETS, scheme, what="target").from_uri(uri, options)


def schemes(table: Any, only: list[str]) -> list[str]:
    """List the schemes of a side that are a system of their own, and no plugin's."""
    own = [name for name in table if name in NAMES]
    return [name for name in own if not only or name in only]


class _Pages(BaseHTTPRequestHandler):
    rows: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        count, page = int(asked["rows"][0]), int(asked.get("page", ["1"])[0])
        some = self.rows[(page - 1) * PAGE_ROWS : min(page * PAGE_ROWS, count)]
        body = json.dumps({"rows": some}, default=str).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(rows: pa.Table) -> Iterator[str]:
    """Serve the rows as a paged API."""
    _Pages.rows = rows.to_pylist()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rows"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def start(bench: Bench, wanted: set[str], stack: contextlib.ExitStack) -> None:
    """Start what is wanted, each by itself, and note what cannot be."""
    for scheme in sorted(wanted & set(_STARTED)):
        try:
            data = bench.folder / "systems" / scheme
            systems = stack.enter_context(up([_STARTED[scheme]], data=data))
        except TradewindError as error:
            bench.missing[scheme] = str(error)
            continue
        bench.running[scheme] = systems
        # Those before it stay: each names connections and variables of its own.
        os.environ.update(systems.environment)
        print(f"{scheme}: {systems[_STARTED[scheme]].endpoint}", file=sys.stderr)
    if "s3" in bench.running:
        import boto3

        boto3.client("s3").create_bucket(Bucket="matrix")
    if "http" in wanted:
        bench.http = stack.enter_context(serving(bench.rows))
    (bench.folder / "files").mkdir()
    (bench.folder / "sftp").mkdir()


def fill(bench: Bench, scheme: str, rows: int) -> None:
    """Put the rows where a source reads them."""
    some = bench.rows.slice(0, rows)
    if scheme == "http":
        return
    if scheme == "mongodb":
        import pymongo

        uri = os.environ["MONGODB_URI"]
        client: pymongo.MongoClient[Any]
        with pymongo.MongoClient(uri, password=os.environ["MONGODB_PASSWORD"]) as client:
            found = [{**row, "day": str(row["day"])} for row in bench.rows.to_pylist()]
            collection: Any = client.get_default_database()["listings"]
            if not collection.estimated_document_count():
                collection.insert_many(found)
        return
    source = MemorySource(some)
    transfer(source, bench.target(scheme, f"source-{rows}"), Owner("matrix", scheme, "fill"))


@dataclass(frozen=True)
class Cell:
    """What came of one pair.

    Args:
        rate: Rows a second; None where it does not go.
        rows: How many were moved.
        why: Why it does not go.
    """

    rate: float | None = None
    rows: int = 0
    why: str = ""

    @property
    def text(self) -> str:
        """The number, rounded to what a single run can tell."""
        if self.rate is None:
            return "-"
        digits = max(len(str(int(self.rate))) - 2, 0)
        return f"{round(self.rate, -digits):,.0f}"


def measure(bench: Bench, source: str, target: str) -> Cell:
    """Move the rows of one pair, once."""
    for side in (source, target):
        if side in bench.missing:
            return Cell(why=f"{NAMES[side]} does not run here: {bench.missing[side]}")
    rows = bench.count(source, target)
    began = time.monotonic()
    try:
        receipt = transfer(
            bench.source(source, rows),
            bench.target(target, f"from-{source}"),
            Owner("matrix", f"{source} {target}", str(rows)),
        )
    except TradewindError as error:
        return Cell(why=str(error))
    seconds = time.monotonic() - began
    moved = receipt.rows if receipt.rows is not None else receipt.stored.rows
    if moved is not None and moved != rows:
        return Cell(why=f"{moved} of {rows} rows were moved.")
    return Cell(rows / seconds, rows)


def page(cells: dict[tuple[str, str], Cell], rows: int, load_average: float) -> str:
    """Write the page."""
    sources = list(dict.fromkeys(pair[0] for pair in cells))
    targets = list(dict.fromkeys(pair[1] for pair in cells))
    notes: list[str] = []

    def cell(pair: tuple[str, str]) -> str:
        found = cells[pair]
        if found.rate is not None:
            return found.text
        if found.why not in notes:
            notes.append(found.why)
        return f"- ({notes.index(found.why) + 1})"

    lines = [
        "# Every source to every target",
        "",
        "Rows a second of one move each, as `make bench-matrix` measured them: "
        f"{rows:,} rows of five columns (a number, two texts, a float, a day), objects as Parquet, "
        "tables made by the move. "
        + "".join(f"With {NAMES[one]} {few:,} rows. " for one, few in FEWER.items() if few < rows)
        + "Sources and targets are those of the registry; every source goes to every target by "
        "`tradewind move`, `transfer()` and `TransferOperator` alike.",
        "",
        "The numbers tell what goes, and its order of size on this machine, and compare no "
        "systems: a start, a connection and a commit are in them. These are emulators or stand-ins "
        + "of a service: "
        + "; ".join(f"{NAMES[one]} ({by})" for one, by in EMULATED.items() if one in sources)
        + f". Measured on {datetime.now(UTC):%Y-%m-%d}, on {os.cpu_count()} cores that were shared "
        f"with other work (load average {load_average:.0f}).",
        "",
        f"| from \\ to | {' | '.join(NAMES[one] for one in targets)} |",
        f"| --- |{' ---: |' * len(targets)}",
    ]
    lines += [
        f"| {NAMES[source]} | {' | '.join(cell((source, one)) for one in targets)} |"
        for source in sources
    ]
    if notes:
        lines += ["", "Where there is no number:", ""]
        lines += [f"{number}. {why}" for number, why in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure all pairs, and tell them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default="", help="schemes, with commas between them")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args()
    only = [one for one in given.only.split(",") if one]
    sources, targets = schemes(SOURCES, only), schemes(TARGETS, only)
    cells: dict[tuple[str, str], Cell] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tradewind-matrix-")))
        bench = Bench(folder, made_rows(given.rows))
        start(bench, {*sources, *targets}, stack)
        for source in sources:
            if source not in bench.missing:
                for rows in {bench.count(source, target) for target in targets}:
                    fill(bench, source, rows)
            for target in targets:
                cell = cells[source, target] = measure(bench, source, target)
                print(f"{source} -> {target}: {cell.text} {cell.why}", file=sys.stderr)
    told = page(cells, given.rows, os.getloadavg()[0])
    if given.write:
        PAGE.write_text(told)
    print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
