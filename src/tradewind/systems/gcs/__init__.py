"""Google Cloud Storage: a store."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="gcs",
    title="Google Cloud Storage",
    schemes=("gs",),
    aliases={"gcs": "gs"},
    store="tradewind.systems.gcs.store:GCSStore",
    connection_types=("google_cloud_platform",),
    default_connection="google_cloud_default",
    connection="tradewind.systems.gcs.airflow:gcs_store",
    local="tradewind.systems.gcs.local:SYSTEM",
    install="pip install 'tradewind[gcs]'",
)
