"""Drivers in a Spark standalone cluster, as work of the process backend.

A submitter of this machine, detached like any of its work, asks the master's REST API for the
driver, copies its log and ends as it ends (`tradewind.systems.spark.submitter`, which
says what the claim is worth). The job folder is the claim; removing the job kills the driver.

A Python application is no driver for this API, so that is ``SparkSubmit`` in the driver's place,
which starts the application as a child of its own. Killing the driver ends its JVM alone. So the
child is started by bash, which asks the kernel (``setpriv --pdeathsig``, see prctl(2)) for it to
end with that JVM. bash reads what to do from ``BASH_ENV``, since nothing but variables can be
brought to the worker's machine.
"""

from __future__ import annotations

import inspect
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError
from tradewind.systems.process.backend import Command
from tradewind.systems.spark import submitter as _standalone_submitter

if TYPE_CHECKING:
    from tradewind.systems.spark.call import SparkCall

__all__ = ["cluster_command", "read_properties"]

_SUBMIT_CLASS = "org.apache.spark.deploy.SparkSubmit"
_PATIENCE_SECONDS = 900.0

#: How Spark's properties are called that spark-submit has options for.
_PROPERTIES = {
    "name": "spark.app.name",
    "files": "spark.files",
    "archives": "spark.archives",
    "jars": "spark.jars",
    "py-files": "spark.submit.pyFiles",
    "driver-class-path": "spark.driver.extraClassPath",
    "driver-memory": "spark.driver.memory",
    "packages": "spark.jars.packages",
    "exclude-packages": "spark.jars.excludes",
    "repositories": "spark.jars.repositories",
    "num-executors": "spark.executor.instances",
    "total-executor-cores": "spark.cores.max",
    "executor-cores": "spark.executor.cores",
    "executor-memory": "spark.executor.memory",
    "keytab": "spark.kerberos.keytab",
    "principal": "spark.kerberos.principal",
}

# bash expands BASH_ENV, reads the file that it names, and would then read the application, which is
# no shell script: so it has to end before, whatever happens.
_BASH_ENV = r"""$(
file=$(mktemp) && printf '%s\n' '
rm -f -- "${BASH_SOURCE[0]}"
python=$TRADEWIND_PYTHON
unset BASH_ENV TRADEWIND_PYTHON
if setpriv --pdeathsig KILL true 2>/dev/null; then
  exec setpriv --pdeathsig KILL "$python" "$0" "$@"
fi
exec "$python" "$0" "$@"
exit 127
' > "$file" && echo "$file" || kill -KILL $$
)"""


def cluster_command(submit: SparkCall) -> Command:
    """Make the work that runs and supervises a driver in a standalone cluster.

    Args:
        submit: What to submit; its master begins with ``spark://``.

    Raises:
        InputError: It can never run there.
    """
    hosts = [
        _host(address) for address in submit.master.removeprefix("spark://").split(",") if address
    ]
    request = {
        "rest": [f"{submit.rest_scheme}://{host}:{submit.rest_port}" for host in hosts],
        "pages": [f"{submit.rest_scheme}://{host}:{submit.ui_port}" for host in hosts],
        "create": _create(submit),
        "poll": max(0.1, submit.poll_seconds),
        "patience": _PATIENCE_SECONDS,
    }
    program = shlex.quote(sys.executable)
    script = (
        "umask 077\n"
        "program=${TRADEWIND_RESULT%/result}/submitter.py\n"
        f"cat > \"$program\" <<'TRADEWIND-END'\n{_program()}\nTRADEWIND-END\n"
        f"exec {program} -I \"$program\" run <<'TRADEWIND-END'\n"
        f"{json.dumps(request)}\nTRADEWIND-END"
    )
    undo = (
        "program=${TRADEWIND_RESULT%/result}/submitter.py\n"
        f'[ ! -e "$program" ] || exec {program} -I "$program" undo'
    )
    return Command(script, undo=undo)


def _program() -> str:
    return inspect.getsource(_standalone_submitter)


def _host(address: str) -> str:
    return address.strip().rpartition(":")[0] or address.strip()


def _create(submit: SparkCall) -> dict[str, Any]:
    options = {name: value for name, value in submit.options.items() if value not in (None, "")}
    if options.get("proxy-user"):
        raise InputError(
            f"Spark at {submit.master}: a standalone cluster runs drivers as nobody else, so "
            "proxy_user has no meaning in cluster mode. Leave it out, or use client mode."
        )
    properties: dict[str, str] = {}
    if options.get("properties-file"):
        properties |= read_properties(str(options["properties-file"]))
    properties |= {
        name: str(options[option]) for option, name in _PROPERTIES.items() if option in options
    }
    properties |= submit.conf
    python = submit.application.endswith(".py")
    if not python:
        if not options.get("class"):
            raise InputError(
                f"Spark at {submit.master}: the REST API does not look into {submit.application} "
                "for its main class. Name it as java_class."
            )
        jars = [properties.get("spark.jars", ""), submit.application]
        properties["spark.jars"] = ",".join(filter(None, jars))
    environment = {"SPARK_ENV_LOADED": "1", **submit.environment}
    arguments = list(submit.arguments)
    if python:
        arguments, environment = _python(submit, properties, environment)
    properties |= {"spark.master": submit.master, "spark.submit.deployMode": "cluster"}
    return {
        "action": "CreateSubmissionRequest",
        "appResource": "" if python else submit.application,
        "mainClass": _SUBMIT_CLASS if python else str(options["class"]),
        "appArgs": arguments,
        "clientSparkVersion": "3.5.0",
        "environmentVariables": environment,
        "sparkProperties": properties,
    }


def _python(
    submit: SparkCall, properties: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    interpreter = (
        properties.get("spark.pyspark.driver.python")
        or properties.get("spark.pyspark.python")
        or environment.get("PYSPARK_DRIVER_PYTHON")
        or environment.get("PYSPARK_PYTHON")
        or "python3"
    )
    inner = {
        **properties,
        "spark.master": submit.master,
        "spark.submit.deployMode": "client",
        "spark.pyspark.driver.python": "bash",
    }
    words = [word for pair in inner.items() for word in ("--conf", "=".join(pair))]
    if submit.verbose:
        words.append("--verbose")
    words += [submit.application, *submit.arguments]
    return words, {**environment, "BASH_ENV": _BASH_ENV, "TRADEWIND_PYTHON": interpreter}


def read_properties(path: str) -> dict[str, str]:
    """Read a file of properties as Spark writes them: a name, blanks or ``=``, a value.

    Args:
        path: On this machine. Lines that end with a backslash go on in the next one.

    Raises:
        InputError: It cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Spark: the properties_file {path} cannot be read: {error}. Name a file that the "
            "worker can read."
        ) from error
    found: dict[str, str] = {}
    for line in text.replace("\\\n", "").splitlines():
        line = line.strip()
        if not line or line[0] in "#!":
            continue
        name = line.replace("=", " ", 1).replace(":", " ", 1).split(None, 1)[0]
        found[name] = line[len(name) :].strip().removeprefix("=").removeprefix(":").strip()
    return found
