"""One attempt to publish rows to a table of BigQuery."""

# ruff: noqa: S608 - all names are quoted, all values are literals
from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from tradewind.backoff import Backoff
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.interface import target_option
from tradewind.move.receipt import Stored
from tradewind.move.tables.staging import TableColumn, check_claim, matched, slice_condition
from tradewind.systems.bigquery.commit import Claims, run_query
from tradewind.systems.bigquery.connection import TableName, quoted
from tradewind.systems.bigquery.errors import PATIENCE, patient, translated
from tradewind.systems.bigquery.fit import expression
from tradewind.systems.bigquery.ledger import Ledger
from tradewind.systems.bigquery.literals import literal
from tradewind.systems.bigquery.stage import Stage, discard_stages
from tradewind.systems.bigquery.types import Column, column_of, kind_of, spelled

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery import Client, Table

    from tradewind.move.batches import Batches
    from tradewind.move.flow import Flow
    from tradewind.owner import Owner

__all__ = ["Load"]

_TURNS = 6
"""How often a transaction is tried that another one on the same table has aborted."""


class Load:
    """One attempt.

    Args:
        target: What is published to: a `BigQueryTable`, which itself knows this class.
        client: The client.
        owner: Whose effect it is.
        stop: Ends its waits.
    """

    def __init__(
        self, target: Any, client: Client, owner: Owner, *, stop: threading.Event | None = None
    ) -> None:
        self._target = target
        self._client = client
        self._owner = owner
        self._name: TableName = target.connection.table_name(target.table)
        self._system = f"BigQuery, project {client.project}"
        self._columns: list[Column] = []
        self._keys = target.keys
        self._made: str | None = None
        self._ledger = Ledger(client, self._name, owner, self._system)
        self._stop = stop
        self._claims = Claims(client, self._name, owner, self._system, stop=stop)

    def run(self, flow: Flow) -> Stored:
        """Do all of it."""
        self._look()
        self._claims.settle()
        if self._target.mode == "append" and (done := self._done()) is not None:
            discard_stages(self._client, self._name, self._owner, self._system)
            return done
        self._check()
        discard_stages(self._client, self._name, self._owner, self._system)
        with flow.batches() as batches:
            columns = self._matched(batches.schema)
            stage = Stage(
                self._client,
                self._name,
                self._owner,
                columns,
                piece_bytes=self._target.piece_bytes,
                labels=self._target.labels,
                system=self._system,
                location=self._claims.location,
            )
            with stage:
                self._fill(stage, batches, columns)
                if flow.rows is not None and flow.rows != stage.rows:
                    raise RetryError(
                        f"{self._system}: {flow.rows} rows were read and {stage.rows} arrived for "
                        f"{self._name}. Nothing of it is visible. Try again."
                    )
                self._check_rows(stage, columns)
                earlier = self._publish(stage, columns)
        return earlier or self._target.stored(stage.rows, stage.bytes)

    # ----------------------------------------------------------------------------- before reading

    def _look(self) -> None:
        from google.api_core.exceptions import NotFound

        with translated(f"{self._system}, table {self._name}"):
            try:
                found = self._client.get_table(str(self._name), retry=patient(), timeout=PATIENCE)
            except NotFound:
                if not self._target.create:
                    if self._target.mode == "append":
                        self._done()  # says so where this owner has appended to it
                    raise SetupError(
                        f"{self._system}: there is no table {self._name}. Create it, or give "
                        f"{target_option('create', True)}."
                    ) from None
                dataset: Any = f"{self._name.project}.{self._name.dataset}"
                holder = self._client.get_dataset(dataset, retry=patient(), timeout=PATIENCE)
                self._claims.location = holder.location
                return
        self._take(found)

    def _take(self, found: Table) -> None:
        self._claims.location = found.location
        told = found.to_api_repr()
        if told.get("type", "TABLE") != "TABLE":
            raise InputError(f"{self._system}: {self._name} is no table, but a {told['type']}.")
        self._columns = told.get("schema", {}).get("fields", [])
        self._made = told.get("creationTime")
        primary = told.get("tableConstraints", {}).get("primaryKey", {}).get("columns", ())
        if self._target.mode == "upsert" and not self._keys:
            self._keys = tuple(primary)

    def _done(self) -> Stored | None:
        """Tell what an earlier attempt of the same owner has appended."""
        found = self._ledger.find()
        if found is None:
            return None
        rows, made, at = found
        there = None
        if self._columns and made in (None, self._made):
            asked = f"SELECT COUNT(*) AS n FROM {self._name.sql}"
            there = int(run_query(self._client, asked, self._system)[0]["n"]) if rows else 0
        check_claim(self._system, str(self._name), claimed=rows, there=there, at=at)
        # There is nothing by which BigQuery would tell them.
        unchecked = f"whether {rows} of the rows there are these" if rows else None
        stored: Stored = self._target.stored(rows, None, at, self._owner, unchecked)
        return stored

    def _check(self) -> None:
        target = self._target
        if target.mode == "upsert" and not self._keys:
            raise InputError(
                f"{self._system}: {self._name} has no primary key. Give keys to upsert by."
            )
        if self._columns:
            condition, parameters = self._condition()
            if condition:
                asked = f"SELECT 1 AS n FROM {self._name.sql} WHERE {condition}"
                run_query(self._client, asked, self._system, parameters, dry=True)

    def _table_columns(self) -> list[TableColumn]:
        return [
            TableColumn(
                str(one["name"]),
                kind_of(one).lower(),
                filled=one.get("mode") != "REQUIRED" or "defaultValueExpression" in one,
                spelled=spelled(one),
            )
            for one in self._columns
        ]

    def _condition(self) -> tuple[str, Any]:
        """Write the condition of the rows that are replaced."""
        slice = self._target.slice
        if slice is None:
            return "", None
        condition, parameters = slice_condition(
            slice, self._table_columns(), quote=quoted, mark="?", system=self._system
        )
        if not isinstance(slice, str | tuple | list):
            parts = [
                f"{quoted(name)} IS NULL"
                if value is None
                else self._equal(name, quoted(name), literal(value))
                for name, value in slice.items()
            ]
            return " AND ".join(parts), None
        return condition, parameters

    def _is_text(self, name: str) -> bool:
        """Whether a column is one whose values a collation (``und:ci``) may compare."""
        lower = name.lower()
        return any(
            kind_of(one) == "STRING" and one.get("mode") != "REPEATED"
            for one in self._columns
            if str(one["name"]).lower() == lower
        )

    def _equal(self, name: str, one: str, other: str) -> str:
        """Write that a column has a value: that very one, not what its collation makes equal."""
        same = f"{one} = {other}"
        if not self._is_text(name):
            return same
        # The first is for clustering and joins, the second for the collation.
        return f"({same} AND CAST({one} AS BYTES) = CAST({other} AS BYTES))"

    def _matched(self, schema: pa.Schema) -> list[Column]:
        """Find the table's column for each of the data's; those of a table that is to be made."""
        names = schema.names
        if not self._columns:
            if self._target.columns is not None:
                raise InputError(
                    f"{self._system}: {self._name} is to be created, so columns cannot be chosen. "
                    "Leave columns out, or create the table before."
                )
            self._columns = [column_of(one, system=self._system) for one in schema]
            wanted = (*self._target.cluster_by, *filter(None, [self._target.partition_by]))
            for name in wanted:
                if name not in names:
                    raise InputError(
                        f"{self._system}: the data have no column {name!r}, by which "
                        f"{self._name} is to be partitioned or clustered."
                    )
            self._condition()
        found = matched(
            self._system,
            str(self._name),
            self._table_columns(),
            names,
            asked=self._target.columns,
            keys=self._keys,
        )
        by_name = {str(one["name"]): one for one in self._columns}
        return [by_name[one.name] for one in found]

    def _fill(self, stage: Stage, batches: Batches, columns: list[Column]) -> None:
        for batch in batches:
            stage.write(batch)
        stage.finish()

    # ------------------------------------------------------------------------------ after reading

    def _rows_of(self, stage: Stage, columns: list[Column]) -> str:
        """Write the SELECT that gives the staged rows in the target's types."""
        parts = [
            f"{expression(one, quoted(str(one['name'])))} AS {quoted(str(one['name']))}"
            for one in columns
        ]
        return f"SELECT {', '.join(parts)} FROM {stage.name.sql}"

    def _check_rows(self, stage: Stage, columns: list[Column]) -> None:
        rows = self._rows_of(stage, columns)
        if self._target.mode == "upsert":
            self._check_keys(rows)
        condition, parameters = self._condition()
        if condition:
            asked = f"SELECT COUNT(*) AS n FROM ({rows}) WHERE ({condition}) IS NOT TRUE"
            outside = int(run_query(self._client, asked, self._system, parameters)[0]["n"])
            if outside:
                raise InputError(
                    f"{self._system}: {outside} of {stage.rows} rows for {self._name} do not belong"
                    f" to the slice {condition}. Correct the query or the slice."
                )

    def _check_keys(self, rows: str) -> None:
        empty = " OR ".join(f"{quoted(key)} IS NULL" for key in self._keys)
        asked = f"SELECT COUNT(*) AS n FROM ({rows}) WHERE {empty}"
        if int(run_query(self._client, asked, self._system)[0]["n"]):
            raise InputError(
                f"{self._system}: rows for {self._name} have NULL in a key "
                f"({', '.join(self._keys)}), so they cannot be found again. Leave them out."
            )
        chosen = ", ".join(
            f"ANY_VALUE({quoted(key)}) AS key_{n}" for n, key in enumerate(self._keys)
        )
        grouped = ", ".join(
            f"CAST({quoted(key)} AS BYTES)" if self._is_text(key) else quoted(key)
            for key in self._keys
        )
        asked = f"SELECT {chosen} FROM ({rows}) GROUP BY {grouped} HAVING COUNT(*) > 1 LIMIT 1"
        if twice := run_query(self._client, asked, self._system):
            raise InputError(
                f"{self._system}: several rows for {self._name} have the same "
                f"{', '.join(self._keys)}: {', '.join(map(str, twice[0].values()))}. Give each key "
                "once."
            )

    def _publish(self, stage: Stage, columns: list[Column]) -> Stored | None:
        """Make it visible; what another attempt of the owner has done meanwhile is told."""
        made = not self._made
        if made:
            self._create()
        condition, parameters = self._condition()
        self._ledger.make()
        script = self._script(stage, columns, condition)
        backoff = Backoff(first=1.0, longest=32.0, stop=self._stop)
        try:
            for turn in range(_TURNS):
                try:
                    published = self._claims.publish(script, parameters, self._target.labels)
                    break
                except RetryError:
                    if turn + 1 == _TURNS or not self._claims.aborted:
                        raise
                    backoff.rest(turn + 1)
        except BaseException:
            if made:
                self._unmake()
            raise
        if published:
            return None
        if self._target.mode == "append" and (done := self._done()) is not None:
            return done
        raise RetryError(
            f"{self._system}: another attempt of the same run publishes to {self._name}. Try again."
        )

    def _script(self, stage: Stage, columns: list[Column], condition: str) -> str:
        names = [quoted(str(one["name"])) for one in columns]
        listed, rows = ", ".join(names), self._rows_of(stage, columns)
        if self._target.mode == "upsert":
            keys = {key.lower() for key in self._keys}
            same = " AND ".join(
                self._equal(key, f"T.{quoted(key)}", f"S.{quoted(key)}") for key in self._keys
            )
            others = [n for n, one in zip(names, columns, strict=True)
                      if str(one["name"]).lower() not in keys]  # fmt: skip
            then = ", ".join(f"{name} = S.{name}" for name in others)
            update = f" WHEN MATCHED THEN UPDATE SET {then}" if then else ""
            given = ", ".join(f"S.{name}" for name in names)
            steps = [
                f"MERGE {self._name.sql} T USING ({rows}) S ON {same}{update} "
                f"WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({given})"
            ]
        else:
            steps = [f"INSERT INTO {self._name.sql} ({listed}) {rows}"]
            if self._target.mode == "replace":
                steps.insert(0, f"DELETE FROM {self._name.sql} WHERE {condition or 'TRUE'}")
        line = self._ledger.line(stage.rows, stage.bytes, self._made)
        return "".join(f"{one};\n" for one in ("BEGIN TRANSACTION", *steps, line,
                                               "COMMIT TRANSACTION"))  # fmt: skip

    def _create(self) -> None:
        from google.cloud.bigquery import Table, TimePartitioning

        target = self._target
        keys = {key.lower() for key in self._keys}
        fields = [
            {**one, "mode": "REQUIRED"} if str(one["name"]).lower() in keys else one
            for one in self._columns
        ]
        reference = {
            "projectId": self._name.project,
            "datasetId": self._name.dataset,
            "tableId": self._name.table,
        }
        made: Any = Table
        table = made.from_api_repr({"tableReference": reference, "schema": {"fields": fields}})
        if target.partition_by:
            partitioning: Any = TimePartitioning
            table.time_partitioning = partitioning(
                type_=target.partition_type, field=target.partition_by
            )
        if target.cluster_by:
            table.clustering_fields = list(target.cluster_by)
        with translated(f"{self._system}, table {self._name}"):
            found = self._client.create_table(table, retry=patient(), timeout=PATIENCE)
        self._made = found.to_api_repr().get("creationTime")

    def _unmake(self) -> None:
        """Remove the empty table that this attempt has made."""
        with contextlib.suppress(Exception):
            found = self._client.get_table(str(self._name), retry=patient(), timeout=PATIENCE)
            if not found.num_rows and found.to_api_repr().get("creationTime") == self._made:
                self._client.delete_table(str(self._name), not_found_ok=True, timeout=PATIENCE)
