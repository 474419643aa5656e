"""The listings application on this machine: all its systems, and 57 months of catch-up.

python scripts/demo_listings.py           until Ctrl-C; started again, it goes on where it was
python scripts/demo_listings.py --once    from the beginning; the last line is JSON

LISTINGS_MONTHS=6 and LISTINGS_ROWS=2000 make it shorter; LISTINGS_WAYS=ssh,spark tries these alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

ROOT = Path(__file__).resolve().parent.parent
PIPELINES = ROOT / "pipelines"
sys.path[:0] = [str(PIPELINES)]

from airflow_api import AirflowApi  # noqa: E402
from demo_helpers import (  # noqa: E402
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
from listings.crunch import months as months_between  # noqa: E402
from listings.seed import FIRST, LAST, City  # noqa: E402
from listings_data import movers_by_sql, seed_mongodb, seed_postgres, serving  # noqa: E402
from listings_ways import WAYS, start_ways  # noqa: E402
from tradewind.errors import TradewindError  # noqa: E402
from tradewind.local import Systems, up  # noqa: E402
from tradewind.local.system import AWS_REGION  # noqa: E402

DAG = "listings"
BUCKET = "inside-airbnb"
SYSTEMS = ("s3", "postgres", "mongodb", "airflow")
MONTHS = months_between(FIRST, LAST)[: int(os.environ.get("LISTINGS_MONTHS", "57"))]
ROWS = int(os.environ.get("LISTINGS_ROWS", "20000"))
RUN_SECONDS = 3600
REPORTS_PORT = 8010


def main() -> int:
    """Run the demo; the exit status is 0 when all went well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="from the beginning, then end")
    parser.add_argument("--state", type=Path, help="folder that all state is kept in")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    state = given.state or ROOT / ".tradewind" / ("listings-once" if given.once else "listings")
    began = time.monotonic()
    result: dict[str, Any] = {"dag": DAG, "state": "not run"}
    status = 1
    try:
        if given.once:
            shutil.rmtree(state, ignore_errors=True)
        with ExitStack() as stack:
            try:
                _play(stack, state, result, once=given.once, began=began)
                status = 0
            finally:
                say("Stopping ...")
    except KeyboardInterrupt:
        status = 130 if given.once else 0
    except (TradewindError, DemoError, httpx.HTTPError) as error:
        print(f"demo: {error}", file=sys.stderr)
    result.setdefault("seconds", round(time.monotonic() - began, 1))
    if given.once:
        print(json.dumps(result), flush=True)
    return status


def _play(
    stack: ExitStack, state: Path, result: dict[str, Any], *, once: bool, began: float
) -> None:
    if not MONTHS:
        raise DemoError("LISTINGS_MONTHS is 0 or less; give 1 to 57")
    state.mkdir(parents=True, exist_ok=True)
    wanted = os.environ.get("LISTINGS_WAYS", ",".join(WAYS)).split(",")
    with phase("the ways to run crunch.py are up"):
        ready, missing = start_ways(stack, state / "ways", wanted)
    for name, why in missing.items():
        say(f"  {name} is left out: {why}")
    result["missing"] = missing
    if not ready:
        raise DemoError("there is no way to run crunch.py; see the remedies above")
    store: dict[str, Any] = {}

    def read(key: str) -> bytes:
        return bytes(store["s3"].get_object(Bucket=BUCKET, Key=key)["Body"].read())

    # The usual port where it is free: links of months that ran before lead there.
    address = stack.enter_context(serving(read, 0 if once else free_or_any(REPORTS_PORT)))
    _surround(ready, address, state)
    with phase("S3, PostgreSQL, MongoDB and Airflow are up"):
        systems = stack.enter_context(
            up(SYSTEMS, data=state / "data", ports=ports(SYSTEMS, once=once))
        )
    store["s3"] = s3_client(systems.full_environment())
    with phase(f"{len(MONTHS)} months of data are there"):
        result["rows"] = _seed(systems, store["s3"])
    airflow = systems["airflow"]
    notes = airflow.offer.notes
    api = stack.enter_context(
        closing(AirflowApi(airflow.endpoint, notes["login"], notes["password"]))
    )
    with phase(f"Airflow has read the DAG {DAG}"):
        wait(lambda: dag_is_known(api, DAG), systems, seconds=180, what=f"DAG {DAG} in Airflow")
    api.unpause(DAG)
    say(f"The DAG {DAG} catches up, crunched by {next(iter(ready))}. Airflow: {airflow.endpoint}")
    caught_up = time.monotonic()
    with phase(f"{len(MONTHS)} months are done"):
        _watch(api, systems)
    result["catch_up_seconds"] = round(time.monotonic() - caught_up, 1)
    before = _objects(store["s3"])
    ways = _try_ways(api, systems, list(ready), store["s3"])
    after = _objects(store["s3"])
    result.update(
        months=len(MONTHS),
        bytes=sum(size for key, (size, _) in after.items() if key.startswith("listings/")),
        ways=ways,
        agree=len({way["answer"] for way in ways.values()}) == 1,
        # Calculated a second time by PostgreSQL, from the rows themselves.
        right=_alike(_found(read), movers_by_sql(systems.environment, MONTHS[-1])),
        movers=_found(read),
        export_megabytes=_largest_export(state),
        reruns_changed=sorted(
            key for key in {*before, *after} if before.get(key) != after.get(key)
        ),
        # Where the button at the task leads.
        report=api.links(DAG, _last_run(api)["dag_run_id"], "publish_report")["Report"],
        seconds=round(time.monotonic() - began, 1),
    )
    _table(result)
    for wrong, what in (
        (not result["agree"], f"the ways disagree: {json.dumps(ways)}"),
        (not result["right"], f"PostgreSQL finds other movers than {json.dumps(result['movers'])}"),
        (result["reruns_changed"], f"a rerun changed {result['reruns_changed']}"),
        (
            {way["rows"] for way in ways.values()} != {result["rows"]},
            f"not all of the {result['rows']:,} listings were read: {json.dumps(ways)}",
        ),
    ):
        if wrong:
            raise DemoError(what)
    result["state"] = "success"
    if not once:
        _invite(result["report"], systems)
        while True:
            look(systems)
            time.sleep(0.5)


def _surround(ready: dict[str, dict[str, str]], address: str, state: Path) -> None:
    """Set what Airflow's parts find in their environment."""
    for variables in ready.values():
        os.environ.update(variables)
    where = urlsplit(address)
    api = {"conn_type": "http", "host": where.hostname, "port": where.port, "schema": "http"}
    os.environ.update(
        AIRFLOW__CORE__DAGS_FOLDER=str(PIPELINES / "listings"),
        PYTHONPATH=os.pathsep.join(filter(None, (str(PIPELINES), os.environ.get("PYTHONPATH")))),
        AIRFLOW_CONN_RATES_API=json.dumps(api),
        LISTINGS_MONTHS=str(len(MONTHS)),
        LISTINGS_REPORTS=address,
        LISTINGS_WAY=next(iter(ready)),
        LISTINGS_RETRY_SECONDS="5",
        LISTINGS_PEAKS=str(state / "peaks.jsonl"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(Path(__file__).with_name("airflow_plugins")),
        # After a demo that was killed, the next one takes up its tasks in seconds, not minutes.
        AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD="30",
        AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL="15",
    )


def _seed(systems: Systems, s3: Any) -> int:
    known = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    if BUCKET not in known:
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": AWS_REGION}
        )
    city = City(ROWS)
    rows = seed_postgres(systems.environment, city, MONTHS)
    reviews = seed_mongodb(systems.environment, city, MONTHS)
    say(f"  {rows:,} listings in PostgreSQL, {reviews:,} reviews in MongoDB")
    return rows


def _watch(api: AirflowApi, systems: Systems) -> None:
    """Print how far the months are, until all of them have ended well."""
    said: tuple[int, ...] = ()
    spoke = 0.0
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        look(systems)
        states = [run["state"] for run in _runs(api)]
        done, running, failed = (states.count(s) for s in ("success", "running", "failed"))
        if failed:
            _show_failure(api)
            raise DemoError(f"{failed} months have failed; Airflow: {systems['airflow'].endpoint}")
        if done == len(MONTHS):
            return
        if (done, running) != said and time.monotonic() - spoke > 5:
            say(f"  {done:>3} months done, {running} running")
            said, spoke = (done, running), time.monotonic()
        if time.monotonic() > deadline:
            raise DemoError(f"the months are not done within {RUN_SECONDS} s")
        # Each answer costs the API server as much as a small task.
        time.sleep(3)


def _try_ways(
    api: AirflowApi, systems: Systems, names: list[str], s3: Any
) -> dict[str, dict[str, Any]]:
    """Run the last month by each way, one after the other, and tell what each took and answered."""
    told = {}
    for name in names:
        with phase(f"{MONTHS[-1]} by {name}"):
            _backfill(api, systems, name)
            _watch(api, systems)
        run = _last_run(api)
        task = next(
            task
            for task in api.tasks(DAG, run["dag_run_id"])
            if task["task_id"] == f"crunch_numbers.{name}"
        )
        log = api.log(DAG, run["dag_run_id"], task["task_id"], task["try_number"])
        said = next((line for line in log if "CRUNCHED " in line), None)
        if said is None:
            raise DemoError(f"the log of {name} lacks what was crunched; it ends with {log[-9:]}")
        crunched = json.loads(said.split("CRUNCHED ")[1])
        told[name] = {
            "seconds": round(task["duration"], 2),
            "crunching": crunched["seconds"],
            "rows": crunched["rows"],
            "answer": _answer(s3),
        }
    return told


def _backfill(api: AirflowApi, systems: Systems, way: str) -> None:
    """Run the last month again by a way, and wait until its run is cleared."""
    before = _last_run(api)["start_date"]

    def started() -> bool:
        return api.backfill(DAG, MONTHS[-1], {"way": way})

    def cleared() -> bool:
        return bool(_last_run(api)["start_date"] != before)

    wait(started, systems, seconds=180, what="backfill while another one is active")
    wait(cleared, systems, seconds=60, what="run of the backfill")


def _runs(api: AirflowApi) -> list[dict[str, Any]]:
    """Give the months' runs in their order."""
    found = [run for run in api.runs(DAG) if str(run["logical_date"])[:7] in MONTHS]
    return sorted(found, key=lambda run: str(run["logical_date"]))


def _last_run(api: AirflowApi) -> dict[str, Any]:
    return _runs(api)[-1]


def _objects(s3: Any) -> dict[str, tuple[int, str]]:
    """Size and checksum of every object of the bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {
        each["Key"]: (each["Size"], each["ETag"])
        for page in pages
        for each in page.get("Contents", ())
    }


def _answer(s3: Any) -> str:
    """Give one checksum for all results of the last month."""
    prefix = f"results/{MONTHS[-1]}/"
    found = [each for each in sorted(_objects(s3).items()) if each[0].startswith(prefix)]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def _found(read: Callable[[str], bytes]) -> dict[str, list[list[Any]]]:
    """Give the movers of the last month: listing, first day, last day, euros a day."""
    return {
        name: [
            [row["listing_id"], row["first_date"], row["last_date"], row["change_per_day"]]
            for row in json.loads(read(f"results/{MONTHS[-1]}/{name}.json"))
        ]
        for name in ("rises", "falls")
    }


def _alike(one: dict[str, list[list[Any]]], other: dict[str, list[list[Any]]]) -> bool:
    """Whether both tell the same movers; the sixth decimal may be rounded in two ways."""
    return all(
        len(one[name]) == len(other[name])
        and all(
            mine[:3] == theirs[:3] and abs(mine[3] - theirs[3]) < 2e-6
            for mine, theirs in zip(one[name], other[name], strict=True)
        )
        for name in one
    )


def _largest_export(state: Path) -> float:
    """Give the megabytes that the largest process of an export took."""
    lines = (state / "peaks.jsonl").read_text().splitlines()
    peaks = [json.loads(line) for line in lines]
    return float(max(e["megabytes"] for e in peaks if e["task"].startswith("export_")))


def _show_failure(api: AirflowApi) -> None:
    for run in api.runs(DAG):
        if run["state"] != "failed":
            continue
        for task in api.tasks(DAG, run["dag_run_id"]):
            if task["state"] == "failed":
                log = api.log(DAG, run["dag_run_id"], task["task_id"], task["try_number"])
                said = "\n".join(f"    {line}" for line in log[-12:])
                where = f"{task['task_id']} of {run['logical_date'][:7]}"
                print(f"The log of {where} ends with:\n{said}", file=sys.stderr)
        return


def _table(result: dict[str, Any]) -> None:
    print(
        f"\n  months {result['months']}   listings {result['rows']:,}   "
        f"exported {result['bytes'] / 1e6:,.0f} MB   catch-up {result['catch_up_seconds']:.0f} s\n"
    )
    print(
        f"  largest process of an export {result['export_megabytes']:.0f} MB, "
        "Airflow's libraries included\n"
    )
    print(f"  {'way':<8} {'task, s':>8} {'crunching, s':>13} {'around it, s':>13}   answer")
    for name, way in result["ways"].items():
        first = next(iter(result["ways"].values()))
        same = "the same" if way["answer"] == first["answer"] else "ANOTHER"
        around = way["seconds"] - way["crunching"]
        print(
            f"  {name:<8} {way['seconds']:>8.1f} {way['crunching']:>13.1f} {around:>13.1f}   {same}"
        )
    for name, why in result["missing"].items():
        print(f"  {name:<8} {'-':>8} {'-':>13} {'-':>13}   {why.splitlines()[0]}")
    print(f"\n  report   {result['report']}\n", flush=True)


def _invite(report: str, systems: Systems) -> None:
    airflow = systems["airflow"]
    notes = airflow.offer.notes
    print(
        f"  Report:   {report}\n"
        f"  Airflow:  {airflow.endpoint}/dags/{DAG}   login {notes['login']}, "
        f"password {notes['password']}\n  S3:       {systems['s3'].endpoint}/{BUCKET}\n\n"
        "Ctrl-C stops all.\n",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
