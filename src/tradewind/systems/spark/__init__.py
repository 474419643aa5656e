"""Spark: applications by ``spark-submit``, on a standalone cluster and on YARN."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="spark",
    title="Spark",
    connection_types=("spark",),
    default_connection="spark_default",
)
