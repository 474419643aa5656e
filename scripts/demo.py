"""The digits application on this machine: S3, SageMaker, Airflow, the pipeline, the page.

python scripts/demo.py           until Ctrl-C
python scripts/demo.py --once    one run; the last line is JSON; the status is 0 if all is well
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from airflow_api import AirflowApi
from demo_helpers import (
    DemoError,
    dag_is_known,
    free_or_any,
    interrupt,
    look,
    phase,
    ports,
    s3_client,
    say,
    wait,
)
from tradewind.errors import TradewindError
from tradewind.local import Systems, up
from tradewind.local.processes import Children
from tradewind.local.system import AWS_REGION

ROOT = Path(__file__).resolve().parent.parent
PIPELINES = ROOT / "pipelines"
DAG = "digits"
SYSTEMS = ("s3", "sagemaker", "airflow")
PAGE_PORT = 8000
RUN_SECONDS = 900


def main() -> int:
    """Run the demo; the exit status is 0 when all went well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after one run")
    parser.add_argument(
        "--state",
        type=Path,
        default=ROOT / ".tradewind" / "demo",
        help="folder that all state is kept in (default: .tradewind/demo)",
    )
    arguments = parser.parse_args()
    # SIGINT too: where a shell started this in the background it is ignored otherwise.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    sys.path.insert(0, str(PIPELINES))
    began = time.monotonic()
    result: dict[str, Any] = {"dag": DAG, "state": "not run"}
    status = 1
    try:
        with ExitStack() as stack:
            try:
                _play(stack, arguments.state, result, once=arguments.once, began=began)
                status = 0
            finally:
                say("Stopping ...")
    except KeyboardInterrupt:
        status = 130 if arguments.once else 0
    except (TradewindError, DemoError, httpx.HTTPError) as error:
        print(f"demo: {error}", file=sys.stderr)
    result.setdefault("seconds", round(time.monotonic() - began, 1))
    if arguments.once:
        print(json.dumps(result), flush=True)
    return status


def _play(
    stack: ExitStack, state: Path, result: dict[str, Any], *, once: bool, began: float
) -> None:
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(PIPELINES)
    # Here SageMaker is done in a second or two; on AWS it takes minutes.
    os.environ.setdefault("TRADEWIND_DIGITS_CHECK_SECONDS", "1")
    state.mkdir(parents=True, exist_ok=True)
    with phase("S3, SageMaker and Airflow are up"):
        systems = stack.enter_context(
            up(SYSTEMS, data=state / "data", ports=ports(SYSTEMS, once=once))
        )
    with phase("the sample bucket has its data set"):
        _fill_sample_bucket(systems)
    airflow = systems["airflow"]
    notes = airflow.offer.notes
    api = stack.enter_context(
        closing(AirflowApi(airflow.endpoint, notes["login"], notes["password"]))
    )
    with phase(f"Airflow has read the DAG {DAG}"):
        wait(lambda: dag_is_known(api, DAG), systems, seconds=120, what=f"DAG {DAG} in Airflow")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    api.run_again(DAG, f"demo__{today:%Y-%m-%d}", today)
    say(f"The DAG {DAG} runs for {today:%Y-%m-%d}:")
    with phase("the run has ended"):
        result["state"], tasks = _watch(api, systems)
    if result["state"] != "success":
        _show_failure(api)
        raise DemoError(f"the run of {DAG} ended as {result['state']}; Airflow: {airflow.endpoint}")
    report = _report(systems, f"{today:%Y-%m-%d}")
    result["accuracy"] = report["accuracy"]
    with phase("the page answers"):
        page = _start_page(stack, state, systems, port=0 if once else free_or_any(PAGE_PORT))
        prediction = _predict(page)
    result["seconds"] = round(time.monotonic() - began, 1)
    result["tasks"] = {name: round(seconds, 1) for name, seconds in tasks.items()}
    result["prediction"] = prediction
    say(
        f"Accuracy {report['accuracy']:.3f}. The page took a drawn "
        f"{prediction['expected']} for a {prediction['digit']}."
    )
    if prediction["digit"] != prediction["expected"]:
        raise DemoError("the page did not recognise the digit it was shown")
    if not once:
        _invite(page, systems)
        while True:
            look(systems)
            time.sleep(0.5)


# ------------------------------------------------------------------------------------- steps


def _fill_sample_bucket(systems: Systems) -> None:
    """Put there what AWS keeps in its public bucket, and make the pipeline's own bucket."""
    from digits.layout import SAMPLE_KEY, Layout, sample_bucket

    environment = systems.full_environment()
    s3 = s3_client(environment)
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket in (sample_bucket(AWS_REGION), Layout.from_environment().bucket):
        if bucket not in there:
            s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": AWS_REGION}
            )
    found = s3.list_objects_v2(Bucket=sample_bucket(AWS_REGION), Prefix=SAMPLE_KEY)
    if found["KeyCount"]:
        return
    done = subprocess.run(
        [sys.executable, "-m", "digits.sample", "--bucket", sample_bucket(AWS_REGION)],
        env={**environment, "PYTHONPATH": str(PIPELINES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"the data set could not be built:\n{done.stdout}")


def _watch(api: AirflowApi, systems: Systems) -> tuple[str, dict[str, float]]:
    """Print every change of a task's state until the run has ended."""
    seen: dict[str, str] = {}
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        look(systems)
        state = api.state(DAG, api.run)
        tasks = api.tasks(DAG, api.run)
        for task in sorted(tasks, key=lambda task: task["start_date"] or "~"):
            now = task["state"] or "none"
            if seen.get(task["task_id"], "none") != now and now not in ("scheduled", "queued"):
                took = f"  {task['duration']:.1f} s" if task["duration"] else ""
                say(f"  {task['task_id']:<24} {now}{took}")
                seen[task["task_id"]] = now
        if state in ("success", "failed"):
            return state, {task["task_id"]: task["duration"] or 0.0 for task in tasks}
        if time.monotonic() > deadline:
            raise DemoError(f"the run of {DAG} has not ended within {RUN_SECONDS} s")
        time.sleep(0.5)


def _show_failure(api: AirflowApi) -> None:
    for task in api.tasks(DAG, api.run):
        if task["state"] == "failed":
            log = api.log(DAG, api.run, task["task_id"], task["try_number"])
            said = "\n".join(f"    {line}" for line in log[-12:])
            print(f"The log of {task['task_id']} ends with:\n{said}", file=sys.stderr)


def _report(systems: Systems, date: str) -> dict[str, Any]:
    from digits.layout import Layout

    layout = Layout.from_environment()
    s3 = s3_client(systems.environment)
    body = s3.get_object(Bucket=layout.bucket, Key=layout.report_key(date))["Body"].read()
    report: dict[str, Any] = json.loads(body)
    return report


def _start_page(stack: ExitStack, state: Path, systems: Systems, *, port: int) -> str:
    children = Children("page", state / "logs")
    stack.callback(children.stop)
    child = children.start(
        [sys.executable, "-m", "digits.web", "--host=127.0.0.1", f"--port={port}"],
        environment={**systems.environment, "PYTHONPATH": str(PIPELINES)},
        separate_output=True,
    )
    child.wait_ready(lambda: "\n" in child.output.read_text(), seconds=60)
    return str(json.loads(child.output.read_text().splitlines()[0])["url"])


def _predict(page: str) -> dict[str, Any]:
    """Show the page's API a digit that no model was trained on, as a PNG."""
    import numpy as np
    from PIL import Image

    from digits.sample import bundled_digits

    train, _, test = bundled_digits()
    # The most typical of them all: a demo is no place for a digit that people argue about.
    means = np.stack([train.images[train.labels == digit].mean(axis=0) for digit in range(10)])
    row = int(np.linalg.norm(test.images - means[test.labels], axis=1).argmin())
    pixels = (255 - 255 * test.images[row].reshape(28, 28)).astype(np.uint8)
    picture = io.BytesIO()
    Image.fromarray(pixels).resize((280, 280)).save(picture, "PNG")
    answer = httpx.post(
        page, content=picture.getvalue(), headers={"Content-Type": "image/png"}, trust_env=False
    )
    if answer.status_code != 200:
        raise DemoError(f"the page answered {answer.status_code}: {answer.text[:500]}")
    said = answer.json()
    kept = {key: said[key] for key in ("digit", "cluster", "distance")}
    return {**kept, "model": said["model"]["variant"], "expected": int(test.labels[row])}


def _invite(page: str, systems: Systems) -> None:
    airflow = systems["airflow"]
    notes = airflow.offer.notes
    print(
        f"""
  Draw a digit:   {page}
  Airflow:        {airflow.endpoint}/dags/{DAG}   login {notes["login"]}, password {notes["password"]}
  S3:             {systems["s3"].endpoint}
  SageMaker:      {systems["sagemaker"].endpoint}

Ctrl-C stops all.
""",  # noqa: E501
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
