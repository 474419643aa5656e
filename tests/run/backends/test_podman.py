"""Containers of a real podman, by its service for the Docker API: the tests of Docker's engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_docker import *  # noqa: F403
from test_docker import Notes, attend, log_config, shell, until_ended

from busybox import IMAGE, busybox_root
from container_engine import Engine as EngineOfTests
from container_engine import podman_engine
from tradewind.errors import InputError
from tradewind.owner import Owner
from tradewind.run.backend import Status
from tradewind.run.backends.docker import DockerBackend

pytestmark = [pytest.mark.container, pytest.mark.xdist_group("run-podman")]


@pytest.fixture(scope="module")
def daemon() -> Iterator[EngineOfTests]:
    """A podman with one small image; no test may leave a container there."""
    root = busybox_root()
    with podman_engine() as daemon:
        name, _, tag = IMAGE.partition(":")
        daemon.import_image(name, tag, root)
        yield daemon
        assert daemon.containers() == []


# Its timestamps are of whole seconds, and in a terminal's log they stand wherever the terminal's
# buffer was full: a long line of a terminal has some of them within (docs/airflow-work.md). A
# long line's parts end with one that is empty, which is then the last line.
del test_a_long_line_is_whole_with_and_without_a_terminal  # noqa: F821
del test_a_last_line_is_whole_with_and_without_a_terminal  # noqa: F821
del test_a_line_without_an_end_is_handed_on_in_pieces  # noqa: F821

# What podman does otherwise takes the place of the test of the same name.


def test_too_much_memory_is_told(backend: DockerBackend, owner: Owner):
    script = (
        "head -c 200m /dev/zero | tail -c 199m >/dev/null; x=$(head -c 100m /dev/zero | tr '\\0' x)"
    )
    backend.start(owner, 1, shell(script, mem_limit="16m"), tell={})
    sight = until_ended(backend, backend.name_of(owner, 1))
    assert sight.status is Status.FAILED
    # Not that it was the memory.
    assert "out of memory, or killed by hand" in (sight.reason or "")
    assert "its memory has a limit of 16 MiB" in (sight.reason or "")
    backend.remove(backend.name_of(owner, 1))


def test_a_mount_of_a_folder_that_is_not_there_is_refused(
    backend: DockerBackend, owner: Owner, tmp_path: Path
):
    missing = {"Type": "bind", "Source": str(tmp_path / "missing"), "Target": "/x"}
    backend.start(owner, 1, shell("true", mounts=[missing]), tell={})
    backend.remove(backend.name_of(owner, 1))
    # It is made, as docker run -v does.
    assert (tmp_path / "missing").is_dir()


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("mkdir $TRADEWIND_RESULT; echo x > $TRADEWIND_RESULT/file", "a directory"),
        ("mkfifo $TRADEWIND_RESULT", "a FIFO"),
    ],
)
def test_a_result_that_is_no_file_ends_the_task_once(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests, script: str, kind: str
):
    # It follows links, within the container's own file system: nothing else is ever read.
    with pytest.raises(InputError, match=kind):
        attend(backend, owner, shell(script), log=lambda _: None, memory=Notes())
    assert daemon.containers() == []


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
