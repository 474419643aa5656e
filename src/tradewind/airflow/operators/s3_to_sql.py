"""`S3ToSqlOperator`: an object of S3 into a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.base import Move, MoveOperator
from tradewind.airflow.descriptions import Objects, Table
from tradewind.airflow.lineage import Lineage

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.move.format import Format
    from tradewind.move.source import Source

__all__ = ["S3ToSqlOperator"]


class S3ToSqlOperator(MoveOperator):
    """Load an object of S3 into a table, in one transaction, once a task run.

    Args:
        s3_key: The key, a prefix that ends in ``/``, or a glob. (templated)
        s3_bucket: The bucket. (templated)
        table: The table, which has to be there. (templated)
        parser: Is handed the path of the downloaded object and gives its rows, as in the official
            operator. Without it the object is streamed, in the format that its name says.
        column_list: Columns to fill, in the order of the data. (templated)
        commit_every: No effect: all rows are committed at once.
        schema: The schema of the table. (templated)
        sql_conn_id: A connection of PostgreSQL, MySQL, MariaDB or SQLite. (templated)
        sql_hook_params: Arguments of the official hook, like ``{"database": "shop"}``.
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        mode: ``append``, ``replace`` or ``upsert``, see `Table`. Not in the official operator.
        slice: What ``replace`` replaces. (templated) Not in the official operator.
        keys: What ``upsert`` tells rows apart by. Not in the official operator.
        file_format: ``csv``, ``jsonl``, ``parquet``, ``recordio``, or a format with options; by the
            key's ending when not given. Not in the official operator.
        create: Whether to create the table where it is missing. Not in the official operator.
        cascade: See `Table`. Not in the official operator.
        skip_generated: See `Table`. Not in the official operator.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_key",
        "schema",
        "table",
        "column_list",
        "sql_conn_id",
        "aws_conn_id",
        "slice",
    )
    template_ext: Sequence[str] = ()
    ui_color = "#f4a460"

    def __init__(
        self,
        *,
        s3_key: str,
        s3_bucket: str,
        table: str,
        parser: Callable[[str], Iterable[Iterable[Any]]] | None = None,
        column_list: list[str] | None = None,
        commit_every: int = 1000,
        schema: str | None = None,
        sql_conn_id: str = "sql_default",
        sql_hook_params: dict[str, Any] | None = None,
        aws_conn_id: str | None = "aws_default",
        mode: str = "append",
        slice: Any = None,
        keys: Sequence[str] = (),
        file_format: str | Format | None = None,
        create: bool = False,
        cascade: bool = False,
        skip_generated: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.table = table
        self.schema = schema
        self.aws_conn_id = aws_conn_id
        self.sql_conn_id = sql_conn_id
        self.column_list = column_list
        self.commit_every = commit_every
        self.parser = parser
        self.sql_hook_params = sql_hook_params
        self.mode = mode
        self.slice = slice
        self.keys = keys
        self.file_format = file_format
        self.create = create
        self.cascade = cascade
        self.skip_generated = skip_generated

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        Table(
            self.sql_conn_id,
            self.table,
            mode=self.mode,  # type: ignore[arg-type]
            slice=self.slice,
            keys=self.keys,
        ).check()
        if isinstance(self.file_format, str):
            Objects("s3://bucket/key", format=self.file_format).check()

    def plan_move(self, context: Context) -> Move:
        """Read the object, by the parser if there is one, into the table."""
        from tradewind.airflow.descriptions import Objects, Table

        read = Objects(f"s3://{self.s3_bucket}/{self.s3_key}", self.aws_conn_id)
        # A parser gives rows without names: the source names them, and the table fills by name.
        columns = None if self.parser is not None else self.column_list
        written = Table(
            self.sql_conn_id,
            self.table,
            schema=self.schema,
            mode=self.mode,  # type: ignore[arg-type]
            slice=self.slice,
            keys=self.keys,
            columns=columns,
            hook_params=self.sql_hook_params,
            create=self.create,
            cascade=self.cascade,
            skip_generated=self.skip_generated,
        )
        return Move(
            self._source(),
            written.target(),
            lineage=Lineage(read.datasets(), written.datasets()),
        )

    def _source(self) -> Source:
        from tradewind.airflow.connections.sql import table_columns
        from tradewind.airflow.descriptions import format_named
        from tradewind.systems.s3.airflow import s3_store

        store = s3_store(self.s3_bucket, self.aws_conn_id)
        if self.parser is None:
            from tradewind.move.objects.source import ObjectSource

            return ObjectSource(store, self.s3_key, format=format_named(self.file_format))
        from tradewind.airflow.parsed import ParsedSource

        return ParsedSource(
            store,
            self.s3_key,
            self.parser,
            lambda: (
                list(self.column_list or ())
                or table_columns(
                    self.sql_conn_id,
                    self.table,
                    schema=self.schema,
                    hook_params=self.sql_hook_params,
                )
            ),
        )
