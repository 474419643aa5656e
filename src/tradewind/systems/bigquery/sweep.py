"""Staging tables of loads that have died, and jobs that nobody supervises any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tradewind.errors import InputError
from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_work
from tradewind.systems.bigquery.backend import BigQueryBackend
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.systems.bigquery.errors import PATIENCE, patient, translated
from tradewind.systems.bigquery.stage import stages_of

__all__ = ["leftovers"]

_TITLE = re.compile(r"Tradewind stages rows here for (.*); it may be removed\.", re.DOTALL)


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the staging tables of a dataset; or of all datasets of a project, and its jobs.

    Jobs that have ended are BigQuery's history, and no leftovers.

    Args:
        place: ``PROJECT`` or ``PROJECT/DATASET``.
    """
    connection = BigQueryConnection.from_uri(f"bigquery://{place}")
    if not connection.project:
        raise InputError("BigQuery: name a project, or PROJECT/DATASET.")
    yield f"BigQuery {place}", _stages(connection)
    if not connection.dataset:
        yield f"BigQuery {place} jobs", _jobs(connection)


def _jobs(connection: BigQueryConnection) -> Iterator[Leftover]:
    backend = BigQueryBackend(connection)
    try:
        yield from leftovers_of_work("bigquery", backend)
    finally:
        backend.close()


def _stages(connection: BigQueryConnection) -> Iterator[Leftover]:
    client = connection.client()
    system = f"BigQuery, project {client.project}"
    with translated(system):
        datasets = (
            [connection.dataset]
            if connection.dataset
            else [one.dataset_id for one in client.list_datasets(retry=patient(), timeout=PATIENCE)]
        )
        for dataset in datasets:
            for listed in list(stages_of(client, client.project, dataset)):
                yield _leftover(client, client.get_table(listed.reference, retry=patient()))


def _leftover(client: Any, table: Any) -> Leftover:
    found = _TITLE.fullmatch(table.description or "")

    def remove() -> None:
        with translated(f"BigQuery, project {client.project}"):
            client.delete_table(table.reference, not_found_ok=True, timeout=PATIENCE)

    return Leftover(
        system="bigquery",
        what=f"staging table {table.project}.{table.dataset_id}.{table.table_id}",
        owner=table.labels.get("tradewind_owner"),
        title=found[1] if found else "",
        since=table.created,
        remove=remove,
    )
