"""A real Livy server for tests. Its spark-submit runs shell scripts, as fast as tests want them.

Livy is brought by Maven, by its coordinates, into the ignored folder ``.tools`` once. What is real:
the server, its REST API, its names, states and logs, and that it starts and ends a process for each
batch. What is not: Spark. The program that it takes for ``spark-submit`` gives the batch's file to
a shell, with the configuration ``spark.executorEnv.NAME`` as variables. Spark's own is taken where
it is given.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from livy_sessions import session_settings
from tradewind.local.processes import bind_to_parent, free_port, spawn, wait_until

VERSION = "0.7.1-incubating"
TOOLS = Path(__file__).resolve().parent.parent / ".tools"

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tradewind.tests</groupId><artifactId>livy</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.livy</groupId><artifactId>livy-server</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>
"""

_SPARK_SUBMIT = """#!/bin/sh
if [ "$1" = --version ]; then
  echo "version 2.4.8" >&2
  echo "Using Scala version 2.11.12, Java HotSpot(TM) 64-Bit Server VM, 1.8.0" >&2
  exit 0
fi
file=
while [ $# -gt 0 ]; do
  case $1 in
    --conf)
      case $2 in spark.executorEnv.*) export "${2#spark.executorEnv.}";; esac
      shift 2;;
    --properties-file) properties=$2; shift 2;;
    --*) shift 2;;
    *) file=${1#file://}; shift; break;;
  esac
done
if [ "$file" = spark-internal ]; then
  # The driver of a session.
  set -- java $TRADEWIND_JAVA -Xmx64m -cp "$TRADEWIND_DRIVER" \
    org.apache.livy.rsc.driver.RSCDriverBootstrapper "$properties"
else
  set -- sh "$file" "$@"
fi
setsid setpriv --pdeathsig KILL "$@" &
trap 'kill -KILL -$!; exit 143' TERM
wait $!
"""

#: Livy's serializer looks into classes that Java 17 keeps to itself.
_JAVA = [
    f"--add-opens=java.base/java.{package}=ALL-UNNAMED"
    for package in ("lang", "util", "util.concurrent.atomic")
]

_LOGGING = """log4j.rootCategory=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n
"""


class LivyServer:
    """Where it is.

    Args:
        url: Its address.
        scripts: A folder whose files may be run.
    """

    def __init__(self, url: str, scripts: Path) -> None:
        self.url = url
        self.scripts = scripts
        self._number = 0

    def script(self, text: str) -> str:
        """Write a script that a batch can be made of; gives its path."""
        self._number += 1
        path = self.scripts / f"{self._number}.sh"
        path.write_text(text)
        return str(path)


@contextmanager
def livy_server(
    folder: Path,
    *,
    spark_home: str | None = None,
    allowed: Path | None = None,
    sessions: bool = False,
) -> Iterator[LivyServer]:
    """Start Livy.

    Args:
        folder: For its files.
        spark_home: Of a Spark; None for the shell that stands in.
        allowed: Folder whose files may be run, besides that of `LivyServer.script`.
        sessions: Whether it can have interactive sessions, see `livy_sessions`.
    """
    for program in ("java", "mvn", "setpriv"):
        if shutil.which(program) is None:
            pytest.skip(f"Livy needs {program}: apt-get install default-jre-headless maven")
    jars = _jars()
    port = free_port()
    scripts, spark, settings = folder / "scripts", folder / "spark" / "bin", folder / "conf"
    for path in (scripts, spark, settings, folder / "logs"):
        path.mkdir(parents=True)
    submit = spark / "spark-submit"
    submit.write_text(_SPARK_SUBMIT)
    submit.chmod(0o755)
    (settings / "log4j.properties").write_text(_LOGGING)
    for_sessions = session_settings(folder, jars, settings) if sessions else ({}, "")
    (settings / "livy.conf").write_text(
        f"livy.server.host = 127.0.0.1\nlivy.server.port = {port}\nlivy.spark.master = local\n"
        f"livy.file.local-dir-whitelist = {scripts}/,{allowed or scripts}/\n"
        f"{for_sessions[1]}"
    )
    environment = {
        **os.environ,
        "LIVY_HOME": str(folder),
        "LIVY_CONF_DIR": str(settings),
        "SPARK_HOME": spark_home or str(spark.parent),
        "TRADEWIND_JAVA": " ".join(_JAVA),
        **for_sessions[0],
    }
    command = ["java", *_JAVA, "-Xmx192m", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8"]
    command += ["-cp", f"{settings}:{jars}/*", "org.apache.livy.server.LivyServer"]
    url = f"http://127.0.0.1:{port}"
    with (folder / "livy.log").open("wb") as log:
        process = spawn(
            bind_to_parent(command),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        ready = wait_until(
            lambda: process.poll() is not None or _answers(url), seconds=60, interval=0.2
        )
        said = (folder / "livy.log").read_text(errors="replace")
        assert ready, f"Livy did not start:\n{said[-2000:]}"
        assert process.poll() is None, f"Livy ended:\n{said[-2000:]}"
        yield LivyServer(url, scripts)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/batches", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _jars() -> Path:
    """Bring Livy and what it needs, once for all test processes."""
    TOOLS.mkdir(exist_ok=True)
    home = TOOLS / f"livy-{VERSION}"
    with (TOOLS / "livy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.exists():
            return home
        making = TOOLS / "livy.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        (making / "pom.xml").write_text(_POM)
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={making}"]
        done = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=280)
        if done.returncode:
            pytest.skip(f"Maven cannot bring org.apache.livy:livy-server: {done.stdout[-300:]}")
        making.rename(home)
    return home
