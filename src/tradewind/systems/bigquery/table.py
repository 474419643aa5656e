"""A table of BigQuery as a target: staged by load jobs, published by one transaction, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from tradewind.errors import InputError
from tradewind.move.interface import target_option
from tradewind.move.tables.staging import Slice, SqlTable, table_options
from tradewind.systems.bigquery.connection import BigQueryConnection

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.receipt import Stored
    from tradewind.owner import Owner

__all__ = ["BigQueryTable"]

_UNITS = ("HOUR", "DAY", "MONTH", "YEAR")
_CLUSTERS = 4


class BigQueryTable(SqlTable):
    """Rows of a table, visible at once with the end of one multi-statement transaction.

    Load jobs bring the rows as Parquet into a staging table beside the target, which BigQuery
    itself removes after a day if nobody else does. One job then copies or merges them into the
    target, and commits together with a line in the ledger ``tradewind_published`` of the same
    dataset. The id of that job belongs to the owner, and BigQuery takes an id once: so of two
    attempts one publishes, and a job whose worker has died is found by the next attempt.

    Memory: two pieces of `piece_bytes`, and one batch; whatever the number of rows.

    Args:
        connection: The project, and who asks.
        table: ``table``, ``dataset.table`` or ``project.dataset.table``.
        schema: The dataset, where `table` names none.
        mode: ``append`` adds the rows, once for each owner; ``replace`` deletes the slice and puts
            the rows in its place; ``upsert`` merges each row over the ones with the same keys.
        slice: What ``replace`` deletes: values by column, like ``{"day": date(2026, 1, 31)}``,
            which for a partitioning column is a partition; or a condition in SQL, or a condition
            with ``?`` and its parameters. All new rows have to belong to it. Everything when not
            given.
        keys: Columns by which ``upsert`` finds rows; the table's primary key when not given.
        columns: The table's columns that the data's columns go to, one by one; by name when not
            given.
        create: Makes the table where it does not exist, with the types of the data.
        partition_by: A column of dates or times that a made table is partitioned by.
        partition_type: ``HOUR``, ``DAY``, ``MONTH`` or ``YEAR``.
        cluster_by: Up to four columns that a made table is clustered by.
        piece_bytes: Size of the Parquet that one load job takes.
        labels: Of the jobs.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("connection", "table", "mode", "slice", "keys", "columns")

    system_name: ClassVar[str] = "BigQuery"

    def __init__(
        self,
        connection: BigQueryConnection,
        table: str,
        *,
        schema: str | None = None,
        mode: str = "append",
        slice: Slice | None = None,
        keys: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        create: bool = False,
        cascade: bool = False,
        skip_generated: bool = False,
        partition_by: str | None = None,
        partition_type: str = "DAY",
        cluster_by: Sequence[str] = (),
        piece_bytes: int = 64 << 20,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            f"{schema}.{table}" if schema and "." not in table else table,
            mode=mode,
            slice=slice,
            keys=keys,
            columns=columns,
            create=create,
            cascade=cascade,
            skip_generated=skip_generated,
        )
        if partition_type not in _UNITS:
            raise InputError(
                f"BigQuery: there is no partition_type {partition_type!r}. Choose "
                f"{', '.join(_UNITS)}."
            )
        if isinstance(cluster_by, str) or len(cluster_by) > _CLUSTERS:
            raise InputError(f"BigQuery: cluster_by is a list of {_CLUSTERS} names at most.")
        if (partition_by or cluster_by) and not create:
            raise InputError(
                f"BigQuery: partition_by and cluster_by go with {target_option('create', True)}."
            )
        if piece_bytes < 1:
            raise InputError("BigQuery: piece_bytes is a number of bytes.")
        self.connection = connection
        self.partition_by = partition_by
        self.partition_type = partition_type
        self.cluster_by = tuple(cluster_by)
        self.piece_bytes = piece_bytes
        self.labels = dict(labels or {})

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``bigquery://PROJECT[/DATASET]`` and options.

        Args:
            uri: See `BigQueryConnection.from_uri`.
            options: ``table``, ``mode``, ``slice`` (a JSON object or a condition), ``keys`` and
                ``columns`` (with commas), ``create`` (``true``), ``partition_by``,
                ``partition_type``, ``cluster_by`` (with commas), ``location``.

        Raises:
            InputError: Something of it is wrong.
        """
        more = ("schema", "partition_by", "partition_type", "cluster_by", "location")
        keywords = table_options("BigQuery", options, more)
        location = keywords.pop("location", None)
        if "cluster_by" in keywords:
            keywords["cluster_by"] = [part.strip() for part in keywords["cluster_by"].split(",")]
        return cls(BigQueryConnection.from_uri(uri, location=location), **keywords)

    @property
    def uri(self) -> str:
        """Project and table."""
        return f"bigquery://{self.connection.table_name(self.table)}"

    def describe(self) -> str:
        """Name the project and the table."""
        return f"{self.connection.uri}: table {self.table}"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Stage all that flows, and publish it by one transaction; see `Target.publish`."""
        from tradewind.systems.bigquery.load import Load

        client = self.connection.client()
        try:
            return Load(self, client, owner, stop=flow.stop).run(flow)
        finally:
            client.close()
