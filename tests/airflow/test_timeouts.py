"""Airflow's timeout is raised where it does no harm, and raised in any case."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import TimeoutPosix

from tradewind.airflow.timeouts import timeout_held_back

pytestmark = pytest.mark.airflow

DEADLINE = 20.0


@pytest.fixture(autouse=True)
def pytests_own_alarm() -> Iterator[None]:
    handler, rest = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *rest)


def pass_until(done: threading.Event) -> None:
    """Be busy, as a task is that writes lines."""
    end = time.monotonic() + DEADLINE
    while not done.is_set():
        assert time.monotonic() < end


def test_it_comes_when_it_is_asked_for():
    late = threading.Event()
    threading.Timer(0.5, late.set).start()
    with TimeoutPosix(0.05), timeout_held_back() as meet:
        meet()
        pass_until(late)  # not here, although it is over
        with pytest.raises(AirflowTaskTimeout):
            meet()


def test_it_comes_all_the_same_when_nobody_asks():
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(0.05), timeout_held_back(0.1):
        pass_until(threading.Event())


def test_it_is_forgotten_by_work_that_has_ended():
    late = threading.Event()
    threading.Timer(0.3, late.set).start()
    with TimeoutPosix(0.05) as timeout:
        with timeout_held_back():
            pass_until(late)
        assert signal.getsignal(signal.SIGALRM) == timeout.handle_timeout
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_where_there_is_none_nothing_changes():
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with timeout_held_back() as meet:
        meet()
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
