"""Jobs of SageMaker: as the official operators' users write them, and what goes wrong."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from tradewind.airflow import SageMakerTrainingOperator, SageMakerTransformOperator

BUCKET = os.environ["TRADEWIND_TEST_BUCKET"]
IMAGE = "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1"
ARTIFACT = "{{ ti.xcom_pull(task_ids='train')['Training']['ModelArtifacts']['S3ModelArtifacts'] }}"


def training(name: str, **more: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": "sagemaker",
        "HyperParameters": {"k": "3", "feature_dim": "2", "mini_batch_size": "50"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": {
            "InstanceCount": "1",
            "InstanceType": "ml.c4.xlarge",
            "VolumeSizeInGB": "{{ 5 + 5 }}",
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": "3600"},
        **more,
    }


def long_training(name: str) -> dict[str, Any]:
    return training(name, HyperParameters={"k": "3", "feature_dim": "2", "epochs": "1000000"})


def transform(name: str, model: str, **more: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch/"}
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/answers/{name}", "Accept": "text/csv"},
        "TransformResources": {"InstanceCount": "1", "InstanceType": "ml.m4.xlarge"},
        **more,
    }


def model(name: str, artifact: str = ARTIFACT) -> dict[str, Any]:
    return {
        "ModelName": name,
        "ExecutionRoleArn": "sagemaker",
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": artifact},
    }


with DAG("sagemaker_jobs", schedule=None):
    train = SageMakerTrainingOperator(
        task_id="train",
        config=training(
            "jobs-{{ ds_nodash }}", Environment={"DB_PASSWORD": "swordfish", "DAY": "{{ ds }}"}
        ),
        check_interval=1,
    )
    started = SageMakerTrainingOperator(
        task_id="started",
        # That name is taken by then.
        config=training("jobs-{{ ds_nodash }}"),
        wait_for_completion=False,
        print_log=False,
    )
    deferred = SageMakerTrainingOperator(
        task_id="deferred", config=training("jobs"), deferrable=True, check_interval=1
    )
    batch = SageMakerTransformOperator(
        task_id="batch",
        config={"Model": model("jobs"), "Transform": transform("jobs", "jobs")},
        check_interval=1,
    )
    batch_deferred = SageMakerTransformOperator(
        task_id="batch_deferred",
        config=transform(
            "jobs-deferred", "{{ ti.xcom_pull(task_ids='batch')['Model']['ModelName'] }}"
        ),
        check_interval=1,
        deferrable=True,
    )
    train >> started >> deferred >> batch >> batch_deferred

with DAG("sagemaker_renamed", schedule=None):
    # As many call their jobs: otherwise whenever the file is read.
    SageMakerTrainingOperator(
        task_id="train", config=training(f"at-{time.time_ns()}"), check_interval=1
    )

with DAG("sagemaker_fails", schedule=None, default_args={"retries": 1}):
    SageMakerTrainingOperator(
        task_id="number",
        config=training("x", StoppingCondition={"MaxRuntimeInSeconds": "{{ 'long' }}"}),
    )
    SageMakerTrainingOperator(task_id="invalid", config=training("x", ResourceConfig={}))
    SageMakerTrainingOperator(
        task_id="no_data",
        config=training(
            "x",
            InputDataConfig=[
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{BUCKET}/nowhere/",
                        }
                    },
                }
            ],
        ),
    )
    SageMakerTrainingOperator(
        task_id="no_bucket",
        config=training(
            "x",
            InputDataConfig=[
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": "s3://no-such-bucket-here/x",
                        }
                    },
                }
            ],
        ),
    )
    SageMakerTrainingOperator(
        task_id="taken", config=training("taken"), action_if_job_exists="fail"
    )
    # Found out by the algorithm: SageMaker calls that a ClientError.
    SageMakerTrainingOperator(
        task_id="features",
        config=training("x", HyperParameters={"k": "3", "feature_dim": "5"}),
        check_interval=1,
    )
    SageMakerTrainingOperator(
        task_id="features_deferred",
        config=training("x", HyperParameters={"k": "3", "feature_dim": "5"}),
        check_interval=1,
        deferrable=True,
    )
    SageMakerTrainingOperator(
        task_id="late",
        config=long_training("late"),
        max_ingestion_time=1,
        check_interval=1,
        retries=0,
    )
    SageMakerTransformOperator(
        task_id="model_left",
        config={
            "Model": model("left", f"s3://{BUCKET}/no/model.tar.gz"),
            "Transform": transform("left", "left"),
        },
        check_interval=1,
        retries=0,
    )
    SageMakerTrainingOperator(
        task_id="timeout",
        config=long_training("timeout"),
        execution_timeout=timedelta(seconds=3),
        check_interval=1,
        retries=0,
    )
