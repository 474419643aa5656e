"""The DAG run by Airflow on real systems: months, months again, months whose source is down."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests
from google.auth.credentials import AnonymousCredentials

ROOT = Path(__file__).resolve().parents[3]
PIPELINES = ROOT / "pipelines"
sys.path[:0] = [str(ROOT / "scripts")]

from airflow_runs import Runs, make_home, runs  # noqa: E402
from emulators import Emulator  # noqa: E402
from faulty_proxy import FaultyProxy  # noqa: E402
from listings.seed import City  # noqa: E402
from listings_data import SCHEMA, seed_mongodb, seed_postgres, serving  # noqa: E402
from ssh_server import ssh_server  # noqa: E402
from tradewind.local import Systems  # noqa: E402
from tradewind.systems.azure.store import AzureStore  # noqa: E402
from tradewind.systems.gcs.store import GCSStore  # noqa: E402

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("listings")]

BUCKET = "inside-airbnb-test"
# Nobody has crawled in June: a month without rows.
MONTHS = ["2015-04", "2015-05", "2015-07"]
CITY = City(rows=200)
#: A run by hand is of the interval that has ended last.
ENDS = {"2015-04": "2015-05-01", "2015-05": "2015-06-01", "2015-06": "2015-07-01"}


class Place:
    """An Airflow with the DAG, and the systems around it."""

    def __init__(self, airflow: Runs, database: FaultyProxy, systems: Systems) -> None:
        self.airflow = airflow
        self.database = database
        environment = systems.environment
        self.secret = environment["AWS_SECRET_ACCESS_KEY"]
        self.s3 = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.secret,
            region_name=environment["AWS_REGION"],
        )

    def run(self, month: str, **conf: Any) -> dict[str, Any]:
        return self.airflow.run("listings", ENDS[month], conf=conf)

    def get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def objects(self) -> dict[str, tuple[Any, ...]]:
        found = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        return {each["Key"]: (each["ETag"], each["LastModified"]) for each in found}


def seed_mysql(environment: dict[str, str]) -> None:
    import MySQLdb

    connection = MySQLdb.connect(
        host=environment["MYSQL_HOST"],
        port=int(environment["MYSQL_TCP_PORT"]),
        user=environment["MYSQL_USER"],
        passwd=environment["MYSQL_PWD"],
        db=environment["MYSQL_DATABASE"],
        charset="utf8mb4",
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        for statement in SCHEMA.read_text().split(";\n")[:-1]:
            cursor.execute(statement)
        marks = ", ".join(["%s"] * 13)
        cursor.executemany(f"INSERT INTO listings VALUES ({marks})", list(CITY.month("2015-04")))
        connection.commit()


@pytest.fixture(scope="module")
def mysql(request: pytest.FixtureRequest) -> dict[str, str]:
    """Leads to MariaDB with April's listings; nothing where it cannot be had."""
    try:
        environment = request.getfixturevalue("local_mariadb").environment
    except pytest.skip.Exception:
        return {}
    seed_mysql(environment)
    return {name: value for name, value in environment.items() if "MYSQL" in name}


@pytest.fixture(scope="module")
def place(
    local_s3: Systems,
    local_postgres: Systems,
    local_mongodb: Systems,
    mysql: dict[str, str],
    fake_gcs: Emulator,
    azurite: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("listings")
    make_home(folder)
    seed_postgres(local_postgres.environment, CITY, MONTHS)
    seed_mongodb(local_mongodb.environment, CITY, MONTHS)
    server = local_postgres.environment
    postgres = json.loads(server["AIRFLOW_CONN_POSTGRES_DEFAULT"])
    with (
        ssh_server(tmp_path_factory.mktemp("sshd")) as sshd,
        serving(lambda key: b"") as api,
        FaultyProxy(server["PGHOST"], int(server["PGPORT"])) as database,
    ):
        ssh = {
            "conn_type": "ssh",
            "host": "127.0.0.1",
            "port": sshd.port,
            "login": sshd.username,
            "extra": {"key_file": str(sshd.key_file), "host_key": sshd.host_key},
        }
        rates = urlsplit(api)
        environment = {
            **local_s3.environment,
            **local_mongodb.environment,
            **mysql,
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(
                {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}}
            ),
            "AIRFLOW_CONN_WASB_DEFAULT": json.dumps(
                {
                    "conn_type": "wasb",
                    "host": azurite.endpoint,
                    "login": azurite.account,
                    "password": azurite.key,
                }
            ),
            "STORAGE_EMULATOR_HOST": fake_gcs.endpoint,
            "AIRFLOW_CONN_POSTGRES_DEFAULT": json.dumps({**postgres, "port": database.port}),
            "AIRFLOW_CONN_SSH_DEFAULT": json.dumps(ssh),
            "AIRFLOW_CONN_RATES_API": json.dumps(
                {"conn_type": "http", "host": rates.hostname, "port": rates.port}
            ),
            "LISTINGS_BUCKET": BUCKET,
            "LISTINGS_WAY": "ssh",
            "LISTINGS_PYTHON": sys.executable,
            "LISTINGS_REPORTS": "https://reports.example",
            "LISTINGS_RETRIES": "0",
            "PYTHONPATH": os.pathsep.join([str(PIPELINES), os.environ.get("PYTHONPATH", "")]),
        }
        with runs(folder, PIPELINES / "listings", environment) as airflow:
            one = Place(airflow, database, local_s3)
            region = local_s3.environment["AWS_REGION"]
            one.s3.create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region}
            )
            yield one


@pytest.fixture(scope="module")
def april_and_may(place: Place) -> dict[str, dict[str, Any]]:
    return {month: place.run(month) for month in ("2015-04", "2015-05")}


def test_months_go_through_all_tasks(place: Place, april_and_may: dict[str, Any]):
    for month, told in april_and_may.items():
        assert told["state"] == "success", told.get("errors") or told["log"][-6000:]
        assert told["tasks"]["crunch_numbers.ssh"] == "success"
        assert {told["tasks"][f"crunch_numbers.{way}"] for way in ("docker", "spark", "livy")} == {
            "skipped"
        }
        rows = len(list(CITY.month(month)))
        assert told["xcoms"]["export_listings"]["rows"] == rows
        assert told["xcoms"]["export_reviews"]["rows"] == len(CITY.reviews(month))
        assert told["xcoms"]["load_summary"]["rows"] == 10
        assert told["xcoms"]["publish_report"]["report"] == (
            f"https://reports.example/reports/{month}/index.html"
        )
    assert april_and_may["2015-04"]["xcoms"]["export_rates"]["rows"] == 30 * 5
    assert april_and_may["2015-05"]["xcoms"]["export_rates"]["rows"] == 31 * 5
    assert april_and_may["2015-05"]["xcoms"]["crunch_numbers.ssh"]["months"] == 2
    assert len(json.loads(place.get("results/2015-05/rises.json"))) == 5


def test_the_report_tells_the_movers_and_the_trend(place: Place, april_and_may: dict[str, Any]):
    page = place.get("reports/2015-05/index.html").decode()
    assert "History from 2015-04 to 2015-05" in page
    assert page.count("<polyline") >= 12
    for mover in json.loads(place.get("results/2015-05/falls.json")):
        assert f"{mover['change_per_day']:+,.2f}" in page
    assert "<script" not in page


def test_no_secret_is_shown(place: Place, april_and_may: dict[str, Any]):
    shown = json.dumps([told["rendered"] for told in april_and_may.values()])
    shown += json.dumps([told["xcoms"] for told in april_and_may.values()])
    assert place.secret not in shown
    assert place.secret not in place.airflow.log


def test_a_rerun_gives_the_same_and_touches_no_other_month(
    place: Place, april_and_may: dict[str, Any]
):
    before = place.objects()
    told = place.run("2015-04")
    assert told["state"] == "success", told["log"][-6000:]
    after = place.objects()
    assert {key: each[0] for key, each in after.items()} == {
        key: each[0] for key, each in before.items()
    }
    touched = {key for key in after if after[key] != before[key]}
    assert touched
    assert not [key for key in touched if "2015-04" not in key]


def test_mysql_and_parquet_give_the_same_results(
    place: Place, mysql: dict[str, str], april_and_may: dict[str, Any]
):
    if not mysql:
        pytest.skip("needs MariaDB and its client: see the tests of MySQL")
    before = place.objects()
    told = place.run("2015-04", source="mysql", format="parquet")
    assert told["state"] == "success", told["log"][-6000:]
    after = place.objects()
    assert set(after) - set(before) == {"listings/2015-04.parquet"}
    changed = {key for key in before if after[key][0] != before[key][0]}
    assert changed == set()


def test_a_source_that_is_down_fails_the_month_and_the_next_try_mends_it(
    place: Place, april_and_may: dict[str, Any]
):
    before = place.objects()
    place.database.refuse()
    told = place.run("2015-06")
    place.database.heal()
    assert told["state"] == "failed"
    assert told["tasks"]["export_listings"] == "failed"
    assert told["tasks"]["crunch_numbers.ssh"] == "upstream_failed"
    assert "postgres" in told["log"].lower()
    assert f"127.0.0.1:{place.database.port}" in told["log"]
    after = place.objects()
    # What another source has given is there; nothing of the one that is down.
    assert set(after) - set(before) == {"reviews/2015-06.jsonl", "rates/2015-06.jsonl"}

    told = place.run("2015-06")
    assert told["state"] == "success", told["log"][-6000:]
    # A month without rows: a header, so that a reader can tell it from a missing one.
    assert place.get("listings/2015-06.csv").decode().startswith("id,name,host_id,")
    assert place.get("listings/2015-06.csv").count(b"\n") == 1
    assert told["xcoms"]["crunch_numbers.ssh"]["months"] == 3
    may = json.loads(place.get("results/2015-05/rises.json"))
    assert json.loads(place.get("results/2015-06/rises.json")) == may


@pytest.mark.long
def test_other_stores_get_the_same_bytes(
    place: Place, azurite: Emulator, fake_gcs: Emulator, april_and_may: dict[str, Any]
):
    requests.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": BUCKET}, timeout=30)
    gcs = GCSStore(BUCKET, credentials=AnonymousCredentials(), endpoint=fake_gcs.endpoint)
    azure = AzureStore(
        BUCKET, account=azurite.account, credential=azurite.key, endpoint=azurite.endpoint
    )
    azure.create()
    for name, store in {"gs": gcs, "az": azure}.items():
        told = place.run("2015-04", store=name)
        assert told["state"] == "success", told["log"][-6000:]
        for secret in (azurite.key, place.secret):
            assert secret not in json.dumps([told["rendered"], told["xcoms"]])
            assert secret not in place.airflow.log
        keys = [info.key for info in store.list()]
        there = [key for key in place.objects() if "2015-04" in key and "parq" not in key]
        assert keys == sorted(there)
        for key in keys:
            if "reports/" not in key:
                assert b"".join(store.read(key)) == place.get(key), key
    azure.client.close()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("months", [3, 57])
def test_the_demo_runs_every_way_there_is_and_they_agree(months: int, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo_listings.py", "--once", "--state", tmp_path],
        env={**os.environ, "LISTINGS_MONTHS": str(months), "LISTINGS_ROWS": "500"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3_000,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["state"] == "success"
    assert result["months"] == months
    assert result["agree"] is True
    assert result["reruns_changed"] == []
    assert set(result["ways"]) | set(result["missing"]) == {"docker", "ssh", "spark", "livy"}
    assert "ssh" in result["ways"]
