"""The doubles keep to what real systems keep to."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.testing import FunctionBackend, FunctionJob, MemorySource, MemoryStore
from tradewind.testing.conformance.backend import BackendConformance
from tradewind.testing.conformance.source import SourceConformance


class TestFunctionBackend(BackendConformance):
    """With functions that run shell scripts, as other backends do."""

    @pytest.fixture
    def backend(self) -> FunctionBackend:
        return FunctionBackend()

    def work(self, script: str, **environment: str) -> Any:
        def run(job: FunctionJob) -> None:
            with subprocess.Popen(
                ["sh", "-c", script],
                env={"PATH": "/usr/bin:/bin", **environment, **job.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process:
                ender = threading.Thread(target=end, args=(job, process), daemon=True)
                ender.start()
                assert process.stdout is not None
                for line in process.stdout:
                    job.log(line.decode(errors="replace").removesuffix("\n"))
                code = process.wait()
            job.stopped.set()
            if code:
                killed = "SIGKILL" if code in (-9, 137) else ""
                error = RuntimeError(f"exit status {code} {killed}")
                error.exit_code = code  # type: ignore[attr-defined]
                raise error

        return run

    test_a_result_is_handed_back = None  # the result is what the function returns
    test_no_result_is_none = None

    def test_what_a_function_returns_is_its_result(self, backend, owner) -> None:
        backend.submit(owner, 1, lambda job: {"rows": 3}, variables={})
        name = backend.name_of(owner, 1)
        list(backend.logs(name, None, wait=10))
        assert backend.result(name, limit=100) == b'{"rows": 3}'
        backend.delete(name)


def end(job: FunctionJob, process: subprocess.Popen[bytes]) -> None:
    job.stopped.wait()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


class TestMemorySource(SourceConformance):
    expected: ClassVar = [{"id": 1, "name": "one"}, {"id": 2, "name": None}]

    def source(self) -> MemorySource:
        return MemorySource(pa.Table.from_pylist(self.expected))


def test_a_memory_store_is_the_target_of_a_test(tmp_path: Path) -> None:
    store = MemoryStore()
    source = MemorySource(pa.table({"number": [1, 2]}))
    transfer(source, ObjectTarget(store, "numbers.csv"), Owner("dag", "run", "task"))
    assert b"".join(store.read("numbers.csv")) == b"number\n1\n2\n"
