"""Interactive sessions for the real Livy of the tests, with an interpreter that stands in.

A session's driver and interpreters are in livy-repl, which no registry of packages has, and need a
Spark 2. What is real: the server with its REST API, names, states and statements, and the driver's
half of its protocol (livy-rsc). What is not: Spark, and the driver's other half, which numbers
statements and gives them to an interpreter: ``tests/java``, compiled by Eclipse's compiler, which
Maven brings. The interpreter is a Python process that runs one statement after the other.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tradewind.local.processes import free_port

__all__ = ["session_settings"]

SOURCES = Path(__file__).resolve().parent / "java"

_INTERPRETER = """
import ast, base64, contextlib, io, json, sys, traceback
variables = {}
for line in sys.stdin:
    written = io.StringIO()
    try:
        with contextlib.redirect_stdout(written):
            for node in ast.parse(base64.b64decode(line).decode()).body:
                exec(compile(ast.Module([node], []), "<stdin>", "exec"), variables)
        output = {"status": "ok", "data": {"text/plain": written.getvalue().rstrip("\\n")}}
        if "json" in variables:  # as the line %json json has it
            output["data"] = {"application/json": variables["json"]}
    except Exception as error:
        output = {"status": "error", "ename": type(error).__name__, "evalue": str(error)}
        output["traceback"] = traceback.format_exc().splitlines(keepends=True)
    print(json.dumps(output), flush=True)
"""

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tradewind.tests</groupId><artifactId>compiler</artifactId><version>1</version>
<dependencies><dependency><groupId>org.eclipse.jdt</groupId><artifactId>ecj</artifactId>
<version>3.33.0</version></dependency></dependencies></project>
"""


def session_settings(home: Path, jars: Path, settings: Path) -> tuple[dict[str, str], str]:
    """Prepare a Livy for sessions.

    Args:
        home: Its LIVY_HOME.
        jars: Where Livy's jars are.
        settings: Folder of its configuration.

    Returns:
        What its environment and its configuration have for that.
    """
    driver = _driver(jars)
    for name, jar in (("rsc-jars", next(jars.glob("livy-rsc-*.jar"))), ("repl_2.11-jars", driver)):
        (home / name).mkdir()
        (home / name / jar.name).symlink_to(jar)
    port = free_port()
    environment = {
        "TRADEWIND_DRIVER": f"{settings}:{driver}:{jars}/*",
        "TRADEWIND_INTERPRETER": sys.executable,
        "TRADEWIND_INTERPRETER_PROGRAM": _INTERPRETER,
    }
    ports = f"livy.rsc.launcher.port.range = {port}~{port + 50}\n"
    return environment, f"livy.rsc.rpc.server.address = 127.0.0.1\n{ports}"


def _driver(jars: Path) -> Path:
    """Compile the driver, once for all test processes."""
    sources = sorted(SOURCES.rglob("*.java"))
    newest = max(int(path.stat().st_mtime) for path in sources)
    made = jars.parent / "livy-driver" / f"driver-{newest}.jar"
    made.parent.mkdir(exist_ok=True)
    with (made.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return made
        making = made.parent / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        (making / "pom.xml").write_text(_POM)
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={making}"]
        done = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=280)
        if done.returncode:
            pytest.skip(f"Maven cannot bring org.eclipse.jdt:ecj: {done.stdout[-300:]}")
        classes = making / "classes"
        (compiler,) = making.glob("ecj-*.jar")
        command = ["java", "-jar", str(compiler), "-source", "11", "-target", "11", "-nowarn"]
        command += ["-cp", ":".join(map(str, jars.glob("*.jar"))), "-d", str(classes)]
        done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        archive = making / made.name
        with zipfile.ZipFile(archive, "w") as jar:
            for path in sorted(classes.rglob("*.class")):
                jar.write(path, str(path.relative_to(classes)))
        archive.rename(made)
    return made
