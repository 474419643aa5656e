"""The DAG ``digits``: fetches handwritten digits, trains on them, judges the model, deploys it.

Every object is keyed by the run's date, so that a date can be run again, and several dates at once.
All it is told are its parameters and one AWS connection; see docs/digits.md.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from digits.operators import DeployOperator, DownloadOperator
from digits.settings import Run, parameters
from tradewind.airflow import SageMakerTrainingOperator

CONNECTION = "{{ params.aws_conn_id }}"


def _channel(name: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "ContentType": "application/x-recordio-protobuf",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"{{{{ run(params, dag_run).channel_uri('{name}') }}}}",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


@dag(
    dag_id="digits",
    schedule="@daily",
    # No start_date: when the DAG is switched on, its first run is the next midnight's. Dates before
    # that are run by a backfill or a trigger.
    catchup=False,
    max_active_runs=4,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params=parameters(),
    user_defined_macros={"run": Run.of},
    tags=["tradewind", "sagemaker"],
    doc_md=__doc__,
)
def digits() -> None:
    """Declares the five tasks."""
    download_mnist = DownloadOperator(
        task_id="download_mnist",
        doc_md="Copies the data set from the public sample bucket to the date's own place.",
        aws_conn_id=CONNECTION,
        store="{{ params.store }}",
        store_conn_id="{{ params.store_conn_id or '' }}",
        source_bucket_name="{{ run(params, dag_run).source_bucket }}",
        source_bucket_key="{{ params.source_key }}",
        dest_bucket_name="{{ params.bucket }}",
        dest_bucket_key="{{ run(params, dag_run).source_key }}",
        execution_timeout=timedelta(hours=1),
    )

    @task(doc_md="Converts the data set to RecordIO, the format that SageMaker trains on.")
    def extract_mnist_data(**context: Any) -> dict[str, Any]:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from digits import tasks
        from tradewind.errors import InputError

        run = Run.of(context["params"], context["dag_run"])
        try:
            return tasks.extract(run, S3Hook(aws_conn_id=run.params["aws_conn_id"]))
        except InputError as error:
            raise AirflowFailException(f"{run.layout.uri(run.source_key)}: {error}") from error

    train = SageMakerTrainingOperator(
        task_id="sagemaker_train_model",
        doc_md="Trains k-means on SageMaker and waits for it.",
        aws_conn_id=CONNECTION,
        check_interval="{{ params.check_seconds }}",
        config={
            "TrainingJobName": "{{ run(params, dag_run).job }}",
            "AlgorithmSpecification": {
                "TrainingImage": "{{ run(params, dag_run).image }}",
                "TrainingInputMode": "File",
            },
            "RoleArn": "{{ params.role }}",
            "HyperParameters": {
                "k": "{{ params.k }}",
                "feature_dim": "784",
                "epochs": "{{ params.epochs }}",
                "mini_batch_size": "{{ params.mini_batch_size }}",
                "eval_metrics": '["msd", "ssd"]',
            },
            "InputDataConfig": [_channel("train"), _channel("test")],
            "OutputDataConfig": {"S3OutputPath": "{{ run(params, dag_run).models_uri }}"},
            "ResourceConfig": {
                "InstanceCount": 1,
                "InstanceType": "{{ params.training_instance }}",
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": "{{ params.max_runtime }}"},
        },
    )

    @task(doc_md="Names the clusters, measures the model, and rejects one that is not good enough.")
    def evaluate_model(**context: Any) -> dict[str, Any]:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

        from digits import tasks
        from tradewind.errors import InputError

        run = Run.of(context["params"], context["dag_run"])
        connection = run.params["aws_conn_id"]
        trained = context["ti"].xcom_pull(task_ids="sagemaker_train_model")
        try:
            return tasks.evaluate(
                run,
                S3Hook(aws_conn_id=connection),
                SageMakerHook(aws_conn_id=connection).get_conn(),  # type: ignore[no-untyped-call]
                trained["Training"] if trained else None,
            )
        except (InputError, tasks.RejectedError) as error:
            # A second look would find the same.
            raise AirflowFailException(str(error)) from error

    deploy = DeployOperator(
        task_id="sagemaker_deploy_model",
        doc_md="Puts the model into service, unless a newer one is, and removes what it replaces.",
        aws_conn_id=CONNECTION,
        check_interval="{{ params.check_seconds }}",
        max_active_tis_per_dag=1,
        execution_timeout=timedelta(hours=2),
    )

    download_mnist >> extract_mnist_data() >> train >> evaluate_model() >> deploy


digits()
