"""`tradewind sweep` as it is typed, beside a real Airflow's metadata database.

Over 400 lines: one command; its cases share an Airflow, which takes seconds to start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_runs import airflow_environment, make_home
from busybox import IMAGE, busybox_root
from container_engine import docker_engine
from job_server import job_server
from livy_server import livy_server
from mysql_client import need_mysql_client
from ssh_server import ssh_server
from tradewind.local import Systems
from tradewind.local.processes import wait_until
from tradewind.owner import Owner
from tradewind.run.backend import Backend, JobState
from tradewind.systems.docker.backend import Container, DockerBackend, Engine
from tradewind.systems.files.store import FileStore
from tradewind.systems.http.backend import JobApi, RestConnection, RestJob, RestJobBackend
from tradewind.systems.livy.backend import LivyBackend
from tradewind.systems.process.backend import Command, ProcessBackend
from tradewind.systems.ssh.backend import SSHBackend, SSHConnection

TRADEWIND = [sys.executable, "-m", "tradewind.cli", "sweep"]
DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("swept", schedule=None):
    EmptyOperator(task_id="ended")
    EmptyOperator(task_id="waiting", retries=2)
    EmptyOperator(task_id="cleared", retries=1)
    EmptyOperator(task_id="running")
"""
#: Makes the run by Airflow itself, then puts its tasks into the states that the tests want.
SEED = """
import sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
import json
from airflow.models.taskinstance import TaskInstance
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import update

folder = sys.argv[1]
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
run = bag.dags["swept"].test()
states = {"waiting": ("up_for_retry", 2), "cleared": ("running", 3), "running": ("running", 0)}
drawn = {"deployment": "drawn", "since": "2026-01-31T00:00:00+00:00"}
with create_session() as session:
    session.add(Variable("tradewind_deployment", json.dumps(drawn)))
    for task, (state, tries) in states.items():
        mine = update(TaskInstance).where(TaskInstance.task_id == task)
        session.execute(mine.values(state=state, max_tries=tries))
    where = {"dag_run_id": run.id, "dag_id": "swept", "run_id": run.run_id, "map_index": -1}
    for task in ("ended", "waiting", "cleared", "running"):
        kept = {"deployment": "here", "generation": "g2", "life": 2 * (task == "cleared")}
        kept |= {"max_tries": 0, "retries": 0, "clear_number": 0}
        value = json.dumps(json.dumps(kept))
        row = TaskStateStoreModel(**where, task_id=task, key="tradewind.identity", value=value)
        session.add(row)
open(sys.argv[2], "w").write(run.run_id)
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow with one run of the DAG; RUN_ID is its id."""
    home = tmp_path_factory.mktemp("airflow-home")
    dags = home / "dags"
    dags.mkdir()
    (dags / "swept.py").write_text(DAG)
    make_home(home)
    environment = airflow_environment(home, dags, {"AIRFLOW__TRADEWIND__DEPLOYMENT": "here"})
    seeded = subprocess.run(
        [sys.executable, "-c", SEED, str(dags), str(home / "run")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert seeded.returncode == 0, seeded.stderr[-4000:]
    return {**environment, "RUN_ID": (home / "run").read_text()}


@pytest.fixture(scope="module")
def owners(airflow: dict[str, str]) -> dict[str, Owner]:
    """Owners by what Airflow knows of them."""
    run = airflow["RUN_ID"]
    mine = partial(Owner, "swept", deployment="here", generation="g2")
    return {
        "ended": mine(run, "ended"),
        "waiting": mine(run, "waiting"),
        "running": mine(run, "running"),
        "cleared": mine(run, "cleared", clears=1),
        "cleared now": mine(run, "cleared", clears=2),
        "run gone": mine("manual__of-yesterday", "ended"),
        "run made again": replace(mine(run, "running"), generation="g1"),
        "elsewhere": replace(mine(run, "ended"), deployment="there"),
        "of a copied database": replace(mine("of yesterday", "ended"), deployment="drawn"),
        "former version": Owner("swept", run, "ended"),
        "former version at work": Owner("swept", "of another", "running"),
        "unknown": Owner("another_dag", run, "ended"),
    }


UNPROVEN = "it does not say of which Airflow it is"
REASONS = {
    "ended": "its task run has ended: success",
    "cleared": "its task run has been cleared since",
    "run gone": "its task run is gone",
    "run made again": "its DAG run was deleted, and made again under its id",
    "elsewhere": "it belongs to another Airflow: deployment there",
    "of a copied database": "deployment drawn, not here; here, its task run is gone",
    "former version": f"{UNPROVEN}; here, its task run has ended: success",
    "former version at work": f"{UNPROVEN}; here, its task run is gone",
    "unknown": "this Airflow knows no DAG another_dag",
}
CERTAIN = ("ended", "cleared", "run gone", "run made again")
NEEDED = ("waiting", "running", "cleared now")


def sweep(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRADEWIND, *arguments], capture_output=True, text=True, timeout=120, env=env
    )


def told(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What was printed as JSON, by the owner in words."""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["owner"]: one for one in found}


@pytest.fixture(scope="module")
def no_airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose Airflow has no metadata database."""
    home = tmp_path_factory.mktemp("no-airflow")
    return airflow_environment(home, home, {})


@pytest.fixture(params=["process", "docker", "ssh"])
def system(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[list[str], Backend[Any], Callable[[str], Any]]]:
    """How it is named on the command line, its backend, and how it runs a script."""
    if request.param == "process":
        folder = tmp_path / "jobs"
        yield ["--process", str(folder)], ProcessBackend(folder), Command
    elif request.param == "docker":
        root = busybox_root()
        with docker_engine() as engine:
            engine.import_image(*IMAGE.split(":"), root)
            backend = DockerBackend(Engine(engine.address))
            yield (
                ["--docker", engine.address],
                backend,
                lambda script: Container(IMAGE, ["sh", "-c", script]),
            )
            backend.close()
    else:
        with ssh_server(tmp_path) as server:
            files = {"key_file": str(server.key_file), "known_hosts": str(server.known_hosts)}
            root = str(tmp_path / "jobs")
            connection = SSHConnection("127.0.0.1", server.username, server.port, **files)
            backend = SSHBackend(connection, root=root)
            query = f"key_file={server.key_file}&known_hosts={server.known_hosts}&root={root}"
            where = f"ssh://{server.username}@127.0.0.1:{server.port}?{query}"
            yield ["--ssh", where], backend, Command
            backend.close()


def test_what_nobody_needs_is_listed_with_its_reason_and_removed_on_yes(system, airflow, owners):
    option, backend, work = system
    for owner in owners.values():
        backend.submit(owner, 1, work("sleep 300"), variables={})
    if isinstance(backend, ProcessBackend):
        done = sweep(*option, env=airflow)
        assert done.returncode == 3, done.stderr
        assert f"{len(REASONS)} left. Nothing was removed; --yes removes" in done.stdout
        assert "of them, those that are certain." in done.stdout
        assert len(list(backend.list())) == len(owners), "a listing removes nothing"
    done = sweep(*option, "--yes", "--json", env=airflow)
    assert done.returncode == 3, "what another Airflow may own is kept"
    found = told(done)
    assert {owner: one["reason"] for owner, one in found.items()} == {
        str(owners[name]): reason for name, reason in REASONS.items()
    }
    for one in found.values():
        assert one["since"]
        assert one["certain"] == (one["owner"] in {str(owners[name]) for name in CERTAIN})
        assert one["outcome"] == ("removed" if one["certain"] else "kept")
    left = {piece.title for piece in backend.list()}
    assert left == {str(owner) for name, owner in owners.items() if name not in CERTAIN}

    done = sweep(*option, "--yes", "--older-than", "0s", env=airflow)
    assert done.returncode == 3, "another Airflow's is kept, however old it is"
    needed = [owners[name] for name in NEEDED]
    left = {piece.title for piece in backend.list()}
    others = [owners["elsewhere"], owners["of a copied database"]]
    assert left == {*map(str, needed), *map(str, others)}
    names = [part for one in others for part in ("--remove", backend.name_of(one, 1))]
    done = sweep(*option, *names, env=airflow)
    assert done.returncode == 0, done.stderr
    assert {piece.title for piece in backend.list()} == set(map(str, needed))
    for owner in needed:
        name = backend.name_of(owner, 1)
        assert backend.status(name).state is JobState.RUNNING
        backend.delete(name)


def test_nothing_left_says_so(tmp_path: Path, airflow, owners):
    backend = ProcessBackend(tmp_path)
    backend.submit(owners["running"], 1, Command("sleep 300"), variables={})
    done = sweep("--process", str(tmp_path), env=airflow)
    backend.delete(backend.name_of(owners["running"], 1))
    assert (done.returncode, done.stdout) == (0, "Nothing is left.\n")


def test_without_airflow_all_is_listed_and_only_what_is_old_removed(
    tmp_path: Path, no_airflow, owners
):
    backend = ProcessBackend(tmp_path / "jobs")
    backend.submit(owners["ended"], 1, Command("true"), variables={})
    name = backend.name_of(owners["ended"], 1)
    assert wait_until(lambda: backend.status(name).state.ended, seconds=20)
    option = ("--process", str(tmp_path / "jobs"))

    done = sweep(*option, "--json", env=no_airflow)
    assert done.returncode == 3, done.stderr
    (one,) = told(done).values()
    assert one["reason"] == "unknown: Airflow cannot be asked"
    assert "metadata database cannot be read" in done.stderr

    refused = sweep(*option, "--yes", env=no_airflow)
    assert refused.returncode == 1
    assert "nothing is removed" in refused.stderr
    assert backend.status(name).state is JobState.SUCCEEDED

    assert sweep(*option, "--yes", "--older-than", "1d", env=no_airflow).returncode == 0
    assert backend.status(name).state is JobState.SUCCEEDED, "it is younger"
    assert sweep(*option, "--yes", "--older-than", "0s", env=no_airflow).returncode == 0
    assert backend.status(name).state is JobState.ABSENT


def test_parts_of_objects_are_swept_but_not_a_running_tasks(tmp_path: Path, airflow, owners):
    store = FileStore(tmp_path / "root")
    keys = {}
    for number, name in enumerate(("waiting", "ended", "elsewhere")):
        keys[name] = f"set/part-{number:05d}-0123abcd.csv"
        upload = store.upload(keys[name], metadata={"tradewind-owner": owners[name].digest})
        upload.write(b"1\n")
        upload.complete()
    if "tradewind-owner" not in getattr(store.head(keys["ended"]), "metadata", {}):
        pytest.skip("this file system keeps no attributes")
    uri = f"file://{tmp_path}/root/"
    done = sweep("--objects", uri, "--yes", "--json", env=airflow)
    assert done.returncode == 3, done.stderr
    found = {one["digest"]: one for one in map(json.loads, done.stdout.splitlines())}
    ended, elsewhere = found.pop(owners["ended"].digest), found.pop(owners["elsewhere"].digest)
    assert (ended["reason"], ended["outcome"]) == (REASONS["ended"], "removed")
    assert elsewhere["reason"] == "no task run of this Airflow owns it"
    assert (elsewhere["outcome"], found) == ("kept", {})
    done = sweep("--objects", uri, "--yes", "--older-than", "0s", env=airflow)
    assert done.returncode == 0, done.stderr
    assert [info.key for info in store.list()] == [keys["waiting"]]


def test_batches_of_livy_are_swept_though_they_tell_no_owner_in_words(
    tmp_path: Path, airflow, owners
):
    with livy_server(tmp_path) as livy:
        backend = LivyBackend(RestConnection(livy.url))
        for owner in owners.values():
            backend.submit(owner, 1, RestJob({"file": livy.script("sleep 300")}), variables={})
        done = sweep("--livy", livy.url, "--yes", "--json", env=airflow)
        found = {one["digest"]: one for one in map(json.loads, done.stdout.splitlines())}
        left = {piece.owner for piece in backend.list()}
        for piece in list(backend.list()):
            backend.delete(piece.name)
        backend.close()
    assert done.returncode == 3, done.stderr
    judged_by_digest(found, left, owners)


def judged_by_digest(found: dict[str, Any], left: set[str], owners: dict[str, Owner]) -> None:
    # Only what Airflow knows is found by its digest, or by that of its task run.
    known = ("ended", "cleared", "run made again")
    certain = {owners[name].digest: REASONS[name] for name in known}
    unknown = {owners[name].digest for name in REASONS} - {*certain}
    assert set(found) == {*certain, *unknown}
    for digest, one in found.items():
        assert one["reason"] == certain.get(digest, "no task run of this Airflow owns it")
        assert one["outcome"] == ("removed" if digest in certain else "kept")
    needed = {owners[name].digest for name in NEEDED}
    assert left == needed | unknown


def test_jobs_of_an_http_api_are_swept_by_its_declaration(tmp_path: Path, airflow, owners):
    declared = {"system": "the test's API", "cancel": ["POST", "/jobs/{id}/cancel"]}
    api = tmp_path / "api.json"
    api.write_text(json.dumps(declared))
    with job_server(tmp_path / "jobs") as server:
        cancel = ("POST", "/jobs/{id}/cancel")
        backend = RestJobBackend(RestConnection(server.url), JobApi(cancel=cancel))
        for owner in owners.values():
            backend.submit(owner, 1, RestJob({"script": "sleep 300"}), variables={})
        done = sweep("--http-jobs", f"{server.url}={api}", "--yes", "--json", env=airflow)
        assert done.returncode == 3, done.stderr
        found = {one["digest"]: one for one in map(json.loads, done.stdout.splitlines())}
        judged_by_digest(found, {piece.owner for piece in backend.list()}, owners)
        backend.close()


def test_what_was_prepared_and_never_claimed_is_removed(system, airflow, owners):
    option, backend, work = system
    if isinstance(backend, DockerBackend):
        for name in ("ended", "running"):
            prepared = f"{backend.name_of(owners[name], 1)}-0a0b0c0d"
            backend._claims._create(prepared, owners[name], 1, work("true"), {"TOKEN": "s3cret"})
    else:
        # What a death just after the folder was made, or just before the claim, leaves.
        for name in ("ended", "running"):
            hidden = f".{backend.name_of(owners[name], 1)}.0a0b0c0d"
            backend._call('mkdir -p "$1/$2"', backend._root, hidden)
        owner = owners["run gone"]
        hidden = f".{backend.name_of(owner, 1)}.0a0b0c0e"
        script = 'mkdir -p "$1"; printf "%s\\n" "$2" > "$1/owner"; date +%s > "$1/began"'
        backend._call(script, f"{backend._root}/{hidden}", f"{owner.digest} 1 {owner}")
    done = sweep(*option, "--yes", "--json", env=airflow)
    assert done.returncode == 0, done.stderr
    found = {one["digest"]: one for one in map(json.loads, done.stdout.splitlines())}
    gone = {"ended"} if isinstance(backend, DockerBackend) else {"ended", "run gone"}
    assert set(found) == {owners[name].digest for name in gone}
    for one in found.values():
        assert (one["certain"], one["outcome"]) == (True, "removed")
        assert one["what"].startswith("prepared work ")
    (kept,) = backend.unclaimed()
    assert kept.owner == owners["running"].digest
    backend.delete_unclaimed(kept.name)


def test_tables_that_were_being_made_are_swept(
    local_mariadb: Systems, airflow, owners, monkeypatch: pytest.MonkeyPatch
):
    need_mysql_client()
    from mysql_server import connection_to
    from tradewind.systems.mysql.session import Session
    from tradewind.systems.mysql.sweep import leftovers

    session = Session(connection_to(local_mariadb))
    there = local_mariadb.environment
    uri = f"mysql://{there['MYSQL_HOST']}:{there['MYSQL_TCP_PORT']}/{there['MYSQL_DATABASE']}"
    env = {**airflow, **there}
    tables = {name: f"swept__0a0b0c0d_{owners[name].digest}" for name in ("ended", "running")}
    tables["committed"] = f"swept__0a0b0c0e_{owners['ended'].digest}"
    try:
        for name, table in tables.items():
            comment = "" if name == "committed" else "tradewind attempt 0a0b0c0d"
            session.execute(f"CREATE TABLE {table} (id INT) COMMENT='{comment}'")
        done = sweep("--tables", uri, "--yes", "--json", env=env)
        assert done.returncode == 0, done.stderr
        (one,) = map(json.loads, done.stdout.splitlines())
        assert one["what"].endswith(f".{tables['ended']}")
        assert (one["reason"], one["outcome"]) == (REASONS["ended"], "removed")
        left = {name for (name,) in session.fetch("SHOW TABLES LIKE 'swept%'")}
        assert left == {tables["running"], tables["committed"]}
        for name, value in there.items():
            monkeypatch.setenv(name, value)
        for scheme in ("mariadb", "mysql+pymysql"):
            ((_, listed),) = leftovers(uri.replace("mysql", scheme, 1))
            assert [one.owner for one in listed] == [owners["running"].digest]
    finally:
        for table in tables.values():
            session.execute(f"DROP TABLE IF EXISTS {table}")
        session.close()


def test_jobs_of_sagemaker_are_asked_for(local_sagemaker: Systems, no_airflow):
    env = {**no_airflow, **local_sagemaker.environment}
    done = sweep("--sagemaker", "boto3", env=env)
    # The local one lacks some kinds and says so; the other kinds are listed all the same.
    assert "Traceback" not in done.stderr
    assert "sagemaker boto3 training:" not in done.stderr
    assert "sagemaker boto3 transform:" not in done.stderr
    assert "processing jobs" in done.stderr or "ListProcessingJobs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ((), 2, "no system is named"),
        (("--process", "/", "--older-than", "tomorrow"), 2, "is no age"),
        (("--process", "/no/such/folder"), 1, "There is no folder /no/such/folder"),
        (("--docker", "unix:///no/such.sock"), 1, "cannot be reached"),
        (("--ssh", "ssh://user:secret@127.0.0.1"), 1, "without a password"),
        (("--livy", "http://user:secret@127.0.0.1"), 1, "is given with a password"),
        (("--livy", "http://127.0.0.1:1"), 1, "cannot be reached"),
        (("--objects", "ftp://somewhere/x"), 1, "no URI of an object store"),
        (("--http-jobs", "http://127.0.0.1:1"), 1, "CONNECTION=API"),
        (("--http-jobs", "http://127.0.0.1:1=no:THING"), 1, "neither a file nor module:NAME"),
        (("--tables", "sqlite:///x.db"), 1, "only MySQL and MariaDB"),
    ],
)
def test_what_cannot_be_swept_is_told(arguments, status: int, text: str, no_airflow):
    done = sweep(*arguments, env={**no_airflow, "COLUMNS": "1000"})
    assert done.returncode == status, done.stderr
    assert text in done.stderr
    assert "secret" not in done.stderr


def test_one_system_that_is_away_does_not_hide_another(tmp_path: Path, airflow, owners):
    backend = ProcessBackend(tmp_path / "jobs")
    backend.submit(owners["ended"], 1, Command("true"), variables={})
    option = ("--docker", f"unix:///no/{uuid.uuid4().hex}", "--process", str(tmp_path / "jobs"))
    done = sweep(*option, "--yes", env=airflow)
    assert done.returncode == 1
    assert "1 removed" in done.stdout
    assert list(backend.list()) == []
