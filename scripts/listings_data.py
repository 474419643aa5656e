"""Fills the databases of the listings demo, and serves its REST API and its reports."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from listings.seed import City, rates

__all__ = ["movers_by_sql", "seed_mongodb", "seed_postgres", "serving"]

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "pipelines" / "listings" / "schema.sql"
PAGE = 50
_THERE = """SELECT EXISTS (SELECT FROM listings
  WHERE download_date >= $1::date AND download_date < $1::date + interval '1 month')"""

#: The movers without crunch.py: first and last sight of each listing, and numbers without end.
_MOVERS = """WITH priced AS (
  SELECT id, download_date AS day, price FROM listings
  WHERE price IS NOT NULL AND download_date < $1::date + interval '1 month'),
first AS (SELECT DISTINCT ON (id) * FROM priced ORDER BY id, day),
last AS (SELECT DISTINCT ON (id) * FROM priced ORDER BY id, day DESC),
moved AS (SELECT id, first.day AS first, last.day AS last,
    (last.price - first.price) / (last.day - first.day) AS speed
  FROM first JOIN last USING (id) WHERE last.day > first.day)
SELECT id, first, last, round(speed, 6) AS speed FROM moved
WHERE speed * $2 > 0 ORDER BY speed * $2 DESC, id LIMIT 5"""


def seed_postgres(environment: Mapping[str, str], city: City, months: Sequence[str]) -> int:
    """Make the tables and fill them by COPY, a month at a time.

    Args:
        environment: Leads to the server.
        city: What to fill in.
        months: Which months.

    Returns:
        Rows that are there; a month that is there already stays.
    """
    return asyncio.run(_seed_postgres(environment, city, months))


def movers_by_sql(environment: Mapping[str, str], month: str) -> dict[str, list[list[Any]]]:
    """Find the movers of a month by a query, to hold what crunch.py found against.

    Args:
        environment: Leads to the server.
        month: The last of the history.

    Returns:
        ``rises`` and ``falls``: lists of listing, first day, last day, and change a day.
    """
    return asyncio.run(_movers_by_sql(environment, month))


async def _movers_by_sql(environment: Mapping[str, str], month: str) -> dict[str, list[list[Any]]]:
    connection = await _connect(environment)
    try:
        found = {}
        for direction, sign in (("rises", 1), ("falls", -1)):
            found[direction] = [
                [row["id"], f"{row['first']}", f"{row['last']}", float(row["speed"])]
                for row in await connection.fetch(_MOVERS, _first(month), sign)
            ]
        return found
    finally:
        await connection.close()


async def _connect(environment: Mapping[str, str]) -> Any:
    import asyncpg

    return await asyncpg.connect(
        host=environment["PGHOST"],
        port=int(environment["PGPORT"]),
        user=environment["PGUSER"],
        password=environment["PGPASSWORD"],
        database=environment["PGDATABASE"],
    )


async def _seed_postgres(environment: Mapping[str, str], city: City, months: Sequence[str]) -> int:
    connection = await _connect(environment)
    try:
        if not await connection.fetchval("SELECT to_regclass('listings') IS NOT NULL"):
            async with connection.transaction():
                await connection.execute(SCHEMA.read_text())
        # A month is one COPY: there whole, or not at all when a demo was interrupted here.
        wanted = [month for month in months if not await connection.fetchval(_THERE, _first(month))]
        if wanted:
            with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
                for content in pool.map(partial(_month, city.rows, city.seed), wanted):
                    await connection.copy_to_table(
                        "listings", source=io.BytesIO(content), format="csv"
                    )
            await connection.execute("ANALYZE listings")
        return int(await connection.fetchval("SELECT count(*) FROM listings"))
    finally:
        await connection.close()


def _first(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def _month(rows: int, seed: int, month: str) -> bytes:
    return City(rows, seed).csv(month)


def seed_mongodb(environment: Mapping[str, str], city: City, months: Sequence[str]) -> int:
    """Fill the collection of reviews.

    Returns:
        Documents that are there.
    """
    from pymongo import MongoClient

    client: MongoClient[dict[str, Any]] = MongoClient(
        environment["MONGODB_URI"], password=environment["MONGODB_PASSWORD"]
    )
    with client:
        reviews = client.get_default_database()["reviews"]
        reviews.create_index("date")
        known = set(reviews.distinct("month"))
        for month in months:
            if month not in known:
                # The month last: an interrupted insertion is begun anew.
                made = city.reviews(month)
                reviews.delete_many({"_id": {"$in": [one["_id"] for one in made]}})
                reviews.insert_many([{**one, "month": month} for one in made])
        return int(reviews.estimated_document_count())


@contextmanager
def serving(read: Callable[[str], bytes], port: int = 0) -> Iterator[str]:
    """Serve ``/rates`` a page at a time, and the reports of the bucket.

    Args:
        read: Gives the content of a key.
        port: Where to listen; any free one when not given.

    Yields:
        The address.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/rates":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                page = int(query.get("page", "1"))
                every = rates(date.fromisoformat(query["start"]), date.fromisoformat(query["end"]))
                told = {
                    "page": page,
                    "total": len(every),
                    "rates": every[(page - 1) * PAGE : page * PAGE],
                }
                self._answer(200, "application/json", json.dumps(told).encode())
                return
            if parts.path.startswith("/reports/"):
                with suppress(Exception):
                    self._answer(200, "text/html; charset=utf-8", read(parts.path.lstrip("/")))
                    return
            self._answer(404, "text/plain", b"not found")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
