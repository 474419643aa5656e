"""Workers that die: our operators beside the official ones, in Airflow's own task runner.

    make bench-crash                                    all of it, into docs/crashes.md
    python bench/bench_crash.py --points 4 --only docker       a small form of one system

Each operator runs the same work: it says in a file that it begins, takes 0.8 s, says that it ends,
and hands back 42. Its task runs in a child that Airflow's supervisor forks; the child dies by
SIGKILL at a point, and Airflow tries again, until the task has ended. The points are chosen the
same way for both: half of them are lines of the operator's package, evenly from the first to the
last that an attempt executes which nobody kills; half are moments, evenly from its beginning to its
end. A point that an attempt does not come to is moved forward. Spark and SageMaker, where an
attempt takes several seconds, have half as many points.

The official operators come from an environment of their own (requirements/crash-peers.txt). Ours
and the official ones run beside each other, each with systems of their own, started as the tests
start them.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests"))

from airflow_runs import make_home  # type: ignore[import-not-found]  # noqa: E402
from airflow_supervised import Supervised  # type: ignore[import-not-found]  # noqa: E402
from crash_systems import PRELOAD, SYSTEMS, CrashSystem  # type: ignore[import-not-found]  # noqa: E402

PEERS = ROOT / ".venv-crash-peers"
PAGE = ROOT / "docs" / "crashes.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
FIRST_DAY = date(2026, 1, 1)
SETTLE_SECONDS = 10.0
SLOW = ("spark", "sagemaker")


@dataclass(frozen=True)
class Contender:
    """An operator.

    Args:
        title: As the table has it.
        tool: Who runs it: ``ours`` or ``official``.
        system: Of `SYSTEMS`.
        dag: Its DAG.
        counted: Packages whose lines are points.
        result: Whether it hands back what its work did.
        records: Whether its system keeps a record of ended work by itself for a while, which then
            counts as nothing left.
    """

    title: str
    tool: str
    system: str
    dag: str
    counted: str = "tradewind"
    result: bool = True
    records: bool = False


def official(title: str, system: str, dag: str, package: str, **more: Any) -> Contender:
    counted = f"airflow.providers.{package}"
    return Contender(f"{title}, official", "official", system, f"official_{dag}", counted, **more)


def ours(title: str, system: str, **more: Any) -> Contender:
    return Contender(title, "ours", system, f"crash_{system}", **more)


CONTENDERS = [
    ours("process", "process"),
    ours("DockerOperator", "docker"),
    official("DockerOperator", "docker", "docker", "docker"),
    ours("SSHOperator", "ssh"),
    official("SSHOperator", "ssh", "ssh", "ssh"),
    official("SSHRemoteJobOperator", "ssh", "ssh_remote", "ssh", result=False),
    ours("HttpJobOperator", "http"),
    ours("SparkSubmitOperator", "spark"),
    official("SparkSubmitOperator", "spark", "spark", "apache.spark", result=False),
    ours("LivyOperator", "livy", result=False),
    official("LivyOperator", "livy", "livy", "apache.livy", result=False, records=True),
    ours("SageMakerTrainingOperator", "sagemaker", result=False),
    official("SageMakerTrainingOperator", "sagemaker", "sagemaker", "amazon", result=False),
]


@dataclass
class Count:
    """What was counted of one operator."""

    title: str
    tool: str
    system: str
    kills: int = 0
    unkilled: int = 0
    when: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    ran: Counter[str] = field(default_factory=Counter)
    results: int = 0
    failed: int = 0
    left: int = 0
    lefts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    lines: int = 0


class Lane:
    """Runs the operators of one tool, one after the other.

    Args:
        tool: ``ours`` or ``official``.
        folder: For its files.
    """

    def __init__(self, tool: str, folder: Path) -> None:
        self._folder = folder / tool
        home = folder / f"{tool}-airflow"
        for each in (self._folder, home):
            each.mkdir()
        is_ours = tool == "ours"
        python = sys.executable if is_ours else str(PEERS / "bin" / "python")
        dags = ROOT / "tests" / "airflow" / "crash_dags" if is_ours else HERE / "crash_dags"
        make_home(home, python)
        environment = {
            "TRADEWIND_TEST_FOLDER": str(self._folder),
            "PYTHONPATH": str(ROOT / "tests"),
        }
        self.airflow = Supervised(
            home, dags, environment, preload=PRELOAD if is_ours else (), python=python
        )
        self._days = 0

    def measure(self, contender: Contender, count: int) -> Count:
        """Run an operator with a kill at each of so many points."""
        told = Count(contender.title, contender.tool, contender.system)
        with SYSTEMS[contender.system](self._folder) as system:
            self._prepare(contender, system)
            wholes = [self._run(contender, system)[0]["all_points"] for _ in range(2)]
            assert all(wholes), f"{contender.title} does not work: {self._log_of_run()[-2000:]}"
            # The one that the machine did not keep waiting.
            attempts = min(wholes, key=lambda whole: sum(each["seconds"] for each in whole))
            told.lines = sum(each["lines"] for each in attempts)
            told.seconds = sum(each["seconds"] for each in attempts)
            for number in range(count):
                self._kill(contender, system, told, attempts, number, count)
        return told

    def _prepare(self, contender: Contender, system: CrashSystem) -> None:
        self._environment = dict(system.environment)
        for name in ("began", "ended"):
            (self._folder / name).touch()

    def _run(
        self, contender: Contender, system: CrashSystem, die_at: list[str] | None = None
    ) -> tuple[dict[str, Any], str]:
        day = (FIRST_DAY + timedelta(days=self._days)).isoformat()
        self._days += 1
        self._log_start = self.airflow.log_file.stat().st_size
        told = self.airflow.run(
            contender.dag,
            date=day,
            die_at=die_at or [],
            counted=contender.counted,
            environment=self._environment,
        )
        return told, day

    def _kill(
        self,
        contender: Contender,
        system: CrashSystem,
        told: Count,
        attempts: list[dict[str, Any]],
        number: int,
        count: int,
    ) -> None:
        share = (number // 2 + 0.5) / max(1, (count + 1 - number % 2) // 2)
        for _ in range(8):
            die_at = point(attempts, share, "line" if number % 2 else "time")
            run, day = self._run(contender, system, die_at)
            if run["died"]:
                break
            told.unkilled += 1
            self._look(contender, system, day, Count("", "", ""))
            share *= 0.85
        else:
            return
        told.kills += 1
        told.phases[run["died"][0]["phase"]] += 1
        self._look(contender, system, day, told, run)

    def _look(
        self,
        contender: Contender,
        system: CrashSystem,
        day: str,
        told: Count,
        run: dict[str, Any] | None = None,
    ) -> None:
        """Count what has happened, when nothing of the run happens any more, and clean up."""
        mark = f"{contender.dag}/supervised-{day}"
        began, ended = self._counts(system, day, mark)
        last = time.monotonic() + SETTLE_SECONDS
        while began != ended and time.monotonic() < last:
            time.sleep(0.1)
            began, ended = self._counts(system, day, mark)
        left = system.left()
        if contender.records:
            left = [each for each in left if not each.endswith(("success", "dead", "killed"))]
        system.clean()
        if run is None:
            return
        (died, *_) = run["died"]
        if system.jobs is not None:
            moments = system.jobs(day)
            died["began"] = any(moment[0] < died["moment"] for moment in moments)
            died["ended"] = any(moment[1] < died["moment"] for moment in moments)
        told.when["after" if died["ended"] else "during" if died["began"] else "before"] += 1
        told.ran["never" if not began else "once" if began == 1 else "more"] += 1
        told.failed += run["state"] != "success"
        values = [str(each) for each in run["xcom"]]
        values += [decoded(each) for each in values]
        has_result = not contender.result or "42" in values
        told.results += run["state"] == "success" and has_result
        told.left += bool(left)
        told.lefts.update(re.sub(r"[0-9a-f]{6,}|[0-9]+", "#", each)[:60] for each in left)
        if not has_result or run["state"] != "success":
            said = re.findall(r"^\w[\w.]*(?:Error|Exception)\b.*", self._log_of_run(), re.MULTILINE)
            told.errors.update(each[:160] for each in said[-1:] or ["?"])

    def _log_of_run(self) -> str:
        with self.airflow.log_file.open("rb") as log:
            log.seek(self._log_start)
            text: str = log.read().decode(errors="replace")
            return text

    def _counts(self, system: CrashSystem, day: str, mark: str) -> tuple[int, int]:
        if system.jobs is not None:
            jobs = system.jobs(day)
            return len(jobs), sum(moment[1] < time.time() + 60 for moment in jobs)
        began, ended = (
            (self._folder / name).read_text().split().count(mark) for name in ("began", "ended")
        )
        return began, ended


def point(attempts: list[dict[str, Any]], share: float, kind: str) -> list[str]:
    """Say where to die: a share of all lines, or of the time, of all parts of a task.

    A task that is deferred has two parts: until then, and from then on.
    """
    name = "lines" if kind == "line" else "seconds"
    rest = share * sum(each[name] for each in attempts)
    for number, each in enumerate(attempts):
        if rest <= each[name] or number == len(attempts) - 1:
            at = max(1, round(rest)) if kind == "line" else round(rest, 3)
            return [*[""] * number, f"{kind}:{at}"]
        rest -= each[name]
    raise AssertionError


def decoded(text: str) -> str:
    """Read what the official SSHOperator hands back."""
    try:
        return base64.b64decode(text, validate=True).decode().splitlines()[-1]
    except (ValueError, IndexError):
        return ""


def report(counts: list[Count], command: str) -> str:
    """Write the tables."""
    lines = [
        f"`{command}` on {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}.",
        "",
        "| operator | kills | before, during, after its work | ran once | twice or more | never "
        "| result arrived | task failed | left something |",
        "| --- | ---: | :---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in counts:
        when = ", ".join(str(each.when[name]) for name in ("before", "during", "after"))
        name = each.title if each.tool == "official" else f"**{each.title}**"
        lines.append(
            f"| {name} | {each.kills} | {when} | {each.ran['once']} | {each.ran['more']} "
            f"| {each.ran['never']} | {each.results} | {each.failed} | {each.left} |"
        )
    errors = {each.title: each.errors for each in counts if each.errors}
    if errors:
        lines += ["", "What the failed tasks said last:", ""]
        lines += [
            f"- {name}: `{one}` ({n})" for name, of in errors.items() for one, n in of.items()
        ]
    lefts = {each.title: each.lefts for each in counts if each.lefts}
    if lefts:
        lines += ["", "What was left:", ""]
        for name, of in lefts.items():
            lines.append(f"- {name}: {sum(of.values())}, like `{next(iter(of))}`")
    lines += [
        "",
        "Where our attempts died, by the phases of `supervise`:",
        "",
        "| operator | submit | run | log | collect | lines of an attempt | its seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in counts:
        if each.tool == "ours":
            phases = " | ".join(
                str(each.phases[name]) for name in ("submit", "run", "log", "collect")
            )
            lines.append(f"| {each.title} | {phases} | {each.lines:,} | {each.seconds:.1f} |")
    return "\n".join(lines) + "\n"


def write(text: str) -> None:
    """Put the results into the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=50, help="kills of each operator")
    parser.add_argument("--only", choices=list(SYSTEMS), action="append")
    parser.add_argument("--tool", choices=["ours", "official"], action="append")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    tools = arguments.tool or ["ours", "official"]
    if "official" in tools:
        setup = [sys.executable, str(ROOT / "scripts" / "environment.py")]
        setup += [PEERS.name, "requirements/crash-peers.txt"]
        subprocess.run(setup, check=True)
    chosen = [
        each
        for each in CONTENDERS
        if each.tool in tools and each.system in (arguments.only or SYSTEMS)
    ]
    counts: dict[str, Count] = {}
    lock = threading.Lock()

    def run_all(tool: str, folder: Path) -> None:
        lane = Lane(tool, folder)
        try:
            for contender in chosen:
                if contender.tool == tool:
                    began = time.monotonic()
                    points = arguments.points
                    if contender.system in SLOW:
                        points = (points + 1) // 2
                    count = lane.measure(contender, points)
                    with lock:
                        counts[contender.title] = count
                        told = {**vars(count), "took": round(time.monotonic() - began)}
                        print(json.dumps(told), file=sys.stderr, flush=True)
        finally:
            lane.airflow.close()

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tw-crash-")))
        pool = stack.enter_context(ThreadPoolExecutor(len(tools)))
        for done in [pool.submit(run_all, tool, folder) for tool in tools]:
            done.result()
    command = "make bench-crash"
    if arguments.points != 50:
        command += f' ARGS="--points {arguments.points}"'
    text = report([counts[each.title] for each in chosen], command)
    print(text)
    if arguments.write:
        write(text)
    mine = [each for each in counts.values() if each.tool == "ours"]
    whole = all(each.ran["once"] == each.results == each.kills and not each.left for each in mine)
    return int(not whole)


if __name__ == "__main__":
    sys.exit(main())
