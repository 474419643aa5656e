"""`MongoToS3Operator`: documents of MongoDB as JSON lines in S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.base import Move, MoveOperator
from tradewind.airflow.lineage import Lineage
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["MongoToS3Operator"]


class MongoToS3Operator(MoveOperator):
    """Stream documents to S3, each as a line of relaxed extended JSON, as the official operator.

    Args:
        mongo_conn_id: The MongoDB connection. (templated)
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        mongo_collection: The collection. (templated)
        mongo_query: A dict to find by, or a list that is an aggregation pipeline. (templated)
        s3_bucket: The bucket. (templated)
        s3_key: The key. (templated)
        mongo_db: The database; the connection's when not given.
        mongo_projection: Fields to give: a list of names, or a dict.
        replace: Whether to replace an object that exists. When not, the task refuses before it
            reads anything; its own earlier attempt does not count.
        allow_disk_use: Whether a pipeline may use the server's disk.
        compression: ``gzip`` or ``zstd``; the key stays as it is.
        snapshot: Whether to read from one snapshot; where it is offered when not given.
        missing_ok: Whether a collection that is not there counts as an empty one.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_key",
        "mongo_query",
        "mongo_collection",
        "mongo_conn_id",
        "aws_conn_id",
    )
    ui_color = "#589636"
    template_fields_renderers: ClassVar[dict[str, str]] = {"mongo_query": "json"}

    def __init__(
        self,
        *,
        mongo_conn_id: str = "mongo_default",
        aws_conn_id: str | None = "aws_default",
        mongo_collection: str,
        mongo_query: list[Any] | dict[str, Any],
        s3_bucket: str,
        s3_key: str,
        mongo_db: str | None = None,
        mongo_projection: list[str] | dict[str, Any] | None = None,
        replace: bool = False,
        allow_disk_use: bool = False,
        compression: str | None = None,
        snapshot: bool | None = None,
        missing_ok: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mongo_conn_id = mongo_conn_id
        self.aws_conn_id = aws_conn_id
        self.mongo_db = mongo_db
        self.mongo_collection = mongo_collection
        self.mongo_query = mongo_query
        self.mongo_projection = mongo_projection
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.replace = replace
        self.allow_disk_use = allow_disk_use
        self.compression = compression
        self.snapshot = snapshot
        self.missing_ok = missing_ok
        if compression not in (None, "gzip", "zstd"):
            raise InputError(f"compression={compression!r}: choose 'gzip', 'zstd' or None.")

    @staticmethod
    def transform(docs: Any) -> Any:
        """Change documents on their way; meant to be overridden, as in the official operator.

        Args:
            docs: An iterator of documents, as PyMongo decodes them; read it bit by bit.

        Returns:
            What takes their place: an iterable of what JSON can hold, best a generator.
        """
        return docs

    def plan_move(self, context: Context) -> Move:
        """Read the query or pipeline into one object."""
        from tradewind.airflow.descriptions import MongoCollection
        from tradewind.move.formats.jsonl import JsonLinesFormat
        from tradewind.move.objects.target import ObjectTarget
        from tradewind.systems.s3.airflow import s3_store

        # The rendered value decides, not the one that was given.
        piped = isinstance(self.mongo_query, list)
        changed = type(self).transform is not MongoToS3Operator.transform
        read = MongoCollection(
            self.mongo_conn_id,
            self.mongo_collection,
            database=self.mongo_db,
            query=None if isinstance(self.mongo_query, list) else self.mongo_query,
            pipeline=self.mongo_query if isinstance(self.mongo_query, list) else None,
            projection=None if piped else self.mongo_projection,
            allow_disk_use=self.allow_disk_use,
            snapshot=self.snapshot,
            missing_ok=self.missing_ok,
            transform=self.transform if changed else None,
        )
        store = s3_store(self.s3_bucket, self.aws_conn_id)
        target = ObjectTarget(
            store,
            self.s3_key,
            format=JsonLinesFormat(),
            compression=self.compression or "none",
            replace=self.replace,
        )
        return Move(read.source(), target, lineage=Lineage(read.datasets()))
