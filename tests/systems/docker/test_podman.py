"""Containers of a real podman, by its service for the Docker API: the tests of Docker's engine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from test_docker import *  # noqa: F403
from test_docker import log_config, shell, until_ended

from busybox import with_busybox
from container_engine import Engine as EngineOfTests
from container_engine import podman_engine
from notebook import Notebook
from tradewind.errors import InputError
from tradewind.owner import Owner
from tradewind.run.backend import JobState, LogLine, join_last
from tradewind.run.supervise import supervise
from tradewind.systems.docker.backend import DockerBackend
from tradewind.systems.docker.terminal_log import TerminalReader
from tradewind.testing.conformance.backend import until_logged

pytestmark = [pytest.mark.container, pytest.mark.xdist_group("run-podman")]


@pytest.fixture(scope="module")
def daemon() -> Iterator[EngineOfTests]:
    """A podman with one small image; no test may leave a container there."""
    with with_busybox(podman_engine()) as daemon:
        yield daemon
        assert daemon.containers() == []


# What podman does otherwise takes the place of the test of the same name.


def test_too_much_memory_is_told(backend: DockerBackend, owner: Owner):
    script = (
        "head -c 200m /dev/zero | tail -c 199m >/dev/null; x=$(head -c 100m /dev/zero | tr '\\0' x)"
    )
    backend.submit(owner, 1, shell(script, mem_limit="16m"), variables={})
    status = until_ended(backend, backend.name_of(owner, 1))
    assert status.state is JobState.FAILED
    # Not that it was the memory.
    assert "out of memory, or killed by hand" in (status.reason or "")
    assert "its memory has a limit of 16 MiB" in (status.reason or "")
    backend.delete(backend.name_of(owner, 1))


def test_a_mount_of_a_folder_that_is_not_there_is_refused(
    backend: DockerBackend, owner: Owner, tmp_path: Path
):
    missing = {"Type": "bind", "Source": str(tmp_path / "missing"), "Target": "/x"}
    backend.submit(owner, 1, shell("true", mounts=[missing]), variables={})
    backend.delete(backend.name_of(owner, 1))
    # It is made, as docker run -v does.
    assert (tmp_path / "missing").is_dir()


def test_the_log_is_kept_whole_in_the_engine_s_quickest_form(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    # It has no such driver, and is left as it is set up; json-file is what it calls its own.
    assert log_config(backend, owner, daemon) in ({"Type": "json-file", "Config": None},)


def test_the_log_is_kept_as_the_engine_is_set_up_where_that_is_wanted(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    wanted = {"Type": "json-file", "Config": {"max-size": "1m"}}
    found = log_config(backend, owner, daemon, host_config={"LogConfig": wanted})
    assert found["Type"] == "json-file"


def test_a_terminal_s_log_is_followed_and_taken_up_again(backend: DockerBackend, owner: Owner):
    # What looks like a time in a line is the program's own.
    line = "at 2026-11-30T07:46:28Z it said so"
    script = f"echo one; printf 'at '; sleep 0.3; echo '{line[3:]}'; echo ready; exec sleep 1000"
    backend.submit(owner, 1, shell(script, tty=True), variables={})
    name = backend.name_of(owner, 1)
    ready = until_logged(backend, name, "ready")
    lines = list(backend.logs(name, None, wait=0))
    assert [each.text for each in lines] == ["one", line, "ready"]
    assert [each.text for each in backend.logs(name, lines[0].cursor, wait=0)] == [line, "ready"]
    assert list(backend.logs(name, ready.cursor, wait=0.1)) == []
    assert backend.last_line(name) == "ready"
    backend.delete(name)


def test_lines_of_one_time_and_parts_of_many_are_taken_up_at_each_cursor(
    backend: DockerBackend, owner: Owner
):
    script = (
        "printf '%s\\n' a b c d; head -c 300000 /dev/zero | tr '\\0' x; printf '\\n1\\n2\\nlast'"
    )
    backend.submit(owner, 1, shell(script), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    lines = list(backend.logs(name, None, wait=0))
    assert [line.text for line in lines] == [*"abcd", "x" * 300_000, "1", "2", "last"]
    for known, line in enumerate(lines, 1):
        left = [each.text for each in backend.logs(name, line.cursor, wait=0)]
        assert left == [each.text for each in lines[known:]]
    backend.delete(name)


def test_a_link_s_target_is_never_a_result(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    script = "echo secret > /tmp/other; ln -s /tmp/other $TRADEWIND_RESULT"
    with pytest.raises(InputError, match="a symbolic link"):
        supervise(backend, owner, shell(script), log=lambda _: None, state_store=Notebook())
    assert daemon.containers() == []


@pytest.mark.parametrize("beyond", [-1, 0, 1, 2])
def test_pieces_of_a_terminal_s_line_do_not_depend_on_how_it_comes(beyond: int):
    line = b"x" * ((1 << 20) + beyond) + b"\r\nlast\r\n"
    at_once = read([line])
    for split in range(len(line) - 12, len(line)):
        parts = [line[:split], line[split:]]
        assert read(parts) == at_once
    assert join_last(at_once[:-1], where="") == "x" * ((1 << 20) + beyond)
    assert read([line], at_once[0].cursor) == at_once[1:]


def test_a_terminal_s_log_that_ends_before_its_container_ends_in_no_line():
    # podman ends what is followed before its last bytes, in the middle of a line too.
    assert [line.text for line in read([b"one\r\ntw"], ended=False)] == ["one"]
    assert [line.text for line in read([b"one\r\ntwo"], ended=True)] == ["one", "two"]


def read(chunks: list[bytes], after: str | None = None, *, ended: bool = True) -> list[LogLine]:
    return list(chain.from_iterable(TerminalReader(after, ended=ended).lines(chunks)))
