"""The page as a process: ``python -m digits.web``."""

import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from starlette.applications import Starlette

from web_server import PIPELINES, served


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_its_address_and_ends_with_0_on_a_signal(number):
    with served({}) as (url, process):
        assert url.startswith("http://127.0.0.1:")
        with httpx.Client() as kept:
            assert "<canvas" in kept.get(url).text
            process.send_signal(number)
            assert process.wait(30) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "digits.web", *arguments],
        env=os.environ | environment | {"PYTHONPATH": str(PIPELINES)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("--port", str(port))
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_is_told():
    ended = run("--port", "0", TRADEWIND_DIGITS_MAX_BYTES="many")
    assert ended.returncode == 1
    assert "TRADEWIND_DIGITS_MAX_BYTES" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_servers_find_the_application_by_its_name():
    from digits.web import app as module

    assert isinstance(module.app, Starlette)
    assert module.app is module.app
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing
