"""Sources and targets of `TransferOperator`, as small descriptions.

Each is a dataclass whose text fields are templates, also those within lists and dicts. They are
made when the DAG file is read and touch nothing; the task makes sources and targets of them.

Over 400 lines: one dataclass a kind of source and target, whose documented fields are most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tradewind.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.airflow.lineage import Dataset
    from tradewind.move.format import Format
    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = ["Description", "Http", "MongoCollection", "Objects", "Sql", "Table"]


@dataclass
class Description:
    """One side of a transfer."""

    template_fields: ClassVar[tuple[str, ...]] = ()

    def source(self) -> Source:
        """Make the source, from rendered fields.

        Raises:
            InputError: Nothing can be read from this.
        """
        raise InputError(
            f"{type(self).__name__} is no source. Read from Sql, MongoCollection, Http or Objects."
        )

    def target(self) -> Target:
        """Make the target, from rendered fields.

        Raises:
            InputError: Nothing can be published to this.
        """
        raise InputError(f"{type(self).__name__} is no target. Publish to Objects or a Table.")

    def check(self) -> None:
        """Refuse what no task can do with it, when the DAG file is read.

        Raises:
            InputError: It is wrong whatever the data are. Templates are let be.
        """

    def datasets(self) -> tuple[Dataset, ...]:
        """Name what is read or written, for lineage; empty where only the receipt knows."""
        return ()

    @property
    def text(self) -> str | None:
        """The SQL, for lineage."""
        return None

    def serialize(self) -> dict[str, Any]:
        """Give what Airflow shows as the rendered field: all that is not at its default."""
        shown: dict[str, Any] = {"kind": type(self).__name__}
        for each in fields(self):
            value = getattr(self, each.name)
            made = each.default_factory
            if value != (each.default if made is MISSING else made()):
                shown[each.name] = value
        return shown


@dataclass
class Sql(Description):
    """Rows of a query.

    Args:
        conn_id: An Airflow connection of any SQL database.
        query: The SQL, or the name of a ``.sql`` file. (templated)
        parameters: Bound to the query, with placeholders as the database's driver has them (``%s``
            or ``%(name)s`` for PostgreSQL and MySQL, ``?`` or ``:name`` for SQLite). (templated)
        statement_timeout: Seconds after which the database gives the query up.
        schema: Names of types of some columns of SQLite, which keeps any value in any column, like
            ``{"amount": "string"}`` (also as JSON text, or ``@`` and the path of a file).
            (templated)
        sample: Rows of SQLite that tell the types of columns that declare none.
        split: How to read with several connections at once, see the source's class.
        connections: How many connections; PostgreSQL takes ``auto``, see its source's class.
        hook_params: Arguments of the official hook, like ``{"database": "shop"}``.
        max_row_bytes: Bytes of the longest row that is read; 64 MiB when None.
        export: Of BigQuery: ``gs://BUCKET/PREFIX``, by way of which a large result is read.
            (templated)
    """

    template_fields: ClassVar[tuple[str, ...]] = (
        "conn_id",
        "query",
        "parameters",
        "hook_params",
        "schema",
        "export",
    )
    template_file_fields: ClassVar[tuple[str, ...]] = ("query",)

    conn_id: str
    query: str
    parameters: Mapping[str, Any] | Sequence[Any] | None = None
    statement_timeout: float | None = None
    split: Any = None
    connections: int | Literal["auto"] = 1
    hook_params: Mapping[str, Any] | None = None
    schema: pa.Schema | Mapping[str, str] | str | None = None
    sample: int | None = None
    max_row_bytes: int | None = None
    export: str | None = None

    def check(self) -> None:
        """Refuse what is wrong whatever the data are; see `Description.check`."""
        if not self.query:
            raise InputError("Sql: there is no query. Say what to read.")
        number = self.connections
        if number != "auto" and not (isinstance(number, int) and number > 0):
            raise InputError(f"Sql: connections={number!r}. Give a number from 1 on, or 'auto'.")

    @property
    def text(self) -> str | None:
        """The query."""
        return self.query

    def source(self) -> Source:
        """Make the source of the connection's type."""
        from tradewind.airflow.connections.sql import sql_source

        options: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("schema", "sample", "max_row_bytes", "export")
            if getattr(self, name) is not None
        }
        if self.statement_timeout is not None:
            options["statement_timeout"] = self.statement_timeout
        if self.split is not None or self.connections != 1:
            options.update(split=self.split, connections=self.connections)
        return sql_source(
            self.conn_id,
            query=self.query,
            parameters=self.parameters,
            hook_params=self.hook_params,
            **options,
        )

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the tables that the query reads."""
        from tradewind.airflow.connections.sql import database_of

        return database_of(self.conn_id, self.hook_params).tables_of(self.query)


@dataclass
class MongoCollection(Description):
    """Documents of a MongoDB collection.

    Args:
        conn_id: An Airflow connection of type ``mongo``.
        collection: The collection. (templated)
        database: The database; the connection's when not given. (templated)
        query: What to find. (templated)
        projection: Fields to give.
        sort: ``[("field", 1), ...]``.
        pipeline: An aggregation pipeline instead of the three. (templated)
        batch_size: Documents in one reply of the server.
        allow_disk_use: Whether a pipeline may use the server's disk.
        json: ``relaxed`` or ``canonical`` extended JSON.
        schema: Columns and types, or names of types by field like ``{"n": "json"}`` (also as JSON
            text, or ``@`` and the path of a file), for formats that have them; the first documents
            tell those of other fields. (templated)
        transform: Is handed an iterator of the documents and gives what takes their place.
        sample: How many documents tell types.
        unknown: What to do with fields that those do not have: ``error``, or ``extra`` keeps them
            as JSON in a column ``_extra``.
        snapshot: Whether to read from one snapshot; where it is offered when not given.
        missing_ok: Whether a collection that is not there counts as an empty one.
    """

    template_fields: ClassVar[tuple[str, ...]] = (
        "conn_id",
        "collection",
        "database",
        "query",
        "projection",
        "pipeline",
        "schema",
    )

    conn_id: str
    collection: str
    database: str | None = None
    query: Mapping[str, Any] | None = None
    projection: Mapping[str, Any] | Sequence[str] | None = None
    sort: Sequence[tuple[str, Any]] | Mapping[str, Any] | None = None
    pipeline: Sequence[Mapping[str, Any]] | None = None
    batch_size: int | None = None
    allow_disk_use: bool = False
    json: Literal["relaxed", "canonical"] = "relaxed"
    schema: pa.Schema | Mapping[str, str] | str | None = None
    transform: Callable[[Any], Any] | None = None
    sample: int = 1000
    unknown: Literal["error", "extra"] = "error"
    snapshot: bool | None = None
    missing_ok: bool = False

    def check(self) -> None:
        """Refuse what is wrong whatever the data are; see `Description.check`."""
        from tradewind.airflow.parse_checks import check_choice

        check_choice("MongoCollection: json", self.json, ("relaxed", "canonical"))
        check_choice("MongoCollection: unknown", self.unknown, ("error", "extra"))
        if not self.collection:
            raise InputError("MongoCollection: no collection is named. Name it as collection.")
        for name in ("query", "projection", "sort"):
            if self.pipeline is not None and getattr(self, name):
                raise InputError(
                    f"MongoCollection: a pipeline takes the place of {name}=. Say it as a stage of "
                    "the pipeline."
                )

    def source(self) -> Source:
        """Make the source."""
        from tradewind.airflow.connections import find_connection
        from tradewind.systems.mongodb.airflow import connection_of
        from tradewind.systems.mongodb.source import MongoSource

        options = {each.name: getattr(self, each.name) for each in fields(self)}
        return MongoSource(connection_of(find_connection(options.pop("conn_id"))), **options)

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the collection."""
        from tradewind.airflow.connections import find_connection
        from tradewind.airflow.lineage import Dataset
        from tradewind.systems.mongodb.airflow import connection_of

        connection = connection_of(find_connection(self.conn_id))
        database = self.database or connection.database
        return (Dataset(f"mongodb://{connection.address}", f"{database}.{self.collection}"),)


@dataclass
class Http(Description):
    """Records of an HTTP API.

    Args:
        conn_id: An Airflow connection of type ``http``.
        endpoint: Path below the connection's address. (templated)
        method: ``GET`` or another.
        params: Query parameters. (templated)
        body: What to send as JSON. (templated)
        headers: Beside those of the connection. (templated)
        records: JSON path of the records in an answer.
        pagination: How to come to the next page, see `tradewind.systems.http.source`.
        schema: Columns and types, or names of types by member like ``{"n": "json"}`` (also as JSON
            text, or ``@`` and the path of a file); the first records tell those of others.
            (templated)
        options: Further arguments of `RestSource`.
        extra_options: As ``HttpHook`` has them: verify, timeout, ...
        sample: How many records tell types.
        unknown: What to do with members that those do not have: ``error``, or ``extra`` keeps them
            as JSON in a column ``_extra``.
    """

    template_fields: ClassVar[tuple[str, ...]] = (
        "conn_id",
        "endpoint",
        "params",
        "body",
        "headers",
        "schema",
    )

    conn_id: str
    endpoint: str = ""
    method: str = "GET"
    params: Mapping[str, Any] | None = None
    body: Any = None
    headers: Mapping[str, str] | None = None
    records: str | None = None
    pagination: Any = None
    schema: pa.Schema | Mapping[str, str] | str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    extra_options: Mapping[str, Any] | None = None
    sample: int | None = None
    unknown: Literal["error", "extra"] | None = None

    def check(self) -> None:
        """Refuse what is wrong whatever the data are; see `Description.check`."""
        from tradewind.airflow.parse_checks import check_choice, check_options, parameters_of

        check_choice("Http: unknown", self.unknown, (None, "error", "extra"))
        if self.options:
            known = parameters_of("tradewind.systems.http.source:RestSource")
            own = {"connection", "path", *(each.name for each in fields(self))}
            check_options("Http: options", self.options, known, besides=own)
        if isinstance(self.pagination, str):
            from tradewind.systems.http.paging import pagination_of

            pagination_of(self.pagination)
        if self.records is not None:
            from tradewind.json_path import JsonPath

            JsonPath(self.records)
        if self.extra_options:
            from tradewind.systems.http.airflow import check_extra_options

            check_extra_options(self.extra_options)

    def source(self) -> Source:
        """Make the source."""
        from tradewind.systems.http.airflow import http_connection
        from tradewind.systems.http.source import RestSource

        options = dict(self.options)
        for name in ("records", "pagination", "schema", "params", "body", "sample", "unknown"):
            if getattr(self, name) is not None:
                options[name] = getattr(self, name)
        connection = http_connection(
            self.conn_id, headers=self.headers, extra_options=self.extra_options
        )
        return RestSource(connection, self.endpoint, method=self.method, **options)

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the endpoint."""
        from tradewind.airflow.lineage import Dataset
        from tradewind.systems.http.airflow import http_connection

        scheme, host, port = http_connection(self.conn_id, extra_options=self.extra_options).origin
        path = self.endpoint.partition("?")[0].strip("/") or "/"
        return (Dataset(f"{scheme}://{host}:{port}", path),)


_AZURE = ("abfs", "abfss", "az", "adl", "wasb", "wasbs")


def is_object_path(value: Any) -> bool:
    """Tell whether it is an ``ObjectStoragePath``, without importing what reads such paths."""
    return any(kind.__name__ == "ObjectStoragePath" for kind in type(value).__mro__)


def _uri_of(path: Any) -> tuple[str, str | None]:
    """Give an ``ObjectStoragePath``'s URI as `Objects` has it, and its Airflow connection."""
    # Its text has the connection in the place of a user; its path begins with the bucket.
    scheme = "az" if path.protocol in _AZURE else path.protocol or "file"
    return f"{scheme}://{path.path}", path.conn_id


@dataclass
class Objects(Description):
    """Objects of a store: one, or with `parts` as many as it takes; to read also all of a prefix.

    Args:
        uri: ``s3://``, ``gs://``, ``az://``, ``file://`` or ``sftp://``. To read: an object, a
            prefix that ends in ``/``, or a glob. To publish: an object, or a prefix with `parts`.
            Also an ``ObjectStoragePath``, whose connection is taken, too. (templated)
        conn_id: The Airflow connection; ``aws_default``, ``google_cloud_default``,
            ``wasb_default`` or ``sftp_default`` when not given. (templated)
        format: ``csv``, ``jsonl``, ``parquet``, ``recordio``, or one with options; by the name of
            the object when not given. (templated)
        compression: ``gzip``, ``zstd`` or ``none``; by the name when not given. (templated)
        schema: Columns and types to read, or names of types by column like ``{"zip": "string"}``
            (also as JSON text, or ``@`` and the path of a file): of CSV and JSON lines those of
            some columns, of other formats all columns to read. (templated)
        replace: Whether to replace an object that is there already.
        parts: A `tradewind.move.objects.target.Parts`, or its arguments as a dict: ``rows``,
            ``bytes``, ``by``.
        content_type: Media type of the object; the format's when not given.
        metadata: User metadata of the object. (templated)
        options: Further arguments of the store, like ``{"verify": False}`` for S3.
        format_options: Options of the format by name, like ``{"delimiter": ";", "header": False}``
            for CSV or ``{"nan": "null"}`` for JSON lines. (templated)
    """

    template_fields: ClassVar[tuple[str, ...]] = (
        "uri",
        "conn_id",
        "format",
        "compression",
        "metadata",
        "schema",
        "format_options",
    )

    uri: str
    conn_id: str | None = None
    format: str | Format | None = None
    compression: str | None = None
    schema: pa.Schema | Mapping[str, str] | str | None = None
    replace: bool = True
    parts: Any = None
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    format_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if is_object_path(self.uri):
            self.uri, conn_id = _uri_of(self.uri)
            self.conn_id = self.conn_id or conn_id

    def check(self) -> None:
        """Refuse what is wrong whatever the data are; see `Description.check`."""
        from tradewind.airflow.parse_objects import check_objects

        check_objects(self)

    def source(self) -> Source:
        """Make the source."""
        from tradewind.airflow.connections.stores import store_of
        from tradewind.move.objects.source import ObjectSource

        store, key = store_of(self.uri, self.conn_id, **self.options)
        options: dict[str, Any] = {}
        if self.compression is not None:
            options["compression"] = None if self.compression == "none" else self.compression
        options["schema"] = self.schema
        return ObjectSource(
            store,
            key,
            format=format_named(self.format),
            format_options=self.format_options,
            **options,
        )

    def target(self) -> Target:
        """Make the target."""
        from tradewind.airflow.connections.stores import store_of
        from tradewind.move.formats.options import with_options
        from tradewind.move.objects.target import ObjectTarget, Parts

        store, key = store_of(self.uri, self.conn_id, **self.options)
        parts = self.parts
        if isinstance(parts, Mapping):
            given = dict(parts)
            if isinstance(given.get("by"), str):
                given["by"] = (given["by"],)
            parts = Parts(**given)
        target = ObjectTarget(
            store,
            key,
            format=format_named(self.format),
            compression=self.compression,
            replace=self.replace,
            parts=parts,
            content_type=self.content_type,
            metadata=self.metadata,
        )
        target.format = with_options(target.format, self.format_options)
        return target

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the object or prefix, also where it is to be written."""
        from tradewind.airflow.lineage import dataset_of_uri

        return (dataset_of_uri(self.uri),)


@dataclass
class Table(Description):
    """A table to publish to.

    Args:
        conn_id: An Airflow connection of PostgreSQL, MySQL, MariaDB or SQLite.
        table: The table, which has to be there unless `create`. (templated)
        schema: The schema that it is in. (templated)
        mode: ``append`` (once a task run, however often it is retried), ``replace`` (`slice`, or
            all of it) or ``upsert`` (by `keys`).
        slice: What ``replace`` replaces: values by column, like ``{"day": "{{ ds }}"}``, or an SQL
            condition with its parameters. (templated)
        keys: Columns that ``upsert`` tells rows apart by.
        columns: Columns to fill, in the order of the data; by name when not given.
        create: Whether to create the table where it is missing.
        hook_params: Arguments of the official hook.
        cascade: Whether ``replace`` may delete rows that foreign keys with ON DELETE CASCADE or SET
            NULL refer to, so that rows of other tables go or change too; refused otherwise.
        skip_generated: Whether to leave out what the data have for columns that the table computes
            itself (GENERATED ALWAYS AS); refused otherwise.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("conn_id", "table", "schema", "slice")

    conn_id: str
    table: str
    schema: str | None = None
    mode: Literal["append", "replace", "upsert"] = "append"
    slice: Any = None
    keys: Sequence[str] = ()
    columns: Sequence[str] | None = None
    create: bool = False
    hook_params: Mapping[str, Any] | None = None
    cascade: bool = False
    skip_generated: bool = False

    def check(self) -> None:
        """Refuse what is wrong whatever the data are; see `Description.check`."""
        from tradewind.airflow.parse_checks import check_choice

        if not self.table:
            raise InputError("Table: no table is named. Name it as table.")
        check_choice("Table: mode", self.mode, ("append", "replace", "upsert"))
        if self.slice is not None and self.mode != "replace":
            raise InputError("Table: a slice goes with mode='replace' only.")
        if self.keys and self.mode != "upsert":
            raise InputError("Table: keys go with mode='upsert' only.")
        if isinstance(self.keys, str) or isinstance(self.columns, str):
            raise InputError("Table: keys and columns are lists of names: ['id'], not 'id'.")

    def target(self) -> Target:
        """Make the target of the connection's type."""
        from tradewind.airflow.connections.sql import sql_table

        options: dict[str, Any] = {}
        for name in ("schema", "slice", "keys", "columns", "create", "cascade", "skip_generated"):
            if getattr(self, name):
                options[name] = getattr(self, name)
        return sql_table(
            self.conn_id, self.table, hook_params=self.hook_params, mode=self.mode, **options
        )

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the table."""
        from tradewind.airflow.connections.sql import database_of

        return (database_of(self.conn_id, self.hook_params).table(self.table, self.schema),)


def format_named(format: str | Format | None) -> Format | None:
    """Make a format of its name.

    Args:
        format: A name, a format, or None.

    Raises:
        InputError: There is no such format.
    """
    if not isinstance(format, str):
        return format
    from tradewind.move.registry import FORMATS, load

    name = {"json": "jsonl", "ndjson": "jsonl"}.get(format.lower(), format.lower())
    made: Format = load(FORMATS, name, what="format")()
    return made
