"""Azure Blob Storage: a store."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="azure",
    title="Azure Blob Storage",
    schemes=("az",),
    aliases={"wasb": "az", "wasbs": "az", "abfs": "az", "abfss": "az"},
    store="tradewind.systems.azure.store:AzureStore",
    connection_types=("wasb",),
    default_connection="wasb_default",
    connection="tradewind.systems.azure.airflow:azure_store",
    local="tradewind.systems.azure.local:SYSTEM",
    install="pip install 'tradewind[azure]'",
)
