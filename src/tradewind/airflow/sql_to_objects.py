"""What operators from SQL to an object store share: the official SqlToS3Operator's ways."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tradewind.airflow.base import Move, MoveOperator
from tradewind.airflow.dataframe_options import check_read_options, file_options, strip_suffixes
from tradewind.airflow.lineage import Lineage
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.airflow.dataframe_options import FileOptions
    from tradewind.move.store import Store

__all__ = ["SqlToObjectsOperator"]


class SqlToObjectsOperator(MoveOperator):
    """The result of a query as one file, or several, in an object store.

    Args:
        query: The SQL, or the name of a ``.sql`` file. (templated)
        sql_conn_id: An Airflow connection of any SQL database. (templated)
        sql_hook_params: Arguments of the official hook, like ``{"database": "shop"}``.
        parameters: Bound to the query. (templated)
        read_kwargs: Of ``read_sql``; what would change data is refused.
        read_pd_kwargs: The former name of `read_kwargs`.
        df_type: ``pandas`` or ``polars``; changes nothing.
        replace: Whether to replace a file that exists. When not, the task refuses before it reads
            anything; its own earlier attempt does not count.
        file_format: ``csv``, ``json``, ``jsonl`` or ``parquet``.
        max_rows_per_file: Begins a new file after so many rows: ``key_0.csv``, ``key_1.csv``, ...
        df_kwargs: Of ``DataFrame.to_csv`` and its like.
        pd_kwargs: The former name of `df_kwargs`.
        groupby_kwargs: ``{"by": "column"}`` writes a file a value: ``key_VALUE.csv``.
        max_row_bytes: Bytes of the longest row that is read; 64 MiB when None.
        kwargs: Of `BaseOperator`.
    """

    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "query": "sql",
        "df_kwargs": "json",
        "pd_kwargs": "json",
        "read_kwargs": "json",
    }

    def __init__(
        self,
        *,
        query: str,
        sql_conn_id: str,
        sql_hook_params: dict[str, Any] | None = None,
        parameters: Mapping[str, Any] | list[Any] | tuple[Any, ...] | None = None,
        read_kwargs: dict[str, Any] | None = None,
        read_pd_kwargs: dict[str, Any] | None = None,
        df_type: Literal["pandas", "polars"] = "pandas",
        replace: bool = False,
        file_format: Literal["csv", "json", "jsonl", "parquet"] = "csv",
        max_rows_per_file: int = 0,
        df_kwargs: dict[str, Any] | None = None,
        pd_kwargs: dict[str, Any] | None = None,
        groupby_kwargs: dict[str, Any] | None = None,
        max_row_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_row_bytes = max_row_bytes
        self.query = query
        self.sql_conn_id = sql_conn_id
        self.sql_hook_params = sql_hook_params
        self.parameters = parameters
        self.df_type = df_type
        self.replace = replace
        self.max_rows_per_file = max_rows_per_file
        self.groupby_kwargs = groupby_kwargs or {}
        self.read_kwargs = _renamed("read_kwargs", read_kwargs, "read_pd_kwargs", read_pd_kwargs)
        self.df_kwargs = _renamed("df_kwargs", df_kwargs, "pd_kwargs", pd_kwargs)
        self.file_format = file_format
        if self.max_rows_per_file and self.groupby_kwargs:
            raise InputError(
                f"{type(self).__name__} arguments max_rows_per_file and groupby_kwargs can not be "
                "both specified. Please choose one."
            )
        self._file_options()
        self._group_columns()

    @abstractmethod
    def store_and_key(self) -> tuple[Store, str]:
        """Make the store, and tell the key that the user gave."""

    def plan_move(self, context: Context) -> Move:
        """Read the query into one object, or into several with the official names."""
        from tradewind.airflow.descriptions import Sql
        from tradewind.move.objects.target import ObjectTarget

        options = self._file_options()
        store, key = self.store_and_key()
        stem = strip_suffixes(key)
        transform = None
        if options.index is not None:
            from tradewind.airflow.row_numbers import RowNumbers

            transform = RowNumbers(options.index)
        common: dict[str, Any] = {
            "format": options.format(),
            "compression": options.compression or "none",
            "replace": self.replace,
        }
        by = self._group_columns()
        if by or self.max_rows_per_file:
            from tradewind.airflow.named_files import NamedFiles

            target: Any = NamedFiles(
                store,
                stem,
                options.suffix,
                rows=self.max_rows_per_file or None,
                by=by,
                **common,
            )
        else:
            target = ObjectTarget(store, f"{stem}{options.suffix}", **common)
        read = Sql(
            self.sql_conn_id,
            self.query,
            self.parameters,
            hook_params=self.sql_hook_params,
            max_row_bytes=self.max_row_bytes,
        )
        return Move(
            read.source(),
            target,
            transform=transform,
            lineage=Lineage(read.datasets(), query=read.text),
        )

    def _file_options(self) -> FileOptions:
        check_read_options(self.read_kwargs, self.df_type, argument="read_kwargs")
        return file_options(self.file_format, self.df_kwargs, argument="df_kwargs")

    def _group_columns(self) -> tuple[str, ...]:
        given = dict(self.groupby_kwargs)
        for harmless in ("sort", "as_index", "group_keys", "observed", "maintain_order"):
            given.pop(harmless, None)
        if given.get("dropna"):
            raise InputError(
                "groupby_kwargs: dropna=True would drop rows. Leave them out in the query "
                "(WHERE ... IS NOT NULL)."
            )
        given.pop("dropna", None)
        by = given.pop("by", ())
        columns = (by,) if isinstance(by, str) else tuple(by)
        if given or not all(isinstance(column, str) for column in columns):
            raise InputError(
                f"groupby_kwargs={self.groupby_kwargs!r}: give the names of columns, like "
                "{'by': 'color'} or {'by': ['color', 'size']}."
            )
        if self.groupby_kwargs and not columns:
            raise InputError("groupby_kwargs names no column. Give {'by': 'column'}.")
        return columns


def _renamed(
    name: str, given: dict[str, Any] | None, old_name: str, old: dict[str, Any] | None
) -> dict[str, Any]:
    if old is not None:
        # Not Airflow's own class for this, which other providers' filters look for, but its base.
        warnings.warn(
            f"The {old_name!r} parameter is deprecated. Use {name!r} instead.",
            DeprecationWarning,
            stacklevel=4,
        )
    return given if given is not None else old or {}
