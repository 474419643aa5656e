"""The ledger of a dataset: which owner has published what.

Lines are only added: a transaction that deleted or changed one would conflict with every other
transaction of the dataset that does. The latest one of an owner and a table counts. Source:
https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
"""

# ruff: noqa: S608 - all names are quoted, all values are literals
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradewind.move.tables.staging import LEDGER
from tradewind.systems.bigquery.commit import run_query
from tradewind.systems.bigquery.connection import TableName, quoted
from tradewind.systems.bigquery.errors import PATIENCE, patient, translated
from tradewind.systems.bigquery.literals import literal

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

    from tradewind.owner import Owner

__all__ = ["Ledger"]

_COLUMNS = (
    ("owner", "STRING", "REQUIRED"),
    ("target", "STRING", "REQUIRED"),
    ("rows", "INT64", "REQUIRED"),
    ("bytes", "INT64", "NULLABLE"),
    ("made", "STRING", "NULLABLE"),
    ("at", "TIMESTAMP", "REQUIRED"),
)


class Ledger:
    """The lines of one owner about one table.

    Args:
        client: The client.
        table: The target.
        owner: Whose effect it is.
        system: For messages.
    """

    def __init__(self, client: Client, table: TableName, owner: Owner, system: str) -> None:
        self._client = client
        self._table = table
        self._owner = owner
        self._system = system
        self._name = TableName(table.project, table.dataset, LEDGER)
        self._seen = False

    def find(self) -> tuple[int, str | None, str] | None:
        """Read the latest line.

        Returns:
            Rows, when the table was created, and when they were published; None without a line.
        """
        if not self._is_there():
            return None
        found = run_query(
            self._client,
            f"SELECT `rows`, `made`, FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', `at`) AS published "
            f"FROM {self._name.sql} WHERE `owner` = {literal(self._owner.digest)} "
            f"AND `target` = {literal(self._table.table)} ORDER BY `at` DESC LIMIT 1",
            self._system,
        )
        if not found:
            return None
        return int(found[0]["rows"]), found[0]["made"], str(found[0]["published"])

    def make(self) -> None:
        """Create the ledger where there is none."""
        if self._is_there():
            return
        from google.cloud.bigquery import SchemaField, Table

        fields: Any = [SchemaField(name, kind, mode) for name, kind, mode in _COLUMNS]
        made: Any = Table
        table = made(str(self._name), schema=fields)
        table.clustering_fields = ["owner"]
        with translated(f"{self._system}, table {self._name}"):
            self._client.create_table(table, exists_ok=True, retry=patient(), timeout=PATIENCE)

    def _is_there(self) -> bool:
        from google.api_core.exceptions import NotFound

        if not self._seen:
            with translated(f"{self._system}, table {self._name}"):
                try:
                    self._client.get_table(str(self._name), retry=patient(), timeout=PATIENCE)
                except NotFound:
                    return False
            self._seen = True
        return True

    def line(self, rows: int, size: int, made: str | None) -> str:
        """Write the statement that adds a line.

        Args:
            rows: Rows that are published.
            size: Bytes that were sent.
            made: When the table was created: another one of its name is told from it.
        """
        names = ", ".join(quoted(name) for name, _, _ in _COLUMNS)
        values = (self._owner.digest, self._table.table, rows, size, made)
        return (
            f"INSERT INTO {self._name.sql} ({names}) "
            f"VALUES ({', '.join(map(literal, values))}, CURRENT_TIMESTAMP())"
        )
