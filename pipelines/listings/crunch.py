"""Finds whose price moved fastest, over all months up to one. Runs anywhere that has pyarrow.

    python crunch.py --bucket inside-airbnb --start 2015-04 --month 2019-12

One program, whoever starts it: a container engine, sshd, spark-submit or Livy. It imports nothing
of this project or of Airflow. It reads ``listings/YYYY-MM.csv`` (or ``.parquet``) and writes

    results/YYYY-MM/rises.json, falls.json   the five listings whose price rose and fell fastest
    results/YYYY-MM/trend.json               the median price by month and neighbourhood
    results/YYYY-MM/movers.jsonl             rises and falls as rows for a table

Where the months are read differs: with ``--spark`` Spark's executors read them, else this process
does. What comes out is the same, byte for byte.

S3 is reached as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL_S3 say;
with ``--spark`` else as Spark's properties ``spark.hadoop.fs.s3a.*`` do. Google Cloud Storage
(``--store gs``) as LISTINGS_STORE_TOKEN and LISTINGS_STORE_ENDPOINT say, Azure Blob Storage
(``--store az``) as LISTINGS_STORE_ACCOUNT, ..._ACCESS_KEY or ..._SAS_TOKEN and ..._ENDPOINT do;
with ``--spark`` else as the properties ``spark.listings.*``. What is missing is found as the
store's own clients find it.

Memory: one month's file, and 40 bytes for each listing and month.

Over 400 lines: one program that is copied as one file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, fs, parquet

_ACCESS = ("endpoint", "account", "access_key", "sas_token", "token")
MOVERS = 5
"""How many rises and how many falls are told."""

#: What is read of a month, and as what.
TYPES = {
    "id": pa.int64(),
    "download_date": pa.date32(),
    "price": pa.decimal128(12, 2),
    "neighbourhood": pa.string(),
    "name": pa.string(),
}
EPOCH = date(1970, 1, 1)


class MissingMonthError(Exception):
    """A month of the history has not been exported."""


def months(start: str, end: str) -> list[str]:
    """List months.

    Args:
        start: The first, like ``2015-04``.
        end: The last.
    """
    first, last = (int(text[:4]) * 12 + int(text[5:7]) - 1 for text in (start, end))
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1)]


# ------------------------------------------------------------------------------------ the numbers


def digest(table: pa.Table) -> dict[str, Any]:
    """Reduce one month to what the history needs of it.

    A listing without a price on a day counts as not seen that day.

    Args:
        table: Columns ``id``, ``download_date``, ``price`` and ``neighbourhood``.

    Returns:
        ``seen``: an integer array of five columns (id, first day, first price, last day, last
        price), a row a listing; days since 1970, prices in cents. ``trend``: a list of
        ``[neighbourhood, listings, median price in cents]``. ``rows``: how many there were.
    """
    priced = table.filter(pc.is_valid(table["price"]))
    cents = pc.multiply(priced["price"], pa.scalar(Decimal(100), pa.decimal128(3, 0)))
    price = cents.cast(pa.int64()).to_numpy()
    ids = priced["id"].to_numpy()
    days = priced["download_date"].cast(pa.int32()).to_numpy().astype(np.int64)
    # The price last: two rows of one day stand in the same order in every system.
    order = np.lexsort((price, days, ids))
    ids, days, by_day = ids[order], days[order], price[order]
    first = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1)) if len(ids) else order
    last = np.append(first[1:], len(ids))[: len(first)] - 1
    seen = np.stack([ids[first], days[first], by_day[first], days[last], by_day[last]], axis=1)
    return {"seen": seen, "trend": _trend(priced["neighbourhood"], price), "rows": len(table)}


def _trend(column: pa.ChunkedArray, price: np.ndarray[Any, Any]) -> list[list[Any]]:
    names = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    order = np.lexsort((price, codes))
    ends = np.cumsum(np.bincount(codes, minlength=len(names.dictionary))).tolist()
    found = []
    for name, start, end in zip(names.dictionary.to_pylist(), [0, *ends], ends, strict=False):
        size = end - start
        middle = price[order[start + (size - 1) // 2 : start + size // 2 + 1]]
        found.append([name, size, int(middle.sum()) / len(middle)])
    return sorted(found)


def fastest(seen: Sequence[np.ndarray[Any, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Find the listings whose price rose and fell fastest a day, between first and last sight.

    Args:
        seen: One array a month, as `digest` gives it, in the order of the months.

    Returns:
        ``rises`` and ``falls``, the fastest first; of equal ones the lower id first.
    """
    every = np.concatenate([np.empty((0, 5), np.int64), *seen])
    # Stable: within a listing the months stay in their order.
    every = every[np.argsort(every[:, 0], kind="stable")]
    ids = every[:, 0]
    first = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])) if len(ids) else np.array([], int)
    last = np.append(first[1:], len(ids))[: len(first)] - 1
    start, end = every[first], every[last]
    days, change = end[:, 3] - start[:, 1], end[:, 4] - start[:, 2]
    # Two integers below 2**53: the quotient is rounded once, and alike on every machine.
    speed = np.divide(change, days, out=np.zeros(len(days)), where=days > 0)
    found = {}
    for direction, sign in (("rises", 1), ("falls", -1)):
        rows = np.flatnonzero(sign * speed > 0)
        rows = rows[np.lexsort((start[rows, 0], -sign * speed[rows]))][:MOVERS]
        found[direction] = [
            {
                "listing_id": int(start[row, 0]),
                "first_date": _day(start[row, 1]),
                "first_price": int(start[row, 2]) / 100,
                "last_date": _day(end[row, 3]),
                "last_price": int(end[row, 4]) / 100,
                "days": int(days[row]),
                "change_per_day": round(float(speed[row]) / 100, 6),
            }
            for row in rows
        ]
    return found


def _day(days: int) -> str:
    return (EPOCH + timedelta(days=int(days))).isoformat()


# ------------------------------------------------------------------------------------ the objects


def file_system(settings: Mapping[str, str]) -> fs.FileSystem:
    """Connect to the store.

    Args:
        settings: ``store``, with ``access_key``, ``secret_key``, ``region``, ``endpoint`` of S3;
            ``token``, ``endpoint`` of Google Cloud Storage; ``account``, ``access_key`` or
            ``sas_token``, ``endpoint`` of Azure. What is missing is found as the store's own
            clients find it.
    """
    store = settings.get("store") or "s3"
    scheme, _, host = settings.get("endpoint", "").rpartition("://")
    options: dict[str, Any] = {}
    if store == "gs":
        if host:
            options.update(endpoint_override=host.rstrip("/"), scheme=scheme or "https")
        if token := settings.get("token"):
            options["access_token"] = token
            options["credential_token_expiration"] = datetime.now(UTC) + timedelta(hours=1)
        elif host:
            options["anonymous"] = True  # An emulator.
        return fs.GcsFileSystem(**options)
    if store == "az":
        options["account_name"] = settings.get("account", "")
        if key := settings.get("access_key"):
            options["account_key"] = key
        elif signature := settings.get("sas_token"):
            options["sas_token"] = f"?{signature.removeprefix('?')}"
        if host:
            place, _, path = host.partition("/")
            # Of an emulator the account is the path, else it begins the name.
            place = place if path.strip("/") else place.removeprefix(options["account_name"])
            options.update(blob_storage_authority=place, blob_storage_scheme=scheme or "https")
            options.update(dfs_storage_authority=place, dfs_storage_scheme=scheme or "https")
        return fs.AzureFileSystem(**options)
    # Small objects are put in one request: nothing is left of one that was not whole.
    options["allow_delayed_open"] = True
    if settings.get("access_key"):
        options.update(access_key=settings["access_key"], secret_key=settings["secret_key"])
    if host:
        options.update(endpoint_override=host, scheme=scheme or "https")
    if settings.get("region"):
        options["region"] = settings["region"]
    return fs.S3FileSystem(**options)


def read(settings: Mapping[str, str], path: str, columns: Sequence[str]) -> tuple[pa.Table, int]:
    """Read columns of a month's file.

    Args:
        settings: Of the store, see `file_system`.
        path: ``BUCKET/KEY``; the ending says whether it is CSV or Parquet.
        columns: Their names.

    Returns:
        The table, and the file's size in bytes.

    Raises:
        MissingMonthError: There is no such object.
    """
    try:
        # A stream is read once from its beginning; a file would be asked for its size first.
        with file_system(settings).open_input_stream(path) as stream:
            content = stream.readall()
    except FileNotFoundError:
        store = settings.get("store") or "s3"
        raise MissingMonthError(
            f"{store}://{path} is missing: run the DAG for that month first."
        ) from None
    wanted = {name: TYPES[name] for name in columns}
    source = pa.BufferReader(content)
    if path.endswith(".parquet"):
        table = parquet.read_table(source, columns=list(wanted)).cast(pa.schema(wanted))
    else:
        table = csv.read_csv(
            source,
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=wanted,
                include_columns=list(wanted),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    return table, len(content)


def read_month(settings: Mapping[str, str], path: str) -> dict[str, Any]:
    """Read and reduce one month; see `digest`, beside which the size stands as ``bytes``."""
    columns = ("id", "download_date", "price", "neighbourhood")
    table, size = read(settings, path, columns)
    return {**digest(table), "bytes": size}


def name_movers(
    movers: Iterable[dict[str, Any]], settings: Mapping[str, str], path: Callable[[str], str]
) -> None:
    """Add name and neighbourhood of each mover's last sight.

    Args:
        movers: As `fastest` tells them; changed in place.
        settings: Of the store.
        path: Where a month's file is.
    """
    by_month: dict[str, list[dict[str, Any]]] = {}
    for mover in movers:
        by_month.setdefault(mover["last_date"][:7], []).append(mover)
    for month, wanted in sorted(by_month.items()):
        columns = ("id", "download_date", "price", "name", "neighbourhood")
        table, _ = read(settings, path(month), columns)
        ids = pa.array([mover["listing_id"] for mover in wanted])
        table = table.filter(
            pc.and_(pc.is_in(table["id"], value_set=ids), pc.is_valid(table["price"]))
        )
        known = {(row["id"], row["download_date"].isoformat()): row for row in table.to_pylist()}
        for mover in wanted:
            row = known[mover["listing_id"], mover["last_date"]]
            mover.update(name=row["name"], neighbourhood=row["neighbourhood"])


def crunch(
    bucket: str,
    start: str,
    month: str,
    *,
    settings: Mapping[str, str],
    form: str = "csv",
    each: Callable[[Callable[[str], Any], list[str]], Iterable[Any]] = map,
) -> dict[str, Any]:
    """Read the history up to a month, and write the month's results.

    Args:
        bucket: The bucket.
        start: The first month of the history.
        month: The last, whose results these are.
        settings: Of the store, see `file_system`.
        form: ``csv`` or ``parquet``.
        each: Calls a function for each path; its results come in the order of the paths.

    Returns:
        What was read: ``months``, ``rows``, ``bytes``.
    """

    def path(of: str) -> str:
        return f"{bucket}/listings/{of}.{form}"

    history = months(start, month)
    digests = list(each(lambda one: read_month(settings, one), [path(one) for one in history]))
    found = fastest([one["seen"] for one in digests])
    name_movers([*found["rises"], *found["falls"]], settings, path)
    trend = [
        {"month": one, "neighbourhood": name, "listings": count, "median_price": median / 100}
        for one, told in zip(history, digests, strict=True)
        for name, count, median in told["trend"]
    ]
    results = {
        "movers.jsonl": "".join(f"{_json(row)}\n" for row in _rows(month, found)),
        "trend.json": f"{_json(trend)}\n",
        "rises.json": f"{_json(found['rises'], indent=1)}\n",
        "falls.json": f"{_json(found['falls'], indent=1)}\n",
    }
    store = file_system(settings)
    for name, text in results.items():
        kind = {"Content-Type": "application/json"}
        with store.open_output_stream(f"{bucket}/results/{month}/{name}", metadata=kind) as out:
            out.write(text.encode())
    return {
        "months": len(history),
        "rows": sum(one["rows"] for one in digests),
        "bytes": sum(one["bytes"] for one in digests),
    }


def _rows(month: str, found: Mapping[str, list[dict[str, Any]]]) -> Iterable[dict[str, Any]]:
    """Ten rows, always: an upsert by month, direction and place leaves no row of an earlier run."""
    fields = ("listing_id", "name", "neighbourhood", "first_date", "first_price", "last_date")
    for direction, movers in found.items():
        for place in range(MOVERS):
            mover = movers[place] if place < len(movers) else {}
            told = {name: mover.get(name) for name in (*fields, "last_price", "change_per_day")}
            yield {"month": f"{month}-01", "direction": direction, "place": place + 1, **told}


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


# ---------------------------------------------------------------------------------- the program


def main() -> int:
    """Crunch one month; the exit status is 1 when a month of its history is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", choices=["s3", "gs", "az"], default="s3")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--start", required=True, help="first month of the history")
    parser.add_argument("--month", required=True, help="last month of the history")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--spark", action="store_true", help="let Spark's executors read")
    given = parser.parse_args()
    began = time.monotonic()
    settings, each, stop = _surroundings(given.store, spark=given.spark)
    try:
        told = crunch(
            given.bucket, given.start, given.month, settings=settings, form=given.format, each=each
        )
    except MissingMonthError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        stop()
    told["seconds"] = round(time.monotonic() - began, 2)
    print("CRUNCHED " + json.dumps(told), flush=True)
    if result := os.environ.get("TRADEWIND_RESULT"):
        with open(result, "w") as file:
            json.dump(told, file)
    return 0


def _surroundings(store: str, *, spark: bool) -> tuple[dict[str, str], Any, Callable[[], None]]:
    """Tell how the store is reached, how a function is called for each path, and how to end."""
    prefix = "spark.hadoop.fs.s3a" if store == "s3" else "spark.listings"
    names = {name: (f"LISTINGS_STORE_{name.upper()}", name.replace("_", ".")) for name in _ACCESS}
    if store == "s3":
        names = {
            "access_key": ("AWS_ACCESS_KEY_ID", "access.key"),
            "secret_key": ("AWS_SECRET_ACCESS_KEY", "secret.key"),
            "region": ("AWS_REGION", "endpoint.region"),
            "endpoint": ("AWS_ENDPOINT_URL_S3", "endpoint"),
        }
    settings = {name: os.environ.get(variable, "") for name, (variable, _) in names.items()}
    settings["store"] = store
    if not spark:
        return settings, map, lambda: None
    from pyspark.sql import SparkSession

    session = SparkSession.builder.appName("listings").getOrCreate()
    context = session.sparkContext
    for name, (_, key) in names.items():
        settings[name] = settings[name] or context.getConf().get(f"{prefix}.{key}", "")

    def each(function: Callable[[str], Any], paths: list[str]) -> list[Any]:
        parts = min(len(paths), context.defaultParallelism)
        return list(context.parallelize(paths, parts).map(function).collect())

    return settings, each, session.stop


if __name__ == "__main__":
    sys.exit(main())
