"""Hadoop's mini cluster for tests: a real ResourceManager, NodeManager and log server, on loopback.

Hadoop is brought by Maven, by its coordinates, into the ignored folder ``.tools`` once. What is
real: YARN with its REST API, tags, queues, containers, logs and their aggregation, in one JVM. What
is local: the file system, in the place of HDFS.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spark_cluster import JAVA_OPTIONS
from tradewind.errors import InputError
from tradewind.local.processes import bind_to_parent, free_port, spawn, wait_until

VERSION = "3.5.0"
TOOLS = Path(__file__).resolve().parent.parent / ".tools"
SOURCES = Path(__file__).with_name("yarn")

_COORDINATES = (
    ("org.apache.hadoop", "hadoop-client-minicluster", VERSION),
    # All by name, none by what another one asks for: Hadoop's client jars hold what those ask for.
    ("org.junit.jupiter", "junit-jupiter-api", "5.13.4"),
    ("org.bouncycastle", "bcpkix-jdk18on", "1.82"),
    ("org.bouncycastle", "bcprov-jdk18on", "1.82"),
    ("org.bouncycastle", "bcutil-jdk18on", "1.82"),
    ("org.opentest4j", "opentest4j", "1.3.0"),
    ("org.slf4j", "slf4j-api", "1.7.36"),
    ("org.slf4j", "slf4j-reload4j", "1.7.36"),
    ("ch.qos.reload4j", "reload4j", "1.2.19"),
    ("commons-logging", "commons-logging", "1.3.0"),
    ("org.apache.hadoop", "hadoop-client-api", VERSION),
    ("org.apache.hadoop", "hadoop-client-runtime", VERSION),
)
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tradewind.tests</groupId><artifactId>yarn</artifactId><version>1</version>
<dependencies>{}</dependencies></project>
"""
_DEPENDENCY = """<dependency><groupId>{}</groupId><artifactId>{}</artifactId>
<version>{}</version><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>
</exclusions></dependency>
"""
_LOGGING = """log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n
"""


@dataclass(frozen=True)
class YarnCluster:
    """Where it is.

    Args:
        url: Of the ResourceManager's REST API.
        conf: Folder that ``HADOOP_CONF_DIR`` may name.
        scheduler: Where application masters register.
        folder: For what tests upload.
        jars: Of Hadoop.
        classes: Of `ShellMaster`.
    """

    url: str
    conf: Path
    scheduler: str
    folder: Path
    jars: Path
    classes: Path

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the ResourceManager."""
        request = urllib.request.Request(
            f"{self.url}/ws/v1/cluster{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def applications(self, tag: str = "tradewind") -> list[dict[str, Any]]:
        """List applications that have a tag."""
        return list((self.ask("GET", f"/apps?applicationTags={tag}")["apps"] or {}).get("app", []))

    def running(self) -> list[str]:
        """List applications of Tradewind that have not ended."""
        ended = ("FINISHED", "FAILED", "KILLED")
        return [one["id"] for one in self.applications() if one["state"] not in ended]


@dataclass(frozen=True)
class ShellApplication:
    """Work for YARN: a shell script, run by an application master of the tests' own.

    It is submitted through the REST API, so that no Spark is needed: quick, and as real as any
    application for what the backend sees of it.

    Args:
        cluster: Where.
        script: What.
        environment: Variables that it finds.
        queue: Where it waits.
    """

    cluster: YarnCluster
    script: str
    environment: Mapping[str, str]
    queue: str = "default"

    def submit(
        self,
        tags: Sequence[str],
        environment: Mapping[str, str],
        *,
        say: Callable[[str], None],
        give_up: Callable[[], bool],
    ) -> str | None:
        told = self.cluster.ask("POST", "/apps/new-application")
        exports = "".join(
            f"export {name}={_quoted(value)}\n" for name, value in self.environment.items()
        )
        script = base64.b64encode((exports + self.script).encode()).decode()
        command = (
            f"exec {_java()} {JAVA_OPTIONS} -Xmx96m "
            f"-Dlog4j.configuration=file:{self.cluster.folder}/silent.properties "
            f"-cp '{self.cluster.classes}:{self.cluster.jars}/*' "
            f"ShellMaster {self.cluster.scheduler} {script} "
            "1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"
        )
        entries = [{"key": name, "value": value} for name, value in environment.items()]
        request = {
            "application-id": told["application-id"],
            "application-name": "a shell script",
            "application-type": "TEST",
            "queue": self.queue,
            "max-app-attempts": 1,
            "application-tags": {"tag": list(tags)},
            "resource": {"memory": 128, "vCores": 1},
            "am-container-spec": {
                "commands": {"command": command},
                "environment": {"entry": entries},
            },
        }
        try:
            self.cluster.ask("POST", "/apps", request)
        except urllib.error.HTTPError as error:
            with error:
                raise InputError(f"YARN refuses it: {error.read()!r}") from error
        return str(told["application-id"])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _java() -> str:
    found = shutil.which("java")
    assert found is not None
    return found


@contextmanager
def yarn_cluster(folder: Path, *, history: bool = True) -> Iterator[YarnCluster]:
    """Start it.

    Args:
        folder: For its files.
        history: Whether there is a server that shows aggregated logs; else none are aggregated.
    """
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"YARN needs {program}: apt-get install default-jdk-headless maven")
    jars = _jars()
    conf, classes = folder / "conf", folder / "classes"
    for path in (conf, classes, folder / "home"):
        path.mkdir(parents=True)
    _compile(jars, classes)
    (folder / "log4j.properties").write_text(_LOGGING)
    (folder / "silent.properties").write_text(_LOGGING.replace("WARN", "OFF"))
    settings = {
        "yarn.scheduler.minimum-allocation-mb": "64",
        "yarn.scheduler.capacity.root.queues": "default,small",
        "yarn.scheduler.capacity.root.default.capacity": "90",
        "yarn.scheduler.capacity.root.default.maximum-capacity": "100",
        "yarn.scheduler.capacity.root.small.capacity": "10",
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1",
        "yarn.minicluster.yarn.nodemanager.resource.memory-mb": "8192",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.pmem-check-enabled": "false",
        # A disk that is nearly full is no reason here.
        "yarn.nodemanager.disk-health-checker.enable": "false",
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "100",
        "yarn.log-aggregation-enable": str(history).lower(),
        "yarn.nodemanager.remote-app-log-dir": str(folder / "aggregated"),
        "hadoop.tmp.dir": str(folder / "tmp"),
    }
    if history:
        address = f"127.0.0.1:{free_port()}"
        settings["yarn.log.server.web-service.url"] = f"http://{address}/ws/v1/applicationhistory"
        settings["yarn.timeline-service.webapp.address"] = address
        settings["yarn.timeline-service.address"] = f"127.0.0.1:{free_port()}"
    command = [_java(), "-Xmx320m", *JAVA_OPTIONS.split(), f"-Duser.home={folder / 'home'}"]
    command += [f"-Dlog4j.configuration=file:{folder / 'log4j.properties'}"]
    command += ["-cp", f"{classes}:{jars}/*", "MiniYarn", str(conf), str(history).lower()]
    for name, value in settings.items():
        command += [name, value]
    with (folder / "yarn.log").open("wb") as log:
        process = spawn(
            bind_to_parent(command),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        site = conf / "yarn-site.xml"
        wait_until(lambda: process.poll() is not None or site.exists(), seconds=120, interval=0.2)
        said = (folder / "yarn.log").read_text(errors="replace")
        assert site.exists(), f"YARN did not start:\n{said[-4000:]}"
        found = _settings(site)
        yield YarnCluster(
            f"http://{found['yarn.resourcemanager.webapp.address']}",
            conf,
            found["yarn.resourcemanager.scheduler.address"],
            folder,
            jars,
            classes,
        )
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _settings(site: Path) -> dict[str, str]:
    import re

    text = site.read_text()
    return dict(re.findall(r"<name>([^<]*)</name><value>([^<]*)</value>", text))


def _compile(jars: Path, classes: Path) -> None:
    sources = sorted(map(str, SOURCES.glob("*.java")))
    done = subprocess.run(
        ["javac", "-nowarn", "-proc:none", "-d", str(classes), "-cp", f"{jars}/*", *sources],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _jars() -> Path:
    """Bring Hadoop, once for all test processes."""
    TOOLS.mkdir(exist_ok=True)
    pom = _POM.format("".join(_DEPENDENCY.format(*one) for one in _COORDINATES))
    home = TOOLS / f"yarn-{VERSION}-{hashlib.sha256(pom.encode()).hexdigest()[:8]}"
    with (TOOLS / "yarn.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.exists():
            return home
        making = TOOLS / "yarn.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        (making / "pom.xml").write_text(pom)
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={making}"]
        done = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=280)
        if done.returncode:
            pytest.skip(f"Maven cannot bring Hadoop's mini cluster: {done.stdout[-300:]}")
        making.rename(home)
    return home
