"""spark-submit to YARN in cluster mode: it uploads, submits, and ends; the driver lives on YARN.

spark-submit ends with whoever has started it, also with one that is killed (on Linux alone, by
``PR_SET_PDEATHSIG``, see prctl(2)): an upload that nobody waits for comes to nothing, and a retry
never races it. What has been uploaded by then stays in Spark's staging folder
(``spark.yarn.stagingDir``).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, Queue
from typing import TYPE_CHECKING

from tradewind.errors import InputError, RetryError, SetupError

if TYPE_CHECKING:
    from tradewind.systems.spark.call import SparkCall

__all__ = ["SparkOnYarn"]

_APPLICATION = re.compile(r"Submitted application (application_\d+_\d+)")
_ASK_SECONDS = 0.2
_GRACE_SECONDS = 2.0
_KEPT_LINES = 200

# In the process that becomes spark-submit: a preexec_fn would be unsafe beside threads. The look at
# the parent's id closes the gap in which that has died before the request was made.
_BOUND = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
os.execvp(sys.argv[2], sys.argv[2:])
"""

#: What spark-submit says, and whose fault it is.
_MEANINGS: tuple[tuple[str, type[Exception], str], ...] = (
    (
        r"(FileNotFoundException|NoSuchFileException|Input path does not exist|"
        r"File does not exist)",
        InputError,
        "Name files that exist.",
    ),
    (r"unknown queue", InputError, "Correct yarn_queue."),
    (
        r"(Required (executor|AM) memory|Invalid resource request|must be (a )?(positive|> 0)|"
        r"IllegalArgumentException|Unrecognized option|NumberFormatException)",
        InputError,
        "Correct the configuration.",
    ),
    (
        r"(either HADOOP_CONF_DIR or YARN_CONF_DIR must be set)",
        SetupError,
        "Name the folder of the cluster's configuration in env_vars, or on the worker.",
    ),
    (
        r"(ConnectException|NoRouteToHost|UnknownHostException|SocketTimeoutException)",
        RetryError,
        "Check the addresses in the configuration that HADOOP_CONF_DIR names.",
    ),
    (r"(AccessControlException|Authentication|GSSException)", SetupError, "Check user and keytab."),
)


class SparkOnYarn:
    """Submits one Spark application in cluster mode.

    Args:
        call: What to submit.
    """

    def __init__(self, call: SparkCall) -> None:
        self._call = call

    def __repr__(self) -> str:
        return f"SparkOnYarn({self._call!r})"

    def words(self, tags: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """Spell the command line.

        Args:
            tags: Of the application, besides those of its properties.
            environment: Of its application master, unless its own says otherwise.
        """
        conf = self._call.conf
        given = [tag for tag in conf.get("spark.yarn.tags", "").split(",") if tag.strip()]
        more = {
            "spark.yarn.tags": ",".join([*given, *tags]),
            # It is supervised through the ResourceManager; this JVM is let go.
            "spark.yarn.submit.waitAppCompletion": "false",
            # A second attempt of YARN's own would run the work again.
            "spark.yarn.maxAppAttempts": conf.get("spark.yarn.maxAppAttempts", "1"),
        }
        for name, value in environment.items():
            key = f"spark.yarn.appMasterEnv.{name}"
            if key not in conf and name not in self._call.environment:
                more[key] = value
        return self._call.words(more)

    def submit(
        self,
        tags: Sequence[str],
        environment: Mapping[str, str],
        *,
        say: Callable[[str], None],
        give_up: Callable[[], bool],
    ) -> str | None:
        """Run spark-submit to its end; see `tradewind.systems.yarn.backend.YarnWork`."""
        self._call.check()
        command = [sys.executable, "-I", "-c", _BOUND, str(os.getpid())]
        process = subprocess.Popen(
            command + self.words(tags, environment),
            env={**os.environ, **self._call.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        lines: Queue[str | None] = Queue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        said: deque[str] = deque(maxlen=_KEPT_LINES)
        application: str | None = None
        try:
            while True:
                try:
                    line = lines.get(timeout=_ASK_SECONDS)
                except Empty:
                    if give_up():
                        raise RetryError(
                            f"Spark at {self._call.master}: spark-submit was ended while it was "
                            "submitting, since its task is to end."
                        ) from None
                    continue
                if line is None:
                    break
                said.append(line)
                if match := _APPLICATION.search(line):
                    application = match[1]
                say(line)
            code = process.wait()
        finally:
            _end(process)
            reader.join(_GRACE_SECONDS)
        if code:
            raise self._error(code, said)
        return application

    def _error(self, code: int, said: Sequence[str]) -> Exception:
        causes = [line.strip() for line in said if re.search(r"(Exception|Error)\b.*: ", line)]
        last = causes[-1] if causes else next((line for line in reversed(said) if line.strip()), "")
        text = f"Spark at {self._call.master}: spark-submit ended with exit status {code}: "
        text += f"{last[:1000].rstrip('.')}."
        for pattern, kind, remedy in _MEANINGS:
            if any(re.search(pattern, line) for line in (*causes, last)):
                return kind(f"{text} {remedy}")
        return SetupError(f"{text} Its log says more.")


def _read(process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line.rstrip("\n"))
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
