"""Amazon SageMaker: jobs, endpoints, RecordIO, and its local form."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="sagemaker",
    title="Amazon SageMaker",
    backend="tradewind.systems.sagemaker.backend:SageMakerBackend",
    formats={"recordio": "tradewind.systems.sagemaker.recordio_format:RecordIOFormat"},
    local="tradewind.systems.sagemaker.local:SYSTEM",
    install="pip install 'tradewind[s3]'",
    sweep="tradewind.systems.sagemaker.sweep:leftovers",
    sweep_place="CONNECTION",
    sweep_help="jobs in progress, and what no endpoint uses: an Airflow connection, or boto3",
)
