"""Event loops in threads of their own are closed, whatever comes between."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tradewind.errors import InputError
from tradewind.event_loop import LoopThread, Running
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.session import Session
from waiting import until


def test_a_loop_is_closed_also_when_the_wait_for_it_is_broken_off():
    thread = LoopThread("tests")
    begun, ended = threading.Event(), threading.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    work = Running(thread.loop, stubborn())
    assert begun.wait(30)
    thread.close(0)
    until(thread.loop.is_closed)
    assert ended.is_set()
    assert work.done()
    assert not thread.running
    thread.close(0)


def test_a_loop_is_closed_by_what_runs_on_it():
    thread = LoopThread("tests")
    thread.loop.call_soon_threadsafe(thread.close, 10)
    until(thread.loop.is_closed)


def test_a_session_with_wrong_options_begins_no_thread():
    before = threading.active_count()
    wrong = PostgresConnection("127.0.0.1", options={"options": "-x"})
    with pytest.raises(InputError, match="Write each as -c name=value"):
        Session(wrong, name="tests")
    assert threading.active_count() == before
