"""BigQuery: a source, a table, and jobs."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="bigquery",
    title="BigQuery",
    schemes=("bigquery",),
    aliases={"bq": "bigquery"},
    source="tradewind.systems.bigquery.source:BigQuerySource",
    target="tradewind.systems.bigquery.table:BigQueryTable",
    connection_types=("gcpbigquery",),
    sql_connection_types=("google_cloud_platform",),
    default_connection="google_cloud_bigquery_default",
    connection="tradewind.systems.bigquery.airflow:connection_of",
    backend="tradewind.systems.bigquery.backend:BigQueryBackend",
    sweep="tradewind.systems.bigquery.sweep:leftovers",
    sweep_place="PROJECT",
    sweep_help=(
        "staging tables of loads that have died: PROJECT, which shows also its jobs that nobody "
        "supervises any more, or PROJECT/DATASET"
    ),
    local="tradewind.systems.bigquery.local:SYSTEM",
    install="pip install 'tradewind[bigquery]'",
    dialect="bigquery",
)
