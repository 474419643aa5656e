"""Two attempts of one task run at the same time: what they publish is one whole result."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import kinds
import psycopg
import pytest

from killing import Worker

pytestmark = pytest.mark.xdist_group("move-faults")
ROUNDS = [pytest.param(1, id="once"), pytest.param(8, id="often", marks=pytest.mark.long)]


def check(worker: Worker, rival: Worker, kind: kinds.Kind, rounds: int) -> None:
    """Let two workers move the same at once, each time in a place of its own."""
    whole = worker.run(kind.action, who="alone", **kind.prepare("alone"))
    assert "answer" in whole, whole
    new = kind.seen("alone")
    for number in range(rounds):
        name = f"race{number}"
        given = kind.prepare(name)
        answers: list[dict[str, Any]] = []
        together = threading.Barrier(2)

        def attempt(
            who: Worker,
            name: str = name,
            given: dict[str, Any] = given,
            answers: list[dict[str, Any]] = answers,
            together: threading.Barrier = together,
        ) -> None:
            together.wait()
            answers.append(who.run(kind.action, who=name, **given))

        threads = [threading.Thread(target=attempt, args=(who,)) for who in (worker, rival)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 2
        # One may be told that the other took over; a retry of it finds all in place.
        refused = [answer for answer in answers if "answer" not in answer]
        assert len(refused) < 2, refused
        assert all(answer["retryable"] for answer in refused), refused
        assert kind.seen(name) == new
        again = worker.run(kind.action, who=name, **given)
        assert "answer" in again, again
        assert kind.seen(name) == new
        assert kind.left(name) == []


@pytest.mark.parametrize("rounds", ROUNDS)
def test_two_write_one_object(worker: Worker, rival: Worker, s3: Any, bucket: str, rounds: int):
    query = "SELECT * FROM listings ORDER BY id"
    kind = kinds.OnS3("postgres_to_csv", s3, bucket, ".csv", query=query)
    check(worker, rival, kind, rounds)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_two_write_parts(worker: Worker, rival: Worker, s3: Any, bucket: str, rounds: int):
    query = "SELECT * FROM listings ORDER BY id"
    kind = kinds.PartsOnS3("postgres_to_parts", s3, bucket, "", query=query, rows=10_000)
    check(worker, rival, kind, rounds)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_two_write_one_file(worker: Worker, rival: Worker, tmp_path: Path, rounds: int):
    with kinds.pages() as url:
        check(worker, rival, kinds.OnDisk("rest_to_file", tmp_path / "f", url=url), rounds)


MODES = [
    pytest.param({"mode": "append"}, id="append"),
    pytest.param({"mode": "replace", "slice": {"day": kinds.DAY}}, id="replace"),
    pytest.param({"mode": "upsert", "keys": ["id"]}, id="upsert"),
]


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("mode", MODES)
def test_two_load_a_table_of_postgres(
    worker: Worker,
    rival: Worker,
    postgres: psycopg.Connection[Any],
    bucket: str,
    mode: dict,
    rounds: int,
):
    given = {"bucket": bucket, "key": "source/listings.csv", **mode}
    kind = kinds.InPostgres("csv_to_postgres", postgres, **given)
    kind.label = "raced"
    check(worker, rival, kind, rounds)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("mode", MODES)
def test_two_load_a_table_of_mariadb(
    worker: Worker, rival: Worker, mysql: Any, bucket: str, mode: dict, rounds: int
):
    given = {"bucket": bucket, "key": "source/listings.csv", **mode}
    kind = kinds.InMySQL("csv_to_mysql", mysql, **given)
    kind.label = "raced"
    check(worker, rival, kind, rounds)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_two_copy_one_object(worker: Worker, rival: Worker, s3: Any, bucket: str, rounds: int):
    options = {"threshold": 6 << 20, "part_size": 5 << 20}
    given = {"source": "source/large.bin", **options}
    check(worker, rival, kinds.CopyOnS3("copy_object", s3, bucket, ".bin", **given), rounds)
