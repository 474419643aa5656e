"""The numbers, against a second calculation that shares nothing with the first."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import pyarrow as pa
import pytest
from pyarrow import parquet

from listings import crunch
from listings.seed import City
from listings_movers import COLUMNS, as_dicts, expected
from tradewind.local import Systems

PROGRAM = Path(crunch.__file__)
HISTORY = crunch.months("2015-04", "2015-08")


class Bucket:
    def __init__(self, systems: Systems, name: str) -> None:
        self.environment = systems.environment
        self.name = name
        self.client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        )
        self.client.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": self.environment["AWS_REGION"]},
        )

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def results(self, month: str) -> dict[str, bytes]:
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=f"results/{month}/")
        return {each["Key"]: self.get(each["Key"]) for each in found["Contents"]}

    def crunch(self, month: str, form: str = "csv") -> dict[str, Any]:
        settings = {
            "access_key": self.environment["AWS_ACCESS_KEY_ID"],
            "secret_key": self.environment["AWS_SECRET_ACCESS_KEY"],
            "region": self.environment["AWS_REGION"],
            "endpoint": self.environment["AWS_ENDPOINT_URL_S3"],
        }
        return crunch.crunch(self.name, "2015-04", month, settings=settings, form=form)

    def program(self, month: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the program as a stranger's machine would: without this project."""
        command = [sys.executable, str(PROGRAM), f"--bucket={self.name}", "--start=2015-04"]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run(
            [*command, f"--month={month}", *more],
            env={**environment, **self.environment},
            capture_output=True,
            text=True,
        )


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS.split(","))
    writer.writerows(row.values() for row in rows)
    return out.getvalue().encode()


@pytest.fixture(scope="module")
def city() -> dict[str, list[dict[str, Any]]]:
    """Five months, of which one has no rows."""
    made = City(rows=300)
    return {month: [] if month == "2015-06" else as_dicts(made, month) for month in HISTORY}


@pytest.fixture(scope="module")
def bucket(local_s3: Systems, city: dict[str, list[dict[str, Any]]]) -> Bucket:
    one = Bucket(local_s3, "crunch")
    for month, rows in city.items():
        one.put(f"listings/{month}.csv", as_csv(rows))
    return one


def test_months_run_over_the_end_of_a_year():
    assert crunch.months("2015-11", "2016-02") == ["2015-11", "2015-12", "2016-01", "2016-02"]
    assert len(crunch.months("2015-04", "2019-12")) == 57


def test_the_movers_are_those_of_an_independent_calculation(bucket: Bucket, city):
    done = bucket.program("2015-08")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.split("CRUNCHED ")[1])
    assert told["months"] == 5
    assert told["rows"] == sum(map(len, city.values()))
    right = expected(city)
    for direction, movers in right.items():
        assert len(movers) == 5
        found = json.loads(bucket.get(f"results/2015-08/{direction}.json"))
        assert [
            (row["listing_id"], row["name"], row["neighbourhood"], row["first_date"])
            for row in found
        ] == [(m[1], m[2], m[3], m[4].isoformat()) for m in movers]
        assert [row["change_per_day"] for row in found] == [round(float(m[0]), 6) for m in movers]
    rows = [json.loads(line) for line in bucket.get("results/2015-08/movers.jsonl").splitlines()]
    assert [(row["direction"], row["place"]) for row in rows] == [
        (direction, place) for direction in ("rises", "falls") for place in range(1, 6)
    ]


def test_the_trend_is_the_median_of_each_month_and_neighbourhood(bucket: Bucket, city):
    bucket.crunch("2015-08")
    found = {
        (row["month"], row["neighbourhood"]): (row["listings"], row["median_price"])
        for row in json.loads(bucket.get("results/2015-08/trend.json"))
    }
    prices: dict[tuple[str, str], list[float]] = {}
    for month, rows in city.items():
        for row in rows:
            if row["price"] is not None:
                prices.setdefault((month, row["neighbourhood"]), []).append(float(row["price"]))
    assert found == {
        place: (len(each), pytest.approx(median(each))) for place, each in prices.items()
    }
    assert not [month for month, _ in found if month == "2015-06"]


def test_a_rerun_writes_the_same_bytes_and_no_other_month(bucket: Bucket):
    bucket.crunch("2015-05")
    bucket.crunch("2015-08")
    before = {**bucket.results("2015-05"), **bucket.results("2015-08")}
    bucket.crunch("2015-08")
    assert {**bucket.results("2015-05"), **bucket.results("2015-08")} == before


def test_the_first_month_has_no_movers_and_still_ten_rows(bucket: Bucket):
    bucket.crunch("2015-04")
    assert json.loads(bucket.get("results/2015-04/rises.json")) == []
    rows = [json.loads(line) for line in bucket.get("results/2015-04/movers.jsonl").splitlines()]
    assert len(rows) == 10
    assert {row["listing_id"] for row in rows} == {None}


def test_parquet_gives_the_same_as_csv(bucket: Bucket, city):
    bucket.crunch("2015-08")
    before = bucket.results("2015-08")
    for month, rows in city.items():
        types = [("id", pa.int64()), ("name", pa.string()), ("neighbourhood", pa.string())]
        types += [("price", pa.decimal128(10, 2)), ("download_date", pa.date32())]
        read = [
            {
                **row,
                "price": row["price"] and Decimal(row["price"]),
                "download_date": date.fromisoformat(row["download_date"]),
            }
            for row in rows
        ]
        file = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(read, schema=pa.schema(types)), file)
        bucket.put(f"listings/{month}.parquet", file.getvalue())
    bucket.crunch("2015-08", "parquet")
    assert bucket.results("2015-08") == before


def test_a_missing_month_is_named_and_nothing_is_written(bucket: Bucket):
    done = bucket.program("2015-09")
    assert done.returncode == 1
    assert "s3://crunch/listings/2015-09.csv is missing: run the DAG for that month" in done.stderr
    with pytest.raises(KeyError):
        bucket.results("2015-09")


def test_equal_speeds_are_told_by_the_lower_id_and_prices_of_a_day_in_their_order():
    def table(rows: list[tuple[int, int, str | None]]) -> pa.Table:
        return pa.table(
            {
                "id": pa.array([row[0] for row in rows], pa.int64()),
                "download_date": pa.array([date(2015, 4, row[1]) for row in rows], pa.date32()),
                "price": pa.array(
                    [row[2] and Decimal(row[2]) for row in rows], pa.decimal128(12, 2)
                ),
                "neighbourhood": pa.array(["X"] * len(rows)),
            }
        )

    april = table([(9, 1, "10.00"), (3, 2, "5.00"), (4, 1, None), (7, 1, "99999999.99")])
    later = table([(9, 3, "12.00"), (3, 4, "7.00"), (4, 3, "8.00"), (4, 5, "8.00")])
    found = crunch.fastest([crunch.digest(april)["seen"], crunch.digest(later)["seen"]])
    assert [(row["listing_id"], row["change_per_day"]) for row in found["rises"]] == [
        (3, 1.0),
        (9, 1.0),
    ]
    assert found["falls"] == []
