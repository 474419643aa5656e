"""The data of bench_move.py: made in the servers, in seconds, and the same each time."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

POSTGRES_ROWS = 3_000_000
MARIADB_ROWS = 1_500_000
MONGODB_ROWS = 1_000_000
REST_ROWS = 200_000
PAGE = 1_000

_COLUMNS = """
    id bigint not null, host_id integer not null, listing uuid not null, name text not null,
    neighbourhood text, room_type text not null, latitude double precision not null,
    longitude double precision not null, price numeric(10,2), minimum_nights smallint not null,
    number_of_reviews integer not null, rating real, available boolean not null, last_review date,
    created_at timestamptz not null, updated_at timestamp not null, details jsonb not null
"""

_POSTGRES = """
create table listings (@columns);
insert into listings
select i, (i * 7919) % 400000, md5(i::text)::uuid,
    'Listing "' || i || '", ' || (array['garden view','sunny loft','Zimmer für zwei','petit nid'])
        [1 + i % 4],
    case when i % 11 <> 0 then (array['Kreuzberg','Le Marais','Alfama','Old Town'])[1 + i % 4] end,
    (array['Entire home/apt','Private room','Shared room'])[1 + i % 3],
    52 + (i % 100003) / 250000.0, 13 + (i % 99991) / 300000.0,
    case when i % 17 <> 0 then ((i * 31) % 99999) / 100.0 end, i % 30, (i * 13) % 500,
    case when i % 5 <> 0 then (i % 50) / 10.0 end, i % 2 = 0,
    case when i % 7 <> 0 then date '2015-01-01' + (i % 3600)::integer end,
    timestamptz '2019-03-01 00:00:00+00' + i * interval '37 seconds',
    timestamp '2020-01-01' + i * interval '11 seconds',
    ('{"beds": ' || i % 6 || ', "wifi": ' || (i % 3 = 0) || '}')::jsonb
from generate_series(1::bigint, @rows) as i;
create table loaded (@columns);
analyze listings;
"""

_MARIADB = """
create table listings (
    id bigint not null, host_id int unsigned not null, name varchar(120) not null,
    neighbourhood varchar(40), room_type varchar(40) not null, latitude double not null,
    longitude double not null, price decimal(10,2), minimum_nights smallint not null,
    number_of_reviews int not null, rating double, available tinyint not null, last_review date,
    created_at datetime(6) not null, details text not null
) engine=InnoDB default charset=utf8mb4;
insert into listings
select seq, (seq * 7919) % 400000,
    concat('Listing "', seq, '", ', elt(1 + seq % 4, 'garden view', 'sunny loft',
        'Zimmer für zwei', 'petit nid')),
    if(seq % 11, elt(1 + seq % 4, 'Kreuzberg', 'Le Marais', 'Alfama', 'Old Town'), null),
    elt(1 + seq % 3, 'Entire home/apt', 'Private room', 'Shared room'),
    52 + (seq % 100003) / 250000e0, 13 + (seq % 99991) / 300000e0,
    if(seq % 17, ((seq * 31) % 99999) / 100, null), seq % 30, (seq * 13) % 500,
    if(seq % 5, (seq % 50) / 10e0, null), seq % 2,
    if(seq % 7, date '2015-01-01' + interval (seq % 3600) day, null),
    timestamp '2019-03-01 00:00:00' + interval seq * 37 second,
    concat('{"beds": ', seq % 6, ', "wifi": ', if(seq % 3, 'false', 'true'), '}')
from seq_1_to_@rows;
"""


def make_postgres(rows: int) -> None:
    """Fill PostgreSQL's table of listings: 17 columns, about 176 bytes a row as CSV."""
    script = _POSTGRES.replace("@columns", _COLUMNS).replace("@rows", str(rows))
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1"], input=script, text=True, check=True)


def make_mariadb(rows: int) -> None:
    """Fill MariaDB's: 15 columns."""
    import MySQLdb

    connection = MySQLdb.connect(
        host=os.environ["MYSQL_HOST"],
        port=int(os.environ["MYSQL_TCP_PORT"]),
        user=os.environ["MYSQL_USER"],
        passwd=os.environ["MYSQL_PWD"],
        db=os.environ["MYSQL_DATABASE"],
        charset="utf8mb4",
    )
    with connection.cursor() as cursor:
        for statement in _MARIADB.replace("@rows", str(rows)).split(";\n"):
            if statement.strip():
                cursor.execute(statement)
    connection.commit()
    connection.close()


def make_mongodb(rows: int) -> None:
    """Fill MongoDB's collection of listings: about 185 bytes of BSON a document."""
    import pymongo

    user, _, rest = os.environ["MONGODB_URI"].partition("@")
    client: Any = pymongo.MongoClient(f"{user}:{os.environ['MONGODB_PASSWORD']}@{rest}")
    thousands = max(rows // 1000, 1)
    number: dict[str, Any] = {"$add": [{"$multiply": ["$a", 1000]}, "$b"]}

    def modulo(by: int, factor: int = 1) -> dict[str, Any]:
        return {"$mod": [{"$multiply": ["$i", factor]}, by]}

    rooms = ["Entire home/apt", "Private room", "Shared room"]
    document = {
        "_id": "$i",
        "host": {"$toInt": modulo(400_000, 7919)},
        "name": {"$concat": ['Listing "', {"$toString": "$i"}, '", sunny Zimmer für zwei']},
        "room_type": {"$arrayElemAt": [rooms, modulo(3)]},
        "price": {"$divide": [modulo(99_999, 31), 100]},
        "seen": {"$add": ["$start", {"$multiply": ["$i", 37_000]}]},
        "available": {"$eq": [modulo(2), 0]},
        "position": {"lat": {"$add": [52, {"$divide": [modulo(100_003), 250_000]}]}},
        "tags": ["wifi", "garden"],
    }
    first = {"a": {"$range": [0, thousands]}, "start": datetime(2019, 3, 1, tzinfo=UTC)}
    client.get_default_database().aggregate(
        [
            {"$documents": [first]},
            {"$unwind": "$a"},
            {"$set": {"b": {"$range": [0, 1000]}}},
            {"$unwind": "$b"},
            {"$set": {"i": number}},
            {"$project": document},
            {"$out": "listings"},
        ],
        allowDiskUse=True,
    )
    client.close()


def timed(what: str, make: Callable[[int], None], rows: int) -> None:
    """Make data, and say how long it took."""
    began = time.monotonic()
    make(rows)
    print(f"{what}: {rows:,} rows in {time.monotonic() - began:.1f} s", flush=True)


def record(number: int) -> dict[str, Any]:
    """One record of the REST server."""
    return {
        "id": number,
        "host": number * 7919 % 400_000,
        "name": f'Listing "{number}", sunny Zimmer für zwei',
        "price": number * 31 % 99_999 / 100,
        "available": number % 2 == 0,
        "neighbourhood": None if number % 11 == 0 else "Kreuzberg",
        "position": {"lat": 52 + number % 100_003 / 250_000, "lon": 13.4},
        "tags": ["wifi", "garden"],
    }


def pages(rows: int) -> list[bytes]:
    """The pages of the REST server, each of which names the next one."""
    found = []
    for first in range(0, rows, PAGE):
        items = [record(number) for number in range(first, min(first + PAGE, rows))]
        following = f"/listings?page={first // PAGE + 1}" if first + PAGE < rows else None
        found.append(json.dumps({"items": items, "next": following}).encode())
    return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages: ClassVar[list[bytes]] = []
    everything: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        number = int(self.path.partition("page=")[2] or 0)
        body = self.everything if self.path == "/everything" else self.pages[number]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    """Be the REST server: one line with its address, then answers until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=REST_ROWS)
    rows = parser.parse_args().rows
    _Handler.pages = pages(rows)
    _Handler.everything = b"".join(
        json.dumps(record(number)).encode() + b"\n" for number in range(rows)
    )
    # Small writes at once: the headers of an answer are not to wait for the acknowledgement.
    _Handler.wbufsize = -1
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
