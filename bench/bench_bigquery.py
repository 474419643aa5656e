"""BigQuery: rows loaded and read beside pandas-gbq and the official hook, against the emulator.

    make bench-bigquery                                 3,000,000 rows, into docs/bigquery.md
    python bench/bench_bigquery.py --scale 0.1         a tenth, and nothing is written

Peers are installed into an environment of their own (requirements/bigquery-peers.txt). Each
contender runs in a process of its own; what arrived is counted. Processor seconds are told of the
contender and of the emulator apart, as the emulator is what most of the time is spent in.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from move_measure import Measured, processor_seconds, run
from tradewind.local import Systems, up

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ROOT / ".venv-bigquery-peers"
PAGE = ROOT / "docs" / "bigquery.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
ROWS = 3_000_000
DATASET = "bench"
COLUMNS = "id INT64, name STRING, price NUMERIC, score FLOAT64, sold TIMESTAMP, day DATE, open BOOL"


@dataclass(frozen=True)
class Case:
    """What one contender does.

    Args:
        kind: ``load`` or ``read``.
        contender: Who, and by which road.
        script: Of bench/, which is told the rest.
        what: A function of that script.
        share: Of the rows, where all of them would take too long.
    """

    kind: str
    contender: str
    script: str
    what: str
    share: float = 1.0


CASES = (
    Case("load", "Tradewind: a move, through the worker", "bigquery_ours.py", "load"),
    Case("load", "pandas-gbq `to_gbq`, through the worker", "bigquery_peers.py", "load"),
    Case("load", "Tradewind `BigQueryBackend`: a load job", "bigquery_ours.py", "load_job"),
    Case("load", "official `BigQueryHook`: the same job", "bigquery_peers.py", "load_job"),
    Case("read", "Tradewind: Storage Read API", "bigquery_ours.py", "read"),
    Case("read", "Tradewind: `export`", "bigquery_ours.py", "read_export"),
    Case("read", "pandas-gbq `read_gbq`, of a tenth", "bigquery_peers.py", "read", share=0.1),
    Case("read", "Tradewind `BigQueryBackend`: an extract job", "bigquery_ours.py", "export_job"),
    Case("read", "official `BigQueryHook`: the same job", "bigquery_peers.py", "export_job"),
)


def make(path: Path, rows: int) -> None:
    """Write the rows that are loaded: Parquet, with a column of each common type."""
    with pq.ParquetWriter(path, made(0, 1).schema, compression="zstd") as writer:
        for begin in range(0, rows, 100_000):
            writer.write_table(made(begin, min(begin + 100_000, rows)))


def made(begin: int, end: int) -> pa.Table:
    """Give the rows of these numbers."""
    ids = range(begin, end)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "name": pa.array([f"customer {n * 7919 % 100_003}" for n in ids], pa.string()),
            "price": pa.array([n * 31 % 1_000_000 for n in ids], pa.int64()).cast(
                pa.decimal128(38, 9)
            ),
            "score": pa.array([n / 7 for n in ids], pa.float64()),
            "sold": pa.array(
                [1_700_000_000_000_000 + n * 1_000_003 for n in ids], pa.timestamp("us", "UTC")
            ),
            "day": pa.array([19_000 + n % 1000 for n in ids], pa.int32()).cast(pa.date32()),
            "open": pa.array([n % 3 == 0 for n in ids], pa.bool_()),
        }
    )


class Bench:
    """The emulator, with a table to read and a file to load.

    Args:
        systems: What runs.
        folder: For files.
        rows: How many.
        peers: The Python of the peers' environment.
        timeout: Seconds for one case.
    """

    def __init__(
        self, systems: Systems, folder: Path, rows: int, peers: Path, timeout: float
    ) -> None:
        from tradewind.systems.bigquery.connection import BigQueryConnection

        self.folder, self.rows, self.peers, self.timeout = folder, rows, peers, timeout
        self.environment = {
            **os.environ,
            **systems.environment,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "NO_GCE_CHECK": "true",  # nobody looks for a machine of Google's
            "PYTHONWARNINGS": "ignore",
        }
        self.objects = systems["bigquery"].folder / "objects" / "bench"
        self.objects.mkdir(parents=True, exist_ok=True)
        self.file = self.objects / "rows.parquet"
        make(self.file, rows)
        self.client: Any = BigQueryConnection(
            systems.environment["GOOGLE_CLOUD_PROJECT"],
            endpoint=systems.environment["BIGQUERY_EMULATOR_HOST"],
        ).client()
        self.client.create_dataset(DATASET)
        self._ask(f"CREATE TABLE {DATASET}.stored ({COLUMNS})")
        self._job({"load": {
            "sourceUris": ["gs://bench/rows.parquet"], "sourceFormat": "PARQUET",
            "destinationTable": {"projectId": self.client.project, "datasetId": DATASET,
                                 "tableId": "stored"},
            "writeDisposition": "WRITE_APPEND",
        }})  # fmt: skip

    def _job(self, configuration: dict[str, Any]) -> None:
        self.client.create_job(configuration).result(timeout=self.timeout)

    def _ask(self, sql: str) -> list[Any]:
        return [tuple(row) for row in self.client.query(sql).result(timeout=self.timeout)]

    def measure(self, case: Case) -> dict[str, Any]:
        """Let one contender do one case, and count what came of it."""
        table, out = f"t{uuid.uuid4().hex[:8]}", self.folder / f"{uuid.uuid4().hex}.parquet"
        exported = self.objects / table
        exported.mkdir()
        if case.kind == "load":
            self._ask(f"CREATE TABLE {DATASET}.{table} ({COLUMNS})")
        order = {
            "what": case.what,
            "file": str(self.file),
            "out": str(out),
            "table": table,
            "project": self.client.project,
            "dataset": DATASET,
            "rows": int(self.rows * case.share),
        }
        python = sys.executable if case.script == "bigquery_ours.py" else str(self.peers)
        before = processor_seconds(os.getpid())
        found: Measured = run(
            [python, str(HERE / case.script), json.dumps(order)],
            environment=self.environment,
            timeout=self.timeout,
        )
        # What has ended is not among the descendants any more: the rest is the emulator's.
        emulator = processor_seconds(os.getpid()) - before
        count: Callable[[], int] = (
            (lambda: int(self._ask(f"SELECT COUNT(*) FROM {DATASET}.{table}")[0][0]))
            if case.kind == "load"
            else (lambda: sum(pq.read_metadata(one).num_rows for one in self._written(out, table)))
        )
        rows = None if found.failed else count()
        for one in self._written(out, table):
            one.unlink()
        return {"case": case, "found": found, "emulator": emulator, "rows": rows}

    def _written(self, out: Path, table: str) -> list[Path]:
        return [*([out] if out.exists() else []), *(self.objects / table).rglob("*.parquet")]


def line(result: dict[str, Any], rows: int) -> str:
    """Write a row of the table."""
    case, found = result["case"], result["found"]
    rows = int(rows * case.share)
    if found.failed or result["rows"] != rows:
        why = found.failed or f"{result['rows']} rows of {rows} arrived"
        return f"| {case.kind} | {case.contender} | failed: {why[-160:]} | | | | |"
    speed = f"{rows / found.seconds:,.0f}"
    return (
        f"| {case.kind} | {case.contender} | {found.seconds:.1f} | {speed} | {found.cpu:.1f} | "
        f"{result['emulator']:.1f} | {found.memory >> 20:,} |"
    )


def main() -> int:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of 3,000,000 rows")
    parser.add_argument("--only", default="", help="load or read")
    parser.add_argument("--peers", type=Path, default=PEERS, help="environment of the peers")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one case")
    parser.add_argument("--write", action="store_true", help="the results into docs/bigquery.md")
    arguments = parser.parse_args()
    if arguments.peers == PEERS:
        setup: list[str | Path] = [sys.executable, ROOT / "scripts" / "environment.py", PEERS]
        subprocess.run([*setup, "requirements/bigquery-peers.txt"], check=True)
    python = arguments.peers / "bin" / "python"
    rows = int(ROWS * arguments.scale)
    head = [
        "| | contender | seconds | rows a second | processor seconds of it | of the emulator | "
        "peak memory, MiB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    with TemporaryDirectory() as folder, up(["bigquery"], data=Path(folder) / "up") as systems:
        bench = Bench(systems, Path(folder), rows, python, arguments.timeout)
        table = list(head)
        print("\n".join(head), flush=True)
        for case in CASES:
            if arguments.only in ("", case.kind):
                table.append(line(bench.measure(case), rows))
                print(table[-1], flush=True)
        bench.client.close()
    if arguments.write:
        said = (
            f"{rows:,} rows of seven columns, {time.strftime('%Y-%m-%d')}, "
            f"{os.cpu_count()} cores of {platform.machine()}, load of the machine "
            f"{os.getloadavg()[1]:.0f}; Python {platform.python_version()}."
        )
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        text = "\n".join([BEGIN, "", said, "", *table, "", END])
        PAGE.write_text(before + text + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
