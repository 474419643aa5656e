"""Supervises one driver of a Spark standalone cluster, as work of the process backend.

A program of its own, of the standard library alone: `tradewind.systems.spark.standalone` copies it
into the job folder, so that it is there for as long as its job is, whatever is installed then::

    python submitter.py run < request     submits, copies the driver's log, ends as that ends
    python submitter.py undo              kills the driver that ``run`` has, or may have, asked for

The master hands out ids of its own making and knows no names. So what is about to be asked is noted
in the job folder before (which drivers there were, and a mark that the new one will carry), and the
id after. Whoever finds a note without an id looks for the mark, which the worker writes into the
head of the driver's log. A driver that waits for a worker has no log yet: whether it is this job's
cannot be told then, and ``undo`` says so rather than kill somebody else's.

Protocol: https://spark.apache.org/docs/latest/spark-standalone.html#rest-api, and what a master and
a worker of Spark 4.3 answer: ``/json/`` of the master's page, ``/log/`` of the worker's.

Over 400 lines: one program that is copied as one file.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

MARK = "spark.tradewind.mark"
#: A line of the driver's stdout that begins so is its result: the worker's files are out of reach.
RESULT = "TRADEWIND_RESULT="

_ENDED = ("FINISHED", "FAILED", "KILLED", "ERROR")
_ANSWER_SECONDS = 10
_UNDO_SECONDS = 30
_STOP_SECONDS = 4
_FIND_SECONDS = 10
#: A worker's page gives a megabyte at most.
_CHUNK = 1 << 19
_HEAD = re.compile(rb"==== Bytes (\d+)-(\d+) of (\d+) of [^\n]* ====\n")
_TOLD = ("TRADEWIND_", "AIRFLOW_CTX_")


class UnreachableError(Exception):
    """No master answers."""


class RefusedError(Exception):
    """A master says no."""


class AnswerLostError(Exception):
    """A master was asked, and nobody knows whether it did it."""


def fetch(url: str, body: Any = None, *, post: bool = False) -> bytes:
    """Ask once; an answer that says what is wrong is an answer too.

    Raises:
        OSError: Nothing answers.
    """
    data = b"" if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(
        url,
        method="POST" if post else "GET",
        data=data if post else None,
        headers={"Content-Type": "application/json;charset=UTF-8"} if post else {},
    )
    try:
        with urllib.request.urlopen(asked, timeout=_ANSWER_SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.read()


class Master:
    """The masters of a cluster, of which one is alive.

    Args:
        rest: Where their REST servers are.
        pages: Where their pages are.
    """

    def __init__(self, rest: list[str], pages: list[str]) -> None:
        self.rest = rest
        self.pages = pages

    def create(self, request: dict[str, Any]) -> str:
        """Submit; gives the driver's id."""
        trouble: Exception = UnreachableError("no master is named")
        for base in self.rest:
            url = f"{base}/v1/submissions/create"
            try:
                answered = fetch(url, request, post=True)
            except urllib.error.URLError as error:
                # The connection did not come to stand, or broke before all was sent.
                if isinstance(error.reason, ConnectionRefusedError) or "resolve" in str(error):
                    trouble = UnreachableError(f"{base} cannot be reached ({error.reason})")
                    continue
                raise AnswerLostError(f"{base}: {error.reason}") from error
            except OSError as error:
                raise AnswerLostError(f"{base}: {error}") from error
            told = _json(answered, url)
            if told.get("success"):
                return str(told["submissionId"])
            said = str(told.get("message") or told)[:600].split("\n")[0]
            trouble = RefusedError(f"{base} refuses it: {said}")
            if "STANDBY" not in said.upper() and "RECOVERING" not in said.upper():
                raise trouble
        raise trouble

    def status(self, driver: str) -> dict[str, Any]:
        """Tell of a driver; ``success`` is false where no master knows it.

        Raises:
            UnreachableError: No master answers, or none is alive.
        """
        return self._first("status", driver, post=False)

    def kill(self, driver: str) -> None:
        """Ask for its end."""
        self._first("kill", driver, post=True)

    def _first(self, verb: str, driver: str, *, post: bool) -> dict[str, Any]:
        """Take the answer of the one that is alive: those that stand by know nothing."""
        unknown: dict[str, Any] | None = None
        trouble = "no master is named"
        for base in self.rest:
            url = f"{base}/v1/submissions/{verb}/{driver}"
            try:
                told = _json(fetch(url, post=post), url)
            except (OSError, RefusedError) as error:
                trouble = f"{base}: {getattr(error, 'reason', error)}"
                continue
            if told.get("success"):
                return told
            said = str(told.get("message", ""))
            if "STANDBY" in said.upper() or "RECOVERING" in said.upper():
                trouble = f"{base}: {said}"
                continue
            unknown = told
        if unknown is None:
            raise UnreachableError(trouble)
        return unknown

    def page(self) -> dict[str, Any] | None:
        """Read the page of the one that is alive as JSON; None where there is none."""
        for base in self.pages:
            try:
                told = json.loads(fetch(f"{base}/json/"))
            except (OSError, ValueError):
                continue
            if isinstance(told, dict) and told.get("status") == "ALIVE":
                return told
        return None


def _json(answered: bytes, url: str) -> dict[str, Any]:
    try:
        told = json.loads(answered)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "action" not in told:
        raise RefusedError(f"{url} is not the REST server of a Spark master")
    return told


def drivers(page: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """List the drivers of a master's page by id."""
    return {one["id"]: one for one in (*page["activedrivers"], *page["completeddrivers"])}


def worker_page(page: dict[str, Any], worker: str) -> str | None:
    """Tell where a worker's page is."""
    return next((one["webuiaddress"] for one in page["workers"] if one["id"] == worker), None)


def read_log(worker: str, driver: str, kind: str, start: int, size: int) -> tuple[int, bytes]:
    """Read a piece of a driver's log from its worker; gives how long the whole log is too."""
    asked = {"driverId": driver, "logType": kind, "offset": start, "byteLength": size}
    answered = fetch(f"{worker}/log/?{urllib.parse.urlencode(asked)}")
    match = _HEAD.match(answered)
    if match is None:
        raise OSError(f"{worker} shows no log of {driver}")
    first, last, whole = (int(group) for group in match.groups())
    text = answered[match.end() :]
    # Past the end it gives the last bytes instead.
    if first != start:
        return whole, b""
    return whole, text if last > first else b""


# ------------------------------------------------------------------------------------------- notes


class Notes:
    """What is noted in the job folder: where the master is, what was asked for, what came of it.

    Args:
        folder: The job folder.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "driver")

    def read(self) -> dict[str, Any] | None:
        """Read what is known of the driver."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return dict(json.load(file))
        except FileNotFoundError:
            return None

    def write(self, **known: Any) -> None:
        """Write what is known of the driver, at once."""
        with open(f"{self.path}.new", "w", encoding="utf-8") as file:
            json.dump(known, file)
        os.replace(f"{self.path}.new", self.path)


def find_marked(
    master: Master, note: dict[str, Any], seconds: float
) -> tuple[str | None, list[str]]:
    """Look for the driver that carries a mark.

    Returns:
        Its id, if it is there; and the drivers of which it cannot be told now.

    Raises:
        UnreachableError: The master's page cannot be read, or not before it was asked.
    """
    end = time.monotonic() + seconds
    while True:
        page = master.page()
        if page is None or note["before"] is None:
            where = ", ".join(master.pages)
            raise UnreachableError(f"the master's page {where} cannot be read to look for it")
        open_questions = []
        for driver, one in drivers(page).items():
            if driver in note["before"]:
                continue
            address = worker_page(page, str(one.get("worker")))
            head = b""
            if address is not None:
                try:
                    head = read_log(address, driver, "stderr", 0, _CHUNK)[1]
                except OSError:
                    head = b""
            if f"{MARK}={note['mark']}".encode() in head:
                return driver, []
            if not head and one["state"] not in _ENDED:
                open_questions.append(driver)
        if time.monotonic() > end:
            return None, open_questions
        time.sleep(0.5)


# --------------------------------------------------------------------------------------------- run


class Run:
    """One driver from its submission to its end.

    Args:
        request: ``rest``, ``pages``, ``create``, ``poll`` (seconds), ``patience`` (seconds).
        folder: The job folder.
    """

    def __init__(self, request: dict[str, Any], folder: str) -> None:
        self.request = request
        self.folder = folder
        self.master = Master(request["rest"], request["pages"])
        self.notes = Notes(folder)
        self.stopped = False
        self.worker: tuple[str, str] | None = None
        self.read_to = {"stdout": 0, "stderr": 0}
        self.headless = True
        self.told_of_log = False

    def stop(self, *_: Any) -> None:
        """Note that it is to end: what is being asked for now is waited for."""
        self.stopped = True

    def say(self, text: str) -> None:
        """Write a line into the job's log."""
        sys.stdout.buffer.write(f"{text}\n".encode())
        sys.stdout.buffer.flush()

    def fail(self, reason: str, code: int = 1) -> int:
        """Leave the reason where the backend finds it."""
        line = " ".join(reason.split())
        self.say(line)
        with open(os.path.join(self.folder, "reason"), "w", encoding="utf-8") as file:
            file.write(f"{line}\n")
        return code

    def run(self) -> int:
        """Submit the driver, or go on with the one that runs, until it has ended."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        rest = ", ".join(self.master.rest)
        page = self.master.page()
        if page is None:
            self.say(
                f"Spark: the master's page {', '.join(self.master.pages)} cannot be read, so the "
                "driver's log is not shown here. Correct the connection's ui-port."
            )
        note = {
            "rest": self.master.rest,
            "pages": self.master.pages,
            "mark": uuid.uuid4().hex,
            "before": None if page is None else sorted(drivers(page)),
            "id": None,
        }
        create = self.request["create"]
        create["sparkProperties"][MARK] = note["mark"]
        for name, value in os.environ.items():
            if name.startswith(_TOLD) and name != "TRADEWIND_RESULT":
                create["environmentVariables"].setdefault(name, value)
        self.notes.write(**note)
        if self.stopped:
            return 143
        try:
            driver = self.master.create(create)
        except UnreachableError as error:
            return self.fail(
                f"Spark: {error}. Start the master with spark.master.rest.enabled=true, or correct "
                "host and rest-port of the connection."
            )
        except RefusedError as error:
            return self.fail(f"Spark: {error}.")
        except AnswerLostError as error:
            try:
                found = find_marked(self.master, note, _FIND_SECONDS)[0]
            except UnreachableError as blind:
                return self.fail(f"Spark: {error}; whether it has taken the driver: {blind}.")
            if found is None:
                return self.fail(f"Spark: {error}. Whether it has taken the driver is not known.")
            driver = found
        self.notes.write(**{**note, "id": driver})
        self.say(f"Spark: {rest}: the driver is {driver}")
        return self.supervise(driver)

    def supervise(self, driver: str) -> int:
        """Follow the driver until it has ended, and return its exit status."""
        trouble_since: float | None = None
        seen = None
        while True:
            if self.stopped:
                return self.end(driver)
            try:
                told = self.master.status(driver)
            except UnreachableError as error:
                now = time.monotonic()
                trouble_since = trouble_since or now
                if now - trouble_since > self.request["patience"]:
                    return self.fail(f"Spark: {error}, for {self.request['patience']:.0f} s.")
                self.rest(self.request["poll"])
                continue
            trouble_since = None
            state = str(told.get("driverState", "NOT_FOUND"))
            if state != seen:
                self.say(f"Spark: {driver} is {state}")
                seen = state
            self.copy_log(driver, told.get("workerId"), whole=state in _ENDED)
            if state == "FINISHED":
                return 0
            if state in _ENDED:
                message = str(told.get("message") or "").strip()
                said = f": {message[:2000]}" if message else "; its log may say why"
                return self.fail(f"{driver} is {state}{said}", 137 if state == "KILLED" else 1)
            if state == "NOT_FOUND":
                return self.fail(f"Spark: no master knows {driver} any more: it was started anew")
            self.rest(self.request["poll"])

    def rest(self, seconds: float) -> None:
        """Wait, but not when it is to end."""
        end = time.monotonic() + seconds
        while not self.stopped and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def end(self, driver: str) -> int:
        """Kill the driver, and return the exit status of a cancelled job."""
        try:
            kill(self.master, driver, _STOP_SECONDS)
        except UnreachableError as error:
            self.say(f"Spark: {error}")
        return 143

    # ----------------------------------------------------------------------------------------- log

    def copy_log(self, driver: str, worker: Any, *, whole: bool) -> None:
        """Copy the driver's log from its worker to ours, from where it was left."""
        if not isinstance(worker, str):
            return
        if self.worker is None or self.worker[0] != worker:
            page = self.master.page()
            address = None if page is None else worker_page(page, worker)
            if address is None:
                return
            self.worker = (worker, address)
        try:
            quiet = 0
            while quiet < (2 if whole else 1):
                # The worker may still be writing what the driver has said at its end.
                time.sleep(0.2 * quiet)
                quiet += 1
                for kind in self.read_to:
                    while self.copy_piece(self.worker[1], driver, kind, whole=quiet == 2):
                        quiet = 0
        except OSError as error:
            if not self.told_of_log:
                self.told_of_log = True
                self.say(f"Spark: the driver's log cannot be read from {self.worker[1]}: {error}")

    def copy_piece(self, worker: str, driver: str, kind: str, *, whole: bool) -> bool:
        """Copy whole lines; whether there were any. At the end the last one needs no line end."""
        start = self.read_to[kind]
        length, text = read_log(worker, driver, kind, start, _CHUNK)
        cut = text.rfind(b"\n") + 1
        asked = min(_CHUNK, length - start)
        if not text or (not cut and not whole and asked < _CHUNK):
            return False
        if cut and b"\xef\xbf\xbd" not in text[:cut]:
            taken, size = text[:cut], cut
        else:
            # Of a page, which is text: a byte that is no UTF-8 has become three.
            taken, size = text, asked
        self.read_to[kind] = start + size
        for line in taken.decode(errors="replace").removesuffix("\n").split("\n"):
            self.write_line(kind, line)
        return True

    def write_line(self, kind: str, line: str) -> None:
        """Write a line of the driver into the job's log, without its secrets."""
        if kind == "stderr" and self.headless:
            # The command that started it has all of its properties in it.
            if line.startswith(("Launch Command: ", "====")) or not line:
                return
            self.headless = False
        if kind == "stdout" and line.startswith(RESULT):
            path = os.path.join(self.folder, "result")
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(line.removeprefix(RESULT))
            os.replace(f"{path}.new", path)
            return
        self.say(line)


def kill(master: Master, driver: str, seconds: float) -> bool:
    """Kill a driver and wait for its end; whether it has ended by then."""
    master.kill(driver)
    end = time.monotonic() + seconds
    while True:
        told = master.status(driver)
        if not told.get("success") or told.get("driverState") in (*_ENDED, "NOT_FOUND"):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.2)


def undo(folder: str) -> int:
    """Leave no driver of this job; prints why that cannot be done now."""
    note = Notes(folder).read()
    if note is None:
        return 0  # nothing was asked for
    master = Master(note["rest"], note["pages"])
    driver = note["id"]
    try:
        if driver is None:
            driver, unknown = find_marked(master, note, 1.0)
            if driver is None and unknown:
                print(
                    f"Spark at {', '.join(master.rest)}: one of the drivers {', '.join(unknown)} "
                    "may be this job's, which cannot be told before it has started. Kill it by "
                    "hand, or try again then."
                )
                return 1
            if driver is None:
                return 0
        told = master.status(driver)
        if told.get("driverState", "NOT_FOUND") in (*_ENDED, "NOT_FOUND"):
            return 0
        if kill(master, driver, _UNDO_SECONDS):
            return 0
        print(f"Spark at {', '.join(master.rest)}: {driver} does not end. Kill it by hand.")
    except UnreachableError as error:
        print(f"Spark: {error}. Try again when it is back.")
    return 1


def main() -> int:
    """Run as the module says."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.argv[1:] == ["undo"]:
        return undo(folder)
    return Run(json.load(sys.stdin), folder).run()


if __name__ == "__main__":
    sys.exit(main())
