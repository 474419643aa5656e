"""Running work elsewhere: what Tradewind adds, how fast logs come, and a thousand pieces watched.

    make bench-run                                    all of it, into docs/benchmarks-run.md
    python bench/bench_run.py --only process --log-mb 10 --pieces 50     a small form

Servers are a Docker engine and an sshd that this starts, as the tests do; they share the machine
with what is measured. Nothing here is Airflow's but the triggers of the last part.

Bounds: a finished one-line container, SSH command or process through `supervise` takes at most 0.5
    s longer than by the system's own client; 100 MB of log come at 20 MB/s or more, every line
    counted, in flat memory; 1,000 jobs watched by one triggerer cost one listing an interval, under
    300 MB, and each end is noticed within one interval.

Over 400 lines: one part a promise; they share the systems and the tables of results.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests"))

from tradewind.owner import Owner  # noqa: E402
from tradewind.run.backend import Backend, Job, LogLine  # noqa: E402
from tradewind.run.supervise import claim, supervise  # noqa: E402
from tradewind.systems.docker.backend import Container, DockerBackend, Engine  # noqa: E402
from tradewind.systems.process.backend import Command, ProcessBackend  # noqa: E402
from tradewind.systems.ssh.backend import SSHBackend, SSHConnection  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks-run.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
MOST_OVERHEAD, LEAST_MB, MOST_GROWTH_MB, MOST_WATCHER_MB = 0.5, 20.0, 25.0, 300.0
LINE = "x" * 99
MB = 1_000_000


class Notes(dict[str, str]):
    """What an attempt tells the next."""

    def set(self, key: str, value: str) -> None:
        """Remember."""
        self[key] = value


@dataclass(frozen=True)
class System:
    """One system that runs work, and its own client.

    Args:
        name: What it is called.
        open: Connects to it, as a task does.
        work: Makes work of a shell script.
        client: The command that runs ``true`` by the system's own client.
    """

    name: str
    open: Callable[[], Backend[Any]]
    work: Callable[[str], Any]
    client: list[str]


@contextmanager
def process_system() -> Iterator[System]:
    with tempfile.TemporaryDirectory(prefix="tw-bench-") as folder:
        yield System("process", lambda: ProcessBackend(folder), Command, ["sh", "-c", "true"])


@contextmanager
def ssh_system() -> Iterator[System]:
    from ssh_server import ssh_server

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tw-bench-"))
        server = stack.enter_context(ssh_server(Path(folder)))
        connection = SSHConnection(
            "127.0.0.1",
            server.username,
            server.port,
            key_file=str(server.key_file),
            known_hosts=str(server.known_hosts),
        )
        client = ["ssh", "-i", str(server.key_file), "-p", str(server.port)]
        client += ["-o", f"UserKnownHostsFile={server.known_hosts}", "-o", "BatchMode=yes"]
        client += [f"{server.username}@127.0.0.1", "true"]
        yield System("ssh", lambda: SSHBackend(connection, root=f"{folder}/jobs"), Command, client)


@contextmanager
def docker_system() -> Iterator[System]:
    from busybox import IMAGE, busybox_root  # type: ignore[import-not-found]
    from container_engine import docker_engine

    root = busybox_root()
    with docker_engine() as daemon:
        name, _, tag = IMAGE.partition(":")
        daemon.import_image(name, tag, root)
        client = ["docker", "-H", daemon.address, "run", "--rm", "--network", "none", IMAGE, "true"]
        client[-1:] = ["sh", "-c", "true"]
        yield System(
            "docker",
            lambda: DockerBackend(Engine(daemon.address)),
            lambda script: Container(IMAGE, ["sh", "-c", script], network_mode="none"),
            client,
        )


SYSTEMS = {"process": process_system, "ssh": ssh_system, "docker": docker_system}


@contextmanager
def opened(system: System) -> Iterator[Backend[Any]]:
    backend = system.open()
    try:
        yield backend
    finally:
        if (close := getattr(backend, "close", None)) is not None:
            close()


def new_owner(what: str) -> Owner:
    return Owner("bench", uuid.uuid4().hex, what)


# ---------------------------------------------------------------------------------------- overhead


def measure_overhead(system: System, times: int) -> dict[str, Any]:
    """Run a line by the system's own client and by `supervise` in turns; compare the medians."""

    def by_client() -> None:
        subprocess.run(system.client, check=True, stdin=subprocess.DEVNULL)

    def by_supervise() -> None:
        with opened(system) as backend:
            lines: list[str] = []
            supervise(
                backend,
                new_owner("line"),
                system.work("echo done"),
                log=lambda line: lines.append(line.text),
                state_store=Notes(),
            )
            assert lines == ["done"]

    taken: dict[str, list[float]] = {"client": [], "supervise": []}
    for number in range(times + 1):
        for name, run in (("client", by_client), ("supervise", by_supervise)):
            began = time.monotonic()
            run()
            if number:  # the first turn warms up
                taken[name].append(time.monotonic() - began)
    medians = {name: statistics.median(each) for name, each in taken.items()}
    return {
        **medians,
        "overhead": medians["supervise"] - medians["client"],
        "slowest": max(taken["supervise"]),
    }


# -------------------------------------------------------------------------------------------- logs


def measure_log(system: System, megabytes: int) -> dict[str, Any]:
    """Read a log through `supervise`: of work that has written it, and while it is written."""
    count = megabytes * MB // (len(LINE) + 1)
    # busybox's own: an image of two megabytes has few links to it.
    yes = "/bin/busybox yes" if system.name == "docker" else "yes"
    script = f"{yes} {LINE} | head -n {count}"
    found: dict[str, Any] = {"lines": count}
    for kind in ("live", "ended"):
        with opened(system) as backend:
            owner, notes = new_owner(kind), Notes()
            seen = 0

            def log(line: LogLine) -> None:
                nonlocal seen
                seen += line.text == LINE

            began = time.monotonic()
            if kind == "ended":
                claimed = claim(backend, owner, system.work(script), state_store=notes)
                while not backend.status(claimed.name).state.ended:
                    time.sleep(0.1)
                found["written in"] = time.monotonic() - began
                began = time.monotonic()
            gc.collect()
            before = reset_peak()
            supervise(backend, owner, system.work(script), log=log, state_store=notes)
            found[kind] = megabytes / (time.monotonic() - began)
            found[f"{kind} lines"] = seen
            found[f"{kind} growth"] = (peak() - before) / MB
    return found


def reset_peak() -> int:
    """Let the peak begin anew; tell the memory now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """Tell the most memory that was resident, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's peak memory")


# -------------------------------------------------------------------------------- a thousand pieces


class Counting(ProcessBackend):
    """The process backend; notes when it was asked for a listing, and how long that took."""

    listings: list[tuple[float, float]] = []  # noqa: RUF012 - one for all instances

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """List, and note it."""
        began = time.monotonic()
        pieces = list(super().list(owner))
        self.listings.append((began, time.monotonic() - began))
        return iter(pieces)


def open_counting(root: str) -> Backend[Any]:
    """Make the backend that a trigger's description names."""
    return Counting(root)


def watch(pieces: int, interval: float) -> dict[str, Any]:
    """Watch this many jobs by triggers in one loop; end them; see when each is noticed.

    Runs in a process of its own, whose memory is that of a triggerer.
    """
    import logging

    from tradewind.airflow.triggers import WorkTrigger

    logging.disable(logging.INFO)
    ended: dict[str, float] = {}
    noticed: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="tw-bench-") as folder:
        flag, jobs = Path(folder) / "go", f"{folder}/jobs"
        backend = ProcessBackend(jobs)
        # Each ends when a person opens the pipe's other end, all at once.
        os.mkfifo(flag)
        names = []
        for number in range(pieces):
            owner = Owner("bench", "watched", "work", map_index=number)
            script = f"echo begun; read line < {flag}"
            backend.submit(owner, 1, Command(script), variables={})
            names.append(backend.name_of(owner, 1))
        spec = {"opener": f"{Path(__file__).stem}:open_counting", "arguments": {"root": jobs}}
        sys.modules.setdefault(Path(__file__).stem, sys.modules[__name__])

        async def one(name: str) -> None:
            trigger = WorkTrigger(
                spec=spec, name=name, number=1, started=True, poll_interval=interval
            )
            async for _ in trigger.run():
                noticed[name] = time.monotonic()

        async def all_of_them() -> None:
            tasks = [asyncio.create_task(one(name)) for name in names]
            # Some intervals with nothing new, then the end of all.
            await asyncio.sleep(4 * interval)
            quiet = len(Counting.listings)
            print(f"{quiet} listings in {4 * interval:.0f} s", file=sys.stderr)
            writer = os.open(flag, os.O_RDWR)
            os.write(writer, b"go\n" * pieces)
            for name in names:
                path = Path(jobs) / name / "exit"
                while not path.exists():
                    await asyncio.sleep(0.01)
                ended[name] = time.monotonic() - max(0.0, time.time() - path.stat().st_mtime)
            await asyncio.gather(*tasks)
            os.close(writer)

        began = time.monotonic()
        try:
            asyncio.run(all_of_them())
        finally:
            seconds = time.monotonic() - began
            # Those that have ended go with the folder.
            for name in set(names) - set(ended):
                backend.delete(name)
    gaps = [
        later - earlier
        for (earlier, _), (later, _) in zip(Counting.listings, Counting.listings[1:], strict=False)
    ]
    return {
        "pieces": pieces,
        "interval": interval,
        "listings": len(Counting.listings),
        "seconds": seconds,
        "shortest gap": min(gaps),
        "listing": statistics.median(took for _, took in Counting.listings),
        "noticed": max(noticed[name] - ended[name] for name in names),
        "noticed median": statistics.median(noticed[name] - ended[name] for name in names),
        "memory": peak() / MB,
    }


def measure_watch(pieces: int, interval: float) -> dict[str, Any]:
    """Run `watch` in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="tw-airflow-") as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "PYTHONPATH": str(HERE)}
        command = [sys.executable, "-Wignore", __file__, "--watch", str(pieces), str(interval)]
        done = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# ------------------------------------------------------------------------------------------ results


def verdict(kept: bool) -> str:
    return "kept" if kept else "**missed**"


def report(results: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    cores = os.cpu_count()
    text = f"`{results['command']}` on {platform.machine()}, {cores} cores, "
    text += f"Python {platform.python_version()}, {results['date']}.\n\n"
    if results["overhead"]:
        text += (
            "### One line of work\n\nSeconds, medians of runs in turns. `supervise` connects, "
            "claims, "
            "starts, reads the log, collects and removes.\n\n"
            "| system | own client | `supervise` | more | slowest | at most 0.5 s more |\n"
            "| --- | ---: | ---: | ---: | ---: | --- |\n"
        )
        for name, found in results["overhead"].items():
            text += (
                f"| {name} | {found['client']:.2f} | {found['supervise']:.2f} | "
                f"{found['overhead']:+.2f} | {found['slowest']:.2f} | "
                f"{verdict(found['overhead'] <= MOST_OVERHEAD)} |\n"
            )
    if results["log"]:
        text += (
            "\n### A log\n\nMB are 10^6 bytes in lines of 100. Live: from the start of the work "
            "to its collected end, read while it is written. Ended: read after it was written. "
            "Growth is that of the reader's peak memory.\n\n"
            "| system | live MB/s | ended MB/s | lines | growth MB | 20 MB/s | all lines | flat |\n"
            "| --- | ---: | ---: | ---: | ---: | --- | --- | --- |\n"
        )
        for name, found in results["log"].items():
            growth = max(found["live growth"], found["ended growth"])
            all_lines = found["live lines"] == found["ended lines"] == found["lines"]
            fast = min(found["live"], found["ended"]) >= LEAST_MB
            text += (
                f"| {name} | {found['live']:.0f} | {found['ended']:.0f} | {found['lines']:,} | "
                f"{growth:.0f} | {verdict(fast)} | {verdict(all_lines)} | "
                f"{verdict(growth <= MOST_GROWTH_MB)} |\n"
            )
    if found := results["watch"]:
        # A gap may be a little short where a listing came late.
        once = found["shortest gap"] >= 0.9 * found["interval"]
        text += (
            f"\n### {found['pieces']:,} jobs, one triggerer\n\nReal processes, watched "
            f"by `WorkTrigger`s in one loop every {found['interval']:.0f} s; all end at once.\n\n"
            "| what | found | bound | |\n| --- | ---: | --- | --- |\n"
            f"| listings in {found['seconds']:.0f} s | {found['listings']} | one an interval | "
            f"{verdict(once)} |\n"
            f"| a listing, seconds | {found['listing']:.2f} | | |\n"
            f"| end noticed after, seconds: median | {found['noticed median']:.1f} | | |\n"
            f"| end noticed after, seconds: the last | {found['noticed']:.1f} | one interval | "
            f"{verdict(found['noticed'] <= found['interval'] + found['listing'] + 1)} |\n"
            f"| peak memory of the triggerer, MB | {found['memory']:.0f} | 300 | "
            f"{verdict(found['memory'] < MOST_WATCHER_MB)} |\n"
        )
    return text


def write(text: str) -> None:
    """Put the results into the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=[*SYSTEMS, "watch"], action="append")
    parser.add_argument("--times", type=int, default=9, help="runs of a line of work")
    parser.add_argument("--log-mb", type=int, default=100)
    parser.add_argument("--pieces", type=int, default=1_000)
    parser.add_argument("--interval", type=float, default=5.0, help="of the triggers, in seconds")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--watch", nargs=2, metavar=("PIECES", "INTERVAL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watch:
        print(json.dumps(watch(int(arguments.watch[0]), float(arguments.watch[1]))))
        return 0
    results: dict[str, Any] = {"overhead": {}, "log": {}, "watch": None}
    results["command"] = "make bench-run" if arguments.write else "python bench/bench_run.py"
    results["date"] = time.strftime("%Y-%m-%d")
    chosen = arguments.only or [*SYSTEMS, "watch"]
    for name in chosen:
        if name == "watch":
            results["watch"] = measure_watch(arguments.pieces, arguments.interval)
            continue
        if name == "docker" and (os.getuid() or not shutil.which("dockerd")):
            print("docker: left out, it needs dockerd and root rights", file=sys.stderr)
            continue
        with ExitStack() as stack:
            system = stack.enter_context(SYSTEMS[name]())
            results["overhead"][name] = measure_overhead(system, arguments.times)
            results["log"][name] = measure_log(system, arguments.log_mb)
    text = report(results)
    print(text)
    if arguments.write:
        write(text)
    print(json.dumps(results))
    return int("**missed**" in text)


if __name__ == "__main__":
    sys.exit(main())
