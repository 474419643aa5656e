"""`tradewind up` as it is typed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import tradewind
from processes import gone
from tradewind.local.processes import free_port, wait_until
from tradewind.local.system import find_systems
from tradewind.move import native

TRADEWIND = [sys.executable, "-m", "tradewind.cli"]
ANY = ["--port", "s3=0"]


def run(*arguments: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    where = ["--data", str(data)] if data else []
    command = [*TRADEWIND, *arguments[:1], *where, *arguments[1:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError:
        return False
    return True


@pytest.fixture
def running(data: Path) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    """`tradewind up s3 --json`, ready, and what it said."""
    command = [*TRADEWIND, "up", "s3", *ANY, "--data", str(data), "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    with process:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_version() -> None:
    line = f"tradewind {tradewind.__version__} (decoders: {native.core()})\n"
    assert run("--version").stdout == line


def test_lists_every_system() -> None:
    shown = run("up", "--list").stdout
    assert [line.split()[0] for line in shown.splitlines()] == list(find_systems())
    assert shown in run("up", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name what to start: .*s3"),
        (("oracle",), "no local system 'oracle'"),
        (("s3", "--port", "s3"), "--port s3 is not of the form SYSTEM=PORT"),
        (("s3", "--port", "s3=70000"), "--port s3=70000 is not of the form"),
        (("s3", "--port", "sagemaker=0"), "sagemaker, which is not among"),
        (("s3", "--exec"), "--exec needs a command"),
    ],
)
def test_wrong_command_line(arguments: tuple[str, ...], said: str) -> None:
    done = run("up", *arguments)
    assert done.returncode == 2
    assert re.fullmatch(rf"tradewind: .*{said}.*\n", done.stderr)


def test_set_up_error_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    done = run("up", "s3", *ANY, data=tmp_path / "data")
    assert done.returncode == 1
    assert re.fullmatch(r"tradewind: .*a file is in its place.*--data\.\n", done.stderr)


def test_json_line(running, data: Path) -> None:
    process, said = running
    assert said["pid"] == process.pid
    assert said["data"] == str(data)
    assert answers(said["systems"]["s3"]["endpoint"])
    assert said["environment"]["AWS_ENDPOINT_URL_S3"] == said["systems"]["s3"]["endpoint"]
    assert "AWS_PROFILE" in said["unset"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all(running, number: signal.Signals) -> None:
    process, said = running
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    assert not answers(said["systems"]["s3"]["endpoint"])
    assert all(gone(pid) for pid in said["systems"]["s3"]["pids"])


def test_kill_takes_all_along(running) -> None:
    process, said = running
    process.kill()
    assert wait_until(lambda: all(gone(pid) for pid in said["systems"]["s3"]["pids"]), seconds=20)


def test_a_system_that_ends_ends_all(running) -> None:
    process, said = running
    os.kill(said["systems"]["s3"]["pids"][0], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("tradewind: s3: its process was ended by SIGKILL; all is stopped.")


def test_printed_lines_can_be_pasted(data: Path) -> None:
    port = free_port()
    command = [*TRADEWIND, "up", "s3", "--port", f"s3={port}", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "Stopped.\n")
    assert f"  s3  http://127.0.0.1:{port}\n" in lines
    pasted = "".join(line for line in lines if line.startswith(("export ", "unset ")))
    script = f'{pasted}printf "%s\\n%s" "$AWS_ENDPOINT_URL_S3" "$AIRFLOW_CONN_AWS_DEFAULT"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    endpoint, connection = shown.split("\n", 1)
    assert endpoint == f"http://127.0.0.1:{port}"
    assert json.loads(connection)["extra"]["service_config"]["s3"]["endpoint_url"] == endpoint


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
def test_exec_passes_the_status_on(data: Path, script: str, status: int) -> None:
    done = run("up", "s3", *ANY, "--exec", "sh", "-c", f"echo out; {script}", data=data)
    assert (done.returncode, done.stdout) == (status, "out\n")


def test_exec_sets_the_environment(data: Path) -> None:
    script = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'])"
    done = run("up", "s3", *ANY, "--exec", sys.executable, "-c", script, data=data)
    assert (done.returncode, done.stdout) == (0, "[]\n")
    endpoint = re.fullmatch(r"tradewind: s3 at (http://\S+)\n", done.stderr)
    assert endpoint
    assert not answers(endpoint[1])


@pytest.mark.parametrize(("command", "status"), [("/no/such", 127), ("/etc/passwd", 126)])
def test_exec_of_what_cannot_be_run_starts_nothing(data: Path, command: str, status: int) -> None:
    done = run("up", "s3", *ANY, "--exec", command, data=data)
    assert done.returncode == status
    assert f"'{command}'" in done.stderr
    assert not data.exists()


def test_exec_hands_signals_on(data: Path) -> None:
    script = "trap 'echo stopping; exit 9' TERM; echo ready; while :; do sleep 0.02; done"
    command = [*TRADEWIND, "up", "s3", *ANY, "--data", str(data), "--exec", "sh", "-c", script]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (9, "stopping\n")


def test_exec_with_ctrl_c_on_a_terminal(data: Path) -> None:
    """The terminal sends it to both: the command gets it once, and decides."""
    on_terminal = (
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    )
    script = (
        "import os, signal, sys, time\n"
        "times = []\n"
        # Not print: a signal may come while it is printing, and it cannot be entered twice.
        "def say(text): os.write(1, text.encode() + b'\\n')\n"
        "def interrupt(*_): times.append(1); say('interrupted')\n"
        "def end(*_): say(f'times: {len(times)}'); sys.exit(5)\n"
        "signal.signal(signal.SIGINT, interrupt)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "say('handlers are set')\n"
        "while True: time.sleep(0.01)\n"
    )
    command = [*TRADEWIND, "up", "s3", *ANY, "--data", str(data), "--exec", sys.executable, "-c"]
    process = subprocess.Popen(
        [sys.executable, "-c", on_terminal, *command, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    shown = b""
    with process:
        for words, answer in ((b"handlers are set", b"\x03"), (b"interrupted", b"")):
            while words not in shown:
                read = process.stdout.read(1000)
                assert read, f"it ended before it said {words!r}: {shown!r}"
                shown += read
            process.stdin.write(answer)
        # Handed on, and so after whatever else would be.
        psutil.Process(process.pid).children()[0].terminate()
        while read := process.stdout.read(1000):
            shown += read
    assert process.returncode == 5
    assert b"times: 1" in shown


def test_exec_is_stopped_when_a_system_ends(data: Path) -> None:
    script = (
        "import os, signal, sys, time, psutil\n"
        "for process in psutil.Process(os.getppid()).children():\n"
        "    if 'tradewind.systems.s3.swift' in process.cmdline():\n"
        "        process.kill()\n"
        "time.sleep(100)\n"
    )
    done = run("up", "s3", *ANY, "--exec", sys.executable, "-c", script, data=data)
    assert done.returncode == 1
    assert "s3: its process was ended by SIGKILL" in done.stderr
