"""Real moves, real work and a real Airflow, with secrets that are looked for wherever they may go.

In logs at the level DEBUG (those of the clients too), errors, receipts, XComs, rendered fields,
command lines, files, objects, ledgers. `tests/test_redaction.py` does the same for made up
addresses.
"""

from __future__ import annotations

import json
import random
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from attack_report import LONG, Attack
from attack_runners import PLACES, Runner
from attack_secrets import search, search_files, spellings, watched
from attack_workers import Workers

from airflow_runs import make_home, runs
from container_engine import Engine
from job_server import job_server
from ssh_server import SSHServer
from tradewind.local import Systems

PROMISE = "A secret is shown nowhere"
DAGS = Path(__file__).parent / "secret_dags"

# ------------------------------------------------------------------------------------------ moves

IN_MOVES = "moves that succeed, are refused and fail, with all logs; secrets searched everywhere"
#: What holds the secrets of the systems.
SECRET = ("PGPASSWORD", "MYSQL_PWD", "MONGODB_PASSWORD", "AWS_SECRET_ACCESS_KEY")
QUERY = "SELECT id, day FROM listings WHERE id < 500"


def moves(bucket: str, mongo: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Give moves, what is wrong with them, and what they are told."""
    source = {"bucket": bucket, "key": "source/small.csv"}
    to = {"bucket": bucket, "key": "secrets/data.csv"}
    return [
        ("postgres_to_csv", "nothing", {"query": QUERY, **to}),
        ("mysql_to_csv", "nothing", {"query": QUERY, **to}),
        ("postgres_to_csv", "the query", {"query": "SELECT nothing FROM nowhere", **to}),
        ("mysql_to_csv", "the query", {"query": "SELECT nothing FROM nowhere", **to}),
        ("postgres_to_csv", "the bucket", {"query": QUERY, **to, "bucket": "not-there"}),
        ("postgres_to_csv", "PGPASSWORD", {"query": QUERY, **to}),
        ("mysql_to_csv", "MYSQL_PWD", {"query": QUERY, **to}),
        ("csv_to_postgres", "the table", {**source, "table": "not_there", "mode": "append"}),
        ("csv_to_mysql", "the table", {**source, "table": "not_there", "mode": "append"}),
        ("csv_to_postgres", "nothing", {**source, "table": "p", "mode": "append", "create": True}),
        ("csv_to_mysql", "nothing", {**source, "table": "p", "mode": "append", "create": True}),
        ("mongo_to_jsonl", "nothing", {"database": mongo, "collection": "listings", **to}),
        ("mongo_to_jsonl", "MONGODB_URI", {"database": mongo, "collection": "listings", **to}),
    ]


@pytest.mark.parametrize(
    "count", [pytest.param(13, id="some"), pytest.param(260, id="many", marks=LONG)]
)
@pytest.mark.xdist_group("attack-moves")
def test_of_moves(
    workers: Workers,
    systems: dict[str, str],
    s3: Any,
    bucket: str,
    mongo: str,
    postgres: Any,
    tmp_path: Path,
    count: int,
):
    attack = Attack(PROMISE, IN_MOVES, "S3, PostgreSQL, MariaDB, MongoDB")
    s3.put_object(Bucket=bucket, Key="source/small.csv", Body=b"id,day\n1,2026-01-31\n")
    real = [systems[name] for name in SECRET if systems.get(name)]
    for number in attack.rounds(count):
        marker = marked(attack.chance)
        told = spellings([*real, marker])
        all_moves = moves(bucket, mongo)
        action, wrong, given = all_moves[number % len(all_moves)]
        changed = {wrong: marker} if wrong in systems else {}
        if wrong == "MONGODB_URI":
            changed = {wrong: f"mongodb://who:{marker}@127.0.0.1:1/?serverSelectionTimeoutMS=200"}
        label = f"{number}: {action}, wrong is {wrong}"
        log = tmp_path / f"log-{number}"
        with watched(attack, told, label):
            answer = workers.run(
                "loudly",
                what=action,
                log=str(log),
                variables=changed,
                arguments={"who": f"s{number}x{uuid.uuid4().hex[:6]}", **given},
            )
        attack.note("succeeded" if "answer" in answer else answer.get("error", "?"))
        attack.check(("answer" in answer) == (wrong == "nothing"), f"{label}: {answer!r:.300}")
        said = {"its answer": json.dumps(answer).encode(), "its log": log.read_bytes()}
        for where, data in said.items():
            found = search(data, told)
            attack.check(not found, f"{label}: {where} has {found}")
    told = spellings(real)
    for key in [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]:
        head = s3.head_object(Bucket=bucket, Key=key)
        attack.check(not search(repr((key, head)).encode(), told), f"object {key}: {head}")
    ledger = postgres.execute("SELECT * FROM tradewind_published").fetchall()
    attack.check(not search(repr(ledger).encode(), told), f"the ledger: {ledger!r:.500}")
    attack.finish()


def marked(chance: random.Random) -> str:
    """Make a secret that nothing else has, with what needs quoting in places."""
    letters = "".join(chance.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNP23456789", k=20))
    return f"Zq{letters}"


# ------------------------------------------------------------------------------------------- work

IN_WORK = "work whose environment has a secret, with all logs; secrets searched everywhere"
SCRIPT = 'test -n "$TOKEN"; echo begun; sleep 0.2; echo 42 > $TRADEWIND_RESULT; exit {code}'
COUNTS = [
    pytest.param(name, count, id=f"{name}-{what}", marks=[*PLACES[name][1], *marks])
    for what, count, marks in (("some", 2, []), ("many", 50, LONG))
    for name in ("process", "ssh", "docker")
]


@pytest.mark.parametrize(("runner", "count"), COUNTS, indirect=["runner"])
def test_of_work(supervisors: Workers, runner: Runner, tmp_path: Path, count: int):
    attack, folder = Attack(PROMISE, IN_WORK, runner.on), tmp_path
    for number in attack.rounds(count):
        marker = marked(attack.chance)
        told = spellings([marker])
        name, fails = f"s{number}x{uuid.uuid4().hex[:6]}", number % 2 == 1
        (folder / name).mkdir()
        label = f"{number}: {'work that fails' if fails else 'work'}"
        log = folder / f"log-{number}"
        with watched(attack, told, label, folder):
            answer = supervisors.run(
                "loudly",
                what=runner.action,
                log=str(log),
                variables={},
                arguments={
                    "run": name,
                    "script": SCRIPT.format(code=3 if fails else 0),
                    "memory": str(folder / name / "memory"),
                    "log": str(folder / name / "log"),
                    "environment": {"TOKEN": marker},
                    **runner.options,
                },
            )
        good = answer.get("error") == "WorkFailedError" if fails else "answer" in answer
        attack.check(good, f"{label}: {answer!r:.300}")
        found = search(json.dumps(answer).encode(), told)
        attack.check(not found, f"{label}: its answer has {found}")
        for file, secrets in search_files(folder, told).items():
            attack.fail(f"{label}: {file} has {secrets}")
    attack.finish()


# ---------------------------------------------------------------------------------------- Airflow

IN_AIRFLOW = "DAGs with secrets of connections and variables, all logs; searched everywhere"


@pytest.mark.airflow
@pytest.mark.container
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("attack-airflow")
def test_of_airflow(
    local_postgres: Systems,
    local_s3: Systems,
    daemon: Engine,
    server: SSHServer,
    tmp_path: Path,
):
    attack = Attack(PROMISE, IN_AIRFLOW, "Airflow")
    chance = random.Random(attack.name)
    secrets = {name: marked(chance) for name in ("wrong", "token", "http", "key")}
    given = local_s3.environment
    s3 = boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
    s3.client(
        "s3", endpoint_url=given["AWS_ENDPOINT_URL_S3"], region_name=given["AWS_REGION"]
    ).create_bucket(Bucket="attack-secrets")
    home, folder = tmp_path / "home", tmp_path / "folder"
    folder.mkdir()
    make_home(home)
    ssh = {
        "conn_type": "ssh",
        "host": "127.0.0.1",
        "port": server.port,
        "login": server.username,
        "extra": {"key_file": str(server.key_file), "host_key": server.host_key},
    }
    postgres = {"conn_type": "postgres", "host": "127.0.0.1", "login": "nobody"}
    postgres |= {"port": int(local_postgres.environment["PGPORT"]), "password": secrets["wrong"]}
    with job_server(folder / "api") as api:
        api.authorization = f"Bearer {secrets['http']}"
        http = {
            "conn_type": "http",
            "host": api.url,
            "extra": {"Authorization": f"Bearer {secrets['http']}"},
        }
        wrong = {"conn_type": "aws", "login": "who", "password": secrets["key"]}
        endpoint = json.loads(local_s3.environment["AIRFLOW_CONN_AWS_DEFAULT"]).get("extra", {})
        connections = {
            "ssh_default": ssh,
            "wrong_postgres": postgres,
            "wrong_aws": {**wrong, "extra": endpoint},
            "token": {"conn_type": "generic", "password": secrets["token"]},
            "jobs": http,
        }
        environment = {
            **local_postgres.environment,
            **local_s3.environment,
            "DOCKER_HOST": daemon.address,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "TRADEWIND_TEST_FOLDER": str(folder),
            **{
                f"AIRFLOW_CONN_{name.upper()}": json.dumps(value)
                for name, value in connections.items()
            },
        }
        real = [local_postgres.environment["PGPASSWORD"]]
        real += [local_s3.environment["AWS_SECRET_ACCESS_KEY"]]
        told = spellings([*secrets.values(), *real])
        with runs(home, DAGS, environment) as airflow:
            for number in attack.rounds(1):
                with watched(attack, told, "the DAG", folder):
                    answer = airflow.run("secrets", date=f"2026-01-0{number + 1}")
                ran = answer.get("tasks", answer)
                good = all(
                    state == ("failed" if name.startswith("wrong") else "success")
                    for name, state in ran.items()
                )
                attack.check(good and len(ran) == 7, f"{ran}")
                log = answer.pop("log")
                found = search(json.dumps(answer, default=str).encode(), told)
                attack.check(not found, f"XComs, rendered fields or events: {found}: {answer}")
                for line in log.splitlines():
                    # Airflow's own processes tell each other of it so, where they log everything.
                    found = [] if "msg=MaskSecret(" in line else search(line.encode(), told)
                    if found:
                        attack.fail(f"the log has {found}: {line!r:.500}")
    for where in (home, folder):
        for file, those in search_files(where, told).items():
            attack.check(file == "runs.log", f"{where.name}/{file} has {those}")
    attack.finish()
