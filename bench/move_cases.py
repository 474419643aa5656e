"""What bench_move.py compares: cases, contenders, and the bounds that are to be kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from move_data import MARIADB_ROWS, MONGODB_ROWS, POSTGRES_ROWS, REST_ROWS


@dataclass(frozen=True)
class Contender:
    """One way to do a case.

    Args:
        name: What the table calls it.
        tool: ``ours``, ``psql``, ``sling``, or a peer of move_peers.py.
        settings: More for its order.
        slow: Is run once, however often others are.
        share: The part of the rows that it gets, where all would take too long: it is compared by
            rows a second then.
        limit: Is not a peer but the limit: the bare wire, or the database's own tool.
        stores: Whether it stores anything that can be counted.
        format: What it writes instead of the case's format.
    """

    name: str
    tool: str
    settings: dict[str, Any] = field(default_factory=dict)
    slow: bool = False
    share: float = 1.0
    limit: bool = False
    stores: bool = True
    format: str | None = None


@dataclass(frozen=True)
class Bound:
    """What the fast one has to keep up.

    Args:
        text: For the reader.
        contender: Whose rows a second are looked at.
        factor: How many times those of `against` they have to be, at least.
        against: Name of a contender, ``each peer`` or ``best peer``.
        target: Whether it is an aim rather than a bound.
    """

    text: str
    contender: str
    factor: float
    against: str
    target: bool = False


@dataclass(frozen=True)
class Case:
    """One thing to do, in several ways."""

    name: str
    title: str
    source: str
    format: str
    rows: int
    contenders: tuple[Contender, ...]
    bounds: tuple[Bound, ...]
    target: str = "s3"
    query: str = "select * from listings"
    systems: tuple[str, ...] = ()


OURS = "Tradewind"
OURS_2 = "Tradewind, 2 connections"
ours = Contender(OURS, "ours")
# Without the package tradewind-native; the one above has it where it is built.
plain = Contender("Tradewind, decoders in Python", "ours", {"core": "python"})
official = Contender("Airflow's operator", "official", slow=True)
# It writes Parquet by DuckDB, which it fetches while it runs, from no package index: so CSV only.
sling = Contender("sling", "sling", slow=True)
dlt_arrow = Contender("dlt, pyarrow", "dlt", {"backend": "pyarrow"}, slow=True)
dlt_connectorx = Contender("dlt, connectorx", "dlt", {"backend": "connectorx"}, slow=True)

CASES = (
    Case(
        "postgres-csv",
        "PostgreSQL to CSV in S3",
        "postgres",
        "csv",
        POSTGRES_ROWS,
        (
            Contender("psql COPY to a file", "psql", limit=True),
            ours,
            Contender(OURS_2, "ours", {"connections": 2}),
            sling,
            official,
            dlt_arrow,
        ),
        (
            Bound("0.9 of psql COPY to a file", OURS, 0.9, "psql COPY to a file"),
            Bound("8 times each peer", OURS, 8, "each peer"),
            Bound("beyond psql with 2 connections", OURS_2, 1.0, "psql COPY to a file", True),
        ),
    ),
    Case(
        "postgres-parquet",
        "PostgreSQL to Parquet in S3",
        "postgres",
        "parquet",
        POSTGRES_ROWS,
        (
            ours,
            Contender(OURS_2, "ours", {"connections": 2}),
            plain,
            dlt_connectorx,
            official,
        ),
        (Bound("2 times the best peer", OURS, 2, "best peer"),),
    ),
    Case(
        "mariadb-csv",
        "MariaDB to CSV in S3",
        "mariadb",
        "csv",
        MARIADB_ROWS,
        (
            Contender("the wire: rows read, thrown away", "rows", limit=True, stores=False),
            ours,
            sling,
            official,
            dlt_arrow,
        ),
        (Bound("5 times the best peer", OURS, 5, "best peer"),),
    ),
    Case(
        "mariadb-parquet",
        "MariaDB to Parquet in S3",
        "mariadb",
        "parquet",
        MARIADB_ROWS,
        (ours, dlt_connectorx, official),
        (Bound("2 times the best peer", OURS, 2, "best peer"),),
    ),
    Case(
        "mongodb-jsonl",
        "MongoDB to JSON lines in S3",
        "mongodb",
        "jsonl",
        MONGODB_ROWS,
        (
            Contender("the wire: find_raw_batches", "wire", limit=True, stores=False),
            ours,
            plain,
            sling,
            Contender("Airflow's operator", "official", slow=True),
        ),
        (
            Bound("3.5 times Airflow's operator", OURS, 3.5, "Airflow's operator"),
            Bound("half of find_raw_batches", OURS, 0.5, "the wire: find_raw_batches", True),
        ),
    ),
    Case(
        "mongodb-parquet",
        "MongoDB to Parquet in S3",
        "mongodb",
        "parquet",
        MONGODB_ROWS,
        (
            Contender("the wire: find_raw_batches", "wire", limit=True, stores=False),
            ours,
            plain,
        ),
        (),
    ),
    Case(
        "s3-postgres",
        "CSV in S3 to a table of PostgreSQL",
        "s3",
        "csv",
        POSTGRES_ROWS,
        (
            Contender("psql \\copy from a file", "psql", limit=True),
            ours,
            sling,
            Contender("Airflow's operator", "official", slow=True, share=0.02),
            Contender("dlt", "dlt", slow=True, share=0.05),
        ),
        (Bound("0.8 of psql \\copy", OURS, 0.8, "psql \\copy from a file"),),
        target="table",
        systems=("postgres",),
    ),
    Case(
        "rest-jsonl",
        "A paged HTTP API to JSON lines in S3",
        "rest",
        "jsonl",
        REST_ROWS,
        (
            Contender("Airflow's operator: one answer, no pages", "official", limit=True),
            ours,
            Contender("dlt", "dlt", slow=True),
        ),
        (),
    ),
)

MEMORY_QUERY = "select l.* from listings l cross join generate_series(1, @times) as again"
MEMORY_LIMIT = 300_000_000
MEMORY_GROWTH = 1.1
PARSE_LIMIT = 0.150
