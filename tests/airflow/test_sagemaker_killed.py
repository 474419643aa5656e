"""Workers that die while they train or deploy on SageMaker: by Airflow's own supervisor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_supervised import Supervised
from killing import spread, spread_over_phases
from sagemaker_service import make_client, sagemaker_data
from tradewind.local import Systems

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-sagemaker")]

DAGS = Path(__file__).parent / "work_dags"
BUCKET = "killed-workers"


@pytest.fixture(scope="module")
def sagemaker(local_sagemaker: Systems) -> Any:
    system = local_sagemaker["sagemaker"]
    return make_client("sagemaker", system.endpoint, local_sagemaker.environment)


@pytest.fixture(scope="module")
def supervised(
    airflow_home: Path, local_sagemaker: Systems, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Supervised]:
    sagemaker_data(local_sagemaker, BUCKET)
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": local_sagemaker.environment["AIRFLOW_CONN_AWS_DEFAULT"],
        "TRADEWIND_TEST_BUCKET": BUCKET,
        "TRADEWIND_TEST_FOLDER": str(tmp_path_factory.mktemp("killed-sagemaker")),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    one = Supervised(airflow_home, DAGS, environment)
    yield one
    one.close()


def kill_everywhere(supervised: Supervised, dag: str, check: Any, *, count: int, year: int) -> None:
    first = supervised.run(dag, date=f"{year}-01-01")
    check(f"{year}-01-01", first)
    killed = 0
    lines = first["points"]
    points = spread_over_phases(lines, count)
    if not lines["collect"]:
        # A deployment is no work that is attended: it has no phases.
        points = [f"line:{line}" for line in spread(lines["lines"], count)]
    for number, point in enumerate(points):
        date = f"{year}-{2 + number // 28:02}-{1 + number % 28:02}"
        told = supervised.run(dag, date=date, die_at=[point])
        assert told["state"] == "success", (point, told)
        check(date, told)
        killed += -9 in told["exits"]
    assert killed > count / 2


@pytest.fixture
def trained_once(sagemaker: Any) -> Any:
    def check(date: str, told: dict[str, Any]) -> None:
        jobs = sagemaker.list_training_jobs(NameContains=f"killed-{date}")["TrainingJobSummaries"]
        assert [job["TrainingJobStatus"] for job in jobs] == ["Completed"], told
        (xcom,) = told["xcom"]
        assert xcom["Training"]["TrainingJobName"] == jobs[0]["TrainingJobName"]

    return check


@pytest.fixture
def deployed_once(sagemaker: Any) -> Any:
    def check(date: str, told: dict[str, Any]) -> None:
        (xcom,) = told["xcom"]
        serving = sagemaker.describe_endpoint(EndpointName="work-killed")["EndpointConfigName"]
        assert xcom["Endpoint"]["EndpointConfigName"] == serving
        assert serving.startswith(f"killed-{date}"), told
        configs = sagemaker.list_endpoint_configs(NameContains="killed-")["EndpointConfigs"]
        assert [one["EndpointConfigName"] for one in configs] == [serving], told
        models = sagemaker.list_models(NameContains="killed-")["Models"]
        assert [one["ModelName"] for one in models] == [serving], told

    return check


def test_killed_while_training(supervised: Supervised, trained_once: Any):
    kill_everywhere(supervised, "work_killed_training", trained_once, count=2, year=2026)


def test_killed_while_deploying(supervised: Supervised, deployed_once: Any):
    kill_everywhere(supervised, "work_killed_endpoint", deployed_once, count=4, year=2026)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_at_50_points_while_training(supervised: Supervised, trained_once: Any):
    kill_everywhere(supervised, "work_killed_training", trained_once, count=50, year=2027)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_at_50_points_while_deploying(supervised: Supervised, deployed_once: Any):
    kill_everywhere(supervised, "work_killed_endpoint", deployed_once, count=50, year=2027)
