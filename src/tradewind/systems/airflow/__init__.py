"""Apache Airflow as a system that is started on this machine."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="airflow",
    title="Apache Airflow",
    local="tradewind.systems.airflow.local:SYSTEM",
    install="pip install 'tradewind[airflow]'",
)
