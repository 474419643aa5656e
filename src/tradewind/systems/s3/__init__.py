"""Amazon S3 and servers like it: a store, and a server on this machine."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="s3",
    title="Amazon S3 and servers like it",
    schemes=("s3",),
    aliases={"s3a": "s3", "s3n": "s3"},
    store="tradewind.systems.s3.store:S3Store",
    connection_types=("aws", "s3"),
    default_connection="aws_default",
    connection="tradewind.systems.s3.airflow:s3_store",
    local="tradewind.systems.s3.local:SYSTEM",
    install="pip install 'tradewind[s3]'",
    doctor="tradewind.systems.s3.doctor:checks",
)
