"""Spark applications through Apache Livy, as one declaration of `tradewind.systems.http.backend`.

Protocol: https://livy.apache.org/docs/latest/rest-api.html; what is not written there was read from
a server of version 0.7.1. Batches have unique names since 0.6.
"""

from __future__ import annotations

import json

from tradewind.errors import InputError
from tradewind.systems.http.backend import JobApi, JobLog, RestConnection, RestJobBackend

__all__ = ["BATCHES", "LivyBackend"]

BATCHES = JobApi(
    system="Livy",
    start=("POST", "/batches"),
    name="$.name",
    taken_status=(),
    taken_text="Duplicate session name",
    # A batch without a file, or with one that is not allowed, stays "starting" for ever.
    refused_is_kept=True,
    listing="/batches",
    jobs="$.sessions",
    listing_offset="from",
    listing_size="size",
    # A name is taken for the id everywhere, and cannot belong to another batch meanwhile.
    look="/batches/{name}",
    pending=frozenset({"not_started", "starting", "recovering"}),
    succeeded=frozenset({"success"}),
    failed=frozenset({"dead", "error", "killed"}),
    # The last lines of stdout and stderr, 200 each unless livy.cache-log.size says otherwise.
    log=JobLog(
        "/batches/{name}/log",
        params={"from": "0", "size": "1000000"},
        window=True,
        sections=("stdout: ", "\nstderr: ", "\nYARN Diagnostics: "),
    ),
    page="/ui/batch/{id}/log",
    remove=("DELETE", "/batches/{name}"),
    environment="$.conf",
    # What the driver finds on YARN in cluster mode, and executors everywhere; a driver can read
    # them as configuration too.
    environment_names=("spark.yarn.appMasterEnv.{}", "spark.executorEnv.{}"),
)
"""Livy's batches: ``spark-submit`` through HTTP.

A batch that has ended is forgotten by Livy after ``livy.server.session.state-retain.sec`` (10
minutes): a retry that comes later runs it again.
"""


class LivyBackend(RestJobBackend):
    """Runs batches on a Livy server.

    The result is the batch's description: id, appId, appInfo.

    Args:
        connection: Where Livy is, prefix included.
    """

    def __init__(self, connection: RestConnection) -> None:
        super().__init__(connection, BATCHES)

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Describe the batch, without the end of its log that Livy shows with it."""
        told = self.describe(name)
        if told is None:
            return None
        told.pop("log", None)
        text = json.dumps(told).encode()
        if len(text) > limit:
            raise InputError(f"Livy: the description of {name} is larger than {limit:,} bytes.")
        return text
