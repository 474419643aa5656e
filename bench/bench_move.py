"""Moving data: Tradewind beside its peers and beside the limit, on the same data, in one run.

    make bench-move                          all of it, and the results into docs/benchmarks-move.md
    python bench/bench_move.py --scale 0.05 --only postgres-csv     a small form of one case

Peers are installed into an environment of their own (requirements/peers.txt). Each contender runs
in a process of its own; what it stored is counted. The S3 server is Versity's gateway to a folder:
of those that can be had it costs the least of the two cores that all share, and it checks what it
is sent as S3 does.

Over 400 lines: one case a move; they share the systems, the data and the contenders.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import move_data
from move_cases import CASES, MEMORY_QUERY, OURS, Case, Contender
from move_measure import run
from move_report import print_results, write_results
from tradewind.local import up
from tradewind.local.processes import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ROOT / ".venv-peers"
VERSITY = ROOT / ".tools" / "go" / "bin" / "versitygw"
BUCKET = "bench-move"
NEEDS = {"postgres": "postgres", "mariadb": "mariadb", "mongodb": "mongodb"}


@dataclass
class Bench:
    """What runs while contenders are measured."""

    folder: Path
    environment: dict[str, str]
    order: dict[str, Any]
    scale: float
    timeout: float

    @property
    def objects(self) -> Path:
        """Where the S3 server keeps the bucket's objects."""
        return self.folder / "objects" / BUCKET

    def sql(self, statement: str) -> str:
        """Ask PostgreSQL."""
        return subprocess.run(
            ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def measure(self, case: Case, contender: Contender, attempt: int) -> dict[str, Any]:
        """Let one contender do one case, and count what came of it."""
        format = contender.format or case.format
        base = f"{case.name}/{contender.tool}-{attempt}-{secrets.token_hex(3)}"
        rows = max(int(case.rows * self.scale * contender.share), 1)
        order: dict[str, Any] = {
            **self.order,
            "case": case.name,
            "peer": contender.tool,
            "source": case.source,
            "target": case.target,
            "format": format,
            "query": case.query,
            "key": f"{base}/listings.{format}",
            "connections": 1,
            "staged": self.staged(rows) if case.source == "s3" else None,
            "folder": str(self.folder / "work" / base),
            **contender.settings,
        }
        (self.folder / "work" / base).mkdir(parents=True)
        if case.target == "table":
            # sling leaves a column of its own.
            self.sql("truncate loaded; alter table loaded drop column if exists _sling_loaded_at")
            self.sql("drop schema if exists dlt cascade; checkpoint")
        command, output = self.command(contender, order)
        environment = self.environment
        if contender.tool == "ours":
            environment = {**environment, "PYTHONPATH": str(HERE)}
        measured = run(command, environment=environment, output=output, timeout=self.timeout)
        found, size = None, None
        if measured.failed is None and contender.stores:
            found, size = self.count(case, contender, order, output)
        shutil.rmtree(self.objects / base, ignore_errors=True)
        shutil.rmtree(self.folder / "work" / base)
        return {**asdict(measured), "expected": rows, "rows": found, "bytes": size}

    def command(
        self, contender: Contender, order: dict[str, Any]
    ) -> tuple[list[str | Path], Path | None]:
        """Spell a contender's command; with the file for its output where it writes one."""
        if contender.tool == "psql":
            if order["target"] == "table":
                path = self.objects / order["staged"]
                return ["psql", "-qX", "-c", f"\\copy loaded from '{path}' csv header"], None
            copy = f"copy ({order['query']}) to stdout (format csv, header)"
            return ["psql", "-qX", "-c", copy], Path(order["folder"]) / "listings.csv"
        if contender.tool == "sling":
            return self.sling(order), None
        python = sys.executable if contender.tool == "ours" else PEERS / "bin" / "python"
        script = "move_ours.py" if contender.tool == "ours" else "move_peers.py"
        # A warning of a peer is its own business.
        return [python, "-Wignore", HERE / script, json.dumps(order)], None

    def sling(self, order: dict[str, Any]) -> list[str | Path]:
        """Spell sling's command: connections are in its environment."""
        (program,) = PEERS.glob("lib/python3*/site-packages/sling_*/bin/sling-*")
        source = {"postgres": "PG", "mariadb": "MARIA", "mongodb": "MONGO", "s3": "STORE"}
        stream = {"mongodb": "tradewind.listings", "s3": f"s3://{BUCKET}/{order['staged']}"}
        command = [
            program,
            "run",
            "--src-conn",
            source[order["source"]],
            "--src-stream",
            stream.get(order["source"], order["query"]),
            "--tgt-conn",
            "PG" if order["target"] == "table" else "STORE",
            "--tgt-object",
            "public.loaded" if order["target"] == "table" else f"s3://{BUCKET}/{order['key']}",
            "--mode",
            "truncate" if order["target"] == "table" else "full-refresh",
        ]
        format = {"csv": "csv", "parquet": "parquet", "jsonl": "jsonlines"}[order["format"]]
        if order["target"] != "table":
            command += ["--tgt-options", json.dumps({"format": format, "file_max_rows": 0})]
        return command

    def staged(self, rows: int) -> str:
        """Lay a CSV of so many rows into the bucket, and name it."""
        key = f"staged/listings-{rows}.csv"
        path = self.objects / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            copy = (
                f"copy (select * from listings where id <= {rows}) to stdout (format csv, header)"
            )
            with path.open("wb") as file:
                subprocess.run(
                    ["psql", "-qX", "-c", copy], env=self.environment, check=True, stdout=file
                )
        return key

    def count(
        self, case: Case, contender: Contender, order: dict[str, Any], output: Path | None
    ) -> tuple[int, int]:
        """Count the rows and bytes that a contender stored."""
        if case.target == "table":
            table = "dlt.loaded" if contender.tool == "dlt" else "loaded"
            size = (self.objects / order["staged"]).stat().st_size
            return int(self.sql(f"select count(distinct id) from {table}")), size
        folder = self.objects / Path(order["key"]).parent
        files = [output] if output else [path for path in folder.rglob("*") if path.is_file()]
        files = [path for path in files if not any(part[:4] == "_dlt" for part in path.parts)]
        files = [path for path in files if path.name != "init"]
        return sum(_rows(path, order["format"]) for path in files), sum(
            path.stat().st_size for path in files
        )


def _rows(path: Path, format: str) -> int:
    if format == "parquet":
        import pyarrow.parquet as pq

        return int(pq.ParquetFile(path).metadata.num_rows)
    lines = 0
    ended = True
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
        while block := file.read(1 << 20):
            lines += block.count(b"\n")
            ended = block.endswith(b"\n")
    lines += not ended  # a last line may lack its end
    return lines - (format == "csv")


def race(bench: Bench, case: Case, repeat: int) -> dict[str, Any]:
    """Run all contenders of a case, in turn, round after round."""
    print(f"\n{case.title}: {int(case.rows * bench.scale):,} rows", flush=True)
    runs: dict[str, list[dict[str, Any]]] = {each.name: [] for each in case.contenders}
    for attempt in range(repeat):
        for contender in case.contenders:
            if attempt and contender.slow:
                continue
            result = bench.measure(case, contender, attempt)
            runs[contender.name].append(result)
            print(f"  {contender.name:34}{_line(result)}", flush=True)
    found = {}
    for contender in case.contenders:
        all_of_it = runs[contender.name]
        good = [result for result in all_of_it if not result["failed"]] or all_of_it
        failures = [result["failed"] for result in all_of_it if result["failed"]]
        found[contender.name] = {
            **good[-1],
            "seconds": statistics.median(result["seconds"] for result in good),
            "cpu": statistics.median(result["cpu"] for result in good),
            "memory": max(result["memory"] for result in good),
            "runs": len(good),
            "failed": failures[-1] if failures else None,
            "limit": contender.limit,
            "ours": contender.tool == "ours",
        }
    return {"case": case.name, "title": case.title, "contenders": found}


def _line(result: dict[str, Any]) -> str:
    if result["failed"]:
        return f"FAILED, {result['failed']}"
    lost = ""
    if result["rows"] not in (None, result["expected"]):
        lost = f"  WRONG: {result['rows']:,} rows"
    return (
        f"{result['seconds']:8.2f} s {result['cpu']:8.2f} s processor "
        f"{result['memory'] / 1e6:7.0f} MB {result['expected'] / result['seconds'] / 1e3:8.0f} "
        f"thousand rows/s{lost}"
    )


def memory(bench: Bench) -> list[dict[str, Any]]:
    """Look whether memory is the same at four times the rows."""
    print("\nPeak memory at 3 and at 12 million rows", flush=True)
    found = []
    for case in CASES:
        if case.source != "postgres":
            continue
        for contender in case.contenders:
            if contender.tool != "ours":
                continue
            peaks = []
            for times in (1, 4):
                several = replace(
                    case,
                    name=f"{case.name}-{times}",
                    rows=case.rows * times,
                    query=MEMORY_QUERY.replace("@times", str(times)),
                )
                if contender.settings:  # ranges of ctid are those of one table
                    if times > 1:
                        continue
                    several = replace(several, query=case.query)
                result = bench.measure(several, contender, times)
                print(f"  {case.title}, {contender.name}, x{times}: {_line(result)}", flush=True)
                peaks.append(result)
            found.append({"title": case.title, "name": contender.name, "peaks": peaks})
    return found


def parsing(repeat: int = 7) -> dict[str, float]:
    """Measure what importing the operators adds to parsing a DAG file."""
    script = (
        "import time, airflow.sdk; began = time.perf_counter(); {}; "
        "print(time.perf_counter() - began)"
    )
    found = {}
    for what in (
        "import tradewind.airflow",
        "from tradewind.airflow import SqlToS3Operator, TransferOperator",
    ):
        times = []
        for _ in range(repeat):
            said = subprocess.run(
                [sys.executable, "-Wignore", "-c", script.format(what)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            times.append(float(said.split()[-1]))
        found[what] = statistics.median(times)
        print(f"{what}: {found[what] * 1000:.0f} ms on top of airflow.sdk", flush=True)
    return found


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """Serve a folder by the S3 API; gives the environment of its clients."""
    if not VERSITY.exists():
        sys.exit(f"{VERSITY} is not there: install Go, then `make bench-move` builds it.")
    (folder / BUCKET).mkdir(parents=True)
    port, key, secret = free_port(), "bench", secrets.token_hex(16)
    command = [str(VERSITY), "--port", f"127.0.0.1:{port}", "--region", "eu-west-1", "--quiet"]
    with (folder.parent / "versitygw.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "posix", str(folder)],
            env={**os.environ, "ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret},
            stdout=log,
            stderr=log,
        )
    try:
        environment = {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        }
        _await_s3(environment)
        yield environment
    finally:
        server.terminate()
        server.wait(10)


def _await_s3(environment: dict[str, str]) -> None:
    import boto3
    from botocore.exceptions import BotoCoreError

    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="eu-west-1",
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            client.head_bucket(Bucket=BUCKET)
            return
        except BotoCoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def rest_server(rows: int) -> Iterator[str]:
    """Serve pages of JSON from a process of its own; gives its address."""
    server = subprocess.Popen(
        [sys.executable, HERE / "move_data.py", f"--rows={rows}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


@contextlib.contextmanager
def everything(systems: set[str], scale: float, timeout: float) -> Iterator[Bench]:
    """Start servers, make data, and describe both to the contenders."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-move-")))
        folder.chmod(0o755)
        s3 = stack.enter_context(s3_server(folder / "objects"))
        running = (
            stack.enter_context(up(sorted(systems), data=folder / "data")) if systems else None
        )
        own = running.environment if running else {}
        os.environ.update(own)  # for the makers of data, in this process
        rest = stack.enter_context(rest_server(int(move_data.REST_ROWS * scale)))
        makers = {
            "postgres": (move_data.make_postgres, move_data.POSTGRES_ROWS),
            "mariadb": (move_data.make_mariadb, move_data.MARIADB_ROWS),
            "mongodb": (move_data.make_mongodb, move_data.MONGODB_ROWS),
        }
        for name in sorted(systems):
            make, rows = makers[name]
            move_data.timed(name, make, int(rows * scale))
        order = addresses(own) | {"bucket": BUCKET, "rest": rest}
        environment = {
            **{name: value for name, value in os.environ.items() if "AIRFLOW" not in name},
            **own,
            **s3,
            **connections(own, s3, rest),
            **sling_connections(order, s3),
            "AIRFLOW_HOME": str(folder / "airflow"),
            "HOME": str(folder / "home"),
        }
        (folder / "home").mkdir()
        yield Bench(folder, environment, order, scale, timeout)


def addresses(own: dict[str, str]) -> dict[str, Any]:
    """Spell the databases as URLs."""
    found: dict[str, Any] = {"connections": 1}
    if "PGHOST" in own:
        found["postgres"] = (
            f"postgresql://{own['PGUSER']}:{own['PGPASSWORD']}@{own['PGHOST']}:{own['PGPORT']}"
            f"/{own['PGDATABASE']}"
        )
    if "MYSQL_HOST" in own:
        found["mariadb"] = (
            f"mysql+pymysql://{own['MYSQL_USER']}:{own['MYSQL_PWD']}@{own['MYSQL_HOST']}:"
            f"{own['MYSQL_TCP_PORT']}/{own['MYSQL_DATABASE']}"
        )
    if "MONGODB_URI" in own:
        user, _, rest = own["MONGODB_URI"].partition("@")
        found["mongodb"] = f"{user}:{own['MONGODB_PASSWORD']}@{rest}"
    return found


def connections(own: dict[str, str], s3: dict[str, str], rest: str) -> dict[str, str]:
    """Spell Airflow's connections, for its operators."""
    host, _, port = rest.removeprefix("http://").partition(":")
    found: dict[str, Any] = {
        "AWS_DEFAULT": {
            "conn_type": "aws",
            "login": s3["AWS_ACCESS_KEY_ID"],
            "password": s3["AWS_SECRET_ACCESS_KEY"],
            "extra": {"region_name": s3["AWS_REGION"], "endpoint_url": s3["AWS_ENDPOINT_URL_S3"]},
        },
        "HTTP_DEFAULT": {"conn_type": "http", "host": host, "port": int(port)},
    }
    if "PGHOST" in own:
        found["POSTGRES_DEFAULT"] = {
            "conn_type": "postgres",
            "host": own["PGHOST"],
            "port": int(own["PGPORT"]),
            "login": own["PGUSER"],
            "password": own["PGPASSWORD"],
            "schema": own["PGDATABASE"],
        }
    if "MYSQL_HOST" in own:
        found["MYSQL_DEFAULT"] = {
            "conn_type": "mysql",
            "host": own["MYSQL_HOST"],
            "port": int(own["MYSQL_TCP_PORT"]),
            "login": own["MYSQL_USER"],
            "password": own["MYSQL_PWD"],
            "schema": own["MYSQL_DATABASE"],
            "extra": {"charset": "utf8mb4"},
        }
    if "MONGODB_URI" in own:
        address = own["MONGODB_URI"].partition("@")[2].partition("/")[0]
        found["MONGO_DEFAULT"] = {
            "conn_type": "mongo",
            "host": address.partition(":")[0],
            "port": int(address.partition(":")[2]),
            "login": "tradewind",
            "password": own["MONGODB_PASSWORD"],
            "extra": {"authSource": "admin"},
        }
    return {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in found.items()}


def sling_connections(order: dict[str, Any], s3: dict[str, str]) -> dict[str, str]:
    """Spell sling's connections."""
    found = {
        "SLING_DISABLE_TELEMETRY": "true",
        "STORE": json.dumps(
            {
                "type": "s3",
                "bucket": BUCKET,
                "access_key_id": s3["AWS_ACCESS_KEY_ID"],
                "secret_access_key": s3["AWS_SECRET_ACCESS_KEY"],
                "endpoint": s3["AWS_ENDPOINT_URL_S3"],
                "region": s3["AWS_REGION"],
            }
        ),
    }
    if "postgres" in order:
        found["PG"] = f"{order['postgres']}?sslmode=disable"
    if "mariadb" in order:
        found["MARIA"] = order["mariadb"].replace("mysql+pymysql", "mariadb")
    if "mongodb" in order:
        found["MONGO"] = order["mongodb"]
    return found


def main() -> int:
    """Measure; the exit status is 0 when every contender of ours did its work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="part of the rows (0.05)")
    parser.add_argument("--only", action="append", help=f"{', '.join(c.name for c in CASES)}")
    parser.add_argument("--contender", action="append", help="only these, by the tool's name")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; slow peers have one")
    parser.add_argument("--memory", action="store_true", help="only the memory at 3 and 12 million")
    parser.add_argument("--parse", action="store_true", help="only the time of imports")
    parser.add_argument("--write", action="store_true", help="write the results into docs/")
    parser.add_argument("--timeout", type=float, default=240, help="seconds for one contender")
    arguments = parser.parse_args()
    began = time.monotonic()
    setup: list[str | Path] = [sys.executable, ROOT / "scripts" / "environment.py"]
    setup += [PEERS, "requirements/peers.txt"]
    subprocess.run(setup, check=True)
    results: dict[str, Any] = {"scale": arguments.scale, "cases": [], "memory": [], "parsing": {}}
    only = arguments.only or ([] if arguments.memory or arguments.parse else None)
    cases = [case for case in CASES if only is None or case.name in only]
    if arguments.contender:
        cases = [
            replace(
                case,
                contenders=tuple(c for c in case.contenders if c.tool in arguments.contender),
            )
            for case in cases
        ]
    with_memory = arguments.memory or only is None
    systems = {name for case in cases for name in (case.source, *case.systems) if name in NEEDS}
    systems |= {"postgres"} if with_memory else set()
    if cases or with_memory:
        with everything(systems, arguments.scale, arguments.timeout) as bench:
            results["cases"] = [race(bench, case, arguments.repeat) for case in cases]
            results["memory"] = memory(bench) if with_memory else []
    if arguments.parse or only is None:
        results["parsing"] = parsing()
    results["minutes"] = (time.monotonic() - began) / 60
    print_results(results)
    if arguments.write:
        write_results(results)
    ours = [case["contenders"].get(OURS, {}) for case in results["cases"]]
    return int(any(each.get("failed") for each in ours))


if __name__ == "__main__":
    sys.exit(main())
