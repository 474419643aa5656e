"""Operators whose task dies by SIGKILL at a chosen point, whoever has written them.

Used in DAG files: ``class WatchedDockerOperator(Watched, DockerOperator)``. Where to die stands in
the variable ``TRADEWIND_DIE_AT`` of the task's process:

    submit:40   when the 40th line of Tradewind is executed before the work is claimed; ``run``,
                ``log`` and ``collect`` count the lines of these phases of a supervisor's life
    line:40     when the 40th line of the packages is executed that ``TRADEWIND_COUNTED`` names
    time:1.5    1.5 seconds after the operator was called

How many points there are, and how long all took, is written into the file ``points``; where a task
has died, and whether its work had begun and ended by then, into ``died``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

FOLDER = Path(os.environ["TRADEWIND_TEST_FOLDER"])
#: How work names the run that it belongs to.
RUN = "{{ dag.dag_id }}/{{ run_id }}"
PHASES = ("submit", "run", "log", "collect")
_SUPERVISE = os.path.join("tradewind", "run", "supervise.py")


class Points:
    """Counts executed lines of packages, by phase, and dies at one of them.

    Args:
        packages: Whose lines count.
        die_at: As described above; empty for never.
        run: Which run of the DAG this is, as its work writes it.
    """

    def __init__(self, packages: list[str], die_at: str, run: str) -> None:
        self._folders = tuple(
            folder + os.sep
            for package in packages
            for folder in importlib.import_module(package).__path__
        )
        self._what, _, number = die_at.partition(":")
        self._number = float(number or 0)
        self._run = run
        self._ours: dict[CodeType, bool] = {}
        self._began = time.monotonic()
        self.phase = PHASES[0]
        self.lines = dict.fromkeys(PHASES, 0)
        self.count = 0

    def watch(self) -> None:
        if self._what == "time":
            timer = threading.Timer(self._number, self._die)
            timer.daemon = True
            timer.start()
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        told = {**self.lines, "lines": self.count, "seconds": time.monotonic() - self._began}
        (FOLDER / "points").write_text(json.dumps(told))

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if code not in self._ours:
            self._ours[code] = code.co_filename.startswith(self._folders)
        if not self._ours[code]:
            return None
        if code.co_name in ("wait", "_read") and code.co_filename.endswith(_SUPERVISE):
            return self._enter_phase(frame)
        return self._line

    def _enter_phase(self, frame: FrameType) -> Any:
        """Follow the two functions in which a supervisor waits, and in which it reads the log."""
        inside, after = ("run", "collect") if frame.f_code.co_name == "wait" else ("log", "run")
        self.phase = inside

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "return":
                self.phase = after
            else:
                self._line(frame, event, argument)
            return line

        return line

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self.count += 1
            self.lines[self.phase] += 1
            count = self.count if self._what == "line" else self.lines.get(self._what)
            if self._what in ("line", self.phase) and count == self._number:
                self._die(frame)
        return self._line

    def _die(self, frame: FrameType | None = None) -> None:
        died = {
            "phase": self.phase,
            "where": frame and f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}",
            "moment": time.time(),
            "began": self._run in written("began"),
            "ended": self._run in written("ended"),
        }
        (FOLDER / "died").write_text(json.dumps(died))
        os.kill(os.getpid(), signal.SIGKILL)


def written(name: str) -> list[str]:
    """The runs that work has written into a file, one a line."""
    try:
        return (FOLDER / name).read_text().splitlines()
    except FileNotFoundError:
        return []


class Watched:
    """Counts executed lines, and dies at one of them, as the environment says."""

    def execute(self, context: Any) -> Any:
        with watching(context):
            return super().execute(context)  # type: ignore[misc]

    def resume_execution(self, next_method: str, next_kwargs: Any, context: Any) -> Any:
        with watching(context):
            return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]


@contextmanager
def watching(context: Any) -> Iterator[None]:
    (FOLDER / "pid").write_text(str(os.getpid()))
    counted = os.environ.get("TRADEWIND_COUNTED", "tradewind").split(",")
    run = f"{context['dag'].dag_id}/{context['run_id']}"
    points = Points(counted, os.environ.get("TRADEWIND_DIE_AT", ""), run)
    points.watch()
    try:
        yield
    finally:
        points.stop()


def script(folder: str | Path = FOLDER, *, seconds: float = 0.4) -> str:
    """A shell script to be rendered by Airflow: it says when it begins and ends, and hands back 42.

    Args:
        folder: Where the test's folder is for it.
        seconds: It takes twice as long.
    """
    return (
        f'echo "{RUN}" >> {folder}/began; echo running; sleep {seconds}; '
        f'echo still; sleep {seconds}; echo "{RUN}" >> {folder}/ended; echo 42'
    )


def training(name: str) -> dict[str, Any]:
    """Describe a training job on the bucket of `sagemaker_data`, for any SageMaker operator.

    Args:
        name: What its name begins with; the run's date follows.
    """
    bucket = os.environ.get("TRADEWIND_TEST_BUCKET", "")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
    return {
        "TrainingJobName": name + "-{{ ds }}",
        "AlgorithmSpecification": {
            "TrainingImage": "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1",
            "TrainingInputMode": "File",
        },
        "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
        "HyperParameters": {"k": "3", "feature_dim": "2"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
