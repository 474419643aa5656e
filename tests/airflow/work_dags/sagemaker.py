"""Training and deploying, by workers that are killed: needs a local SageMaker.

``TRADEWIND_TEST_BUCKET`` has ``train/points.pbr`` (two features) and ``good.tar.gz``, a model of
k-means; see `sagemaker_data` in tests/sagemaker_service.py. Each run of ``work_killed_endpoint``
deploys to the endpoint ``work-killed``.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG
from work import SOON, Watched

from tradewind.airflow import SageMakerEndpointOperator, SageMakerTrainingOperator

IMAGE = "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1"
BUCKET = os.environ.get("TRADEWIND_TEST_BUCKET")


class WatchedTrainingOperator(Watched, SageMakerTrainingOperator):
    pass


class WatchedEndpointOperator(Watched, SageMakerEndpointOperator):
    pass


if BUCKET:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}
    with DAG("work_killed_training", schedule=None):
        WatchedTrainingOperator(
            task_id="killed",
            retries=60,
            retry_delay=SOON,
            check_interval=1,
            config={
                "TrainingJobName": "killed-{{ ds }}",
                "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
                "RoleArn": "sagemaker",
                "HyperParameters": {"k": "3", "feature_dim": "2"},
                "InputDataConfig": [
                    {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
                ],
                "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
                "ResourceConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            },
        )

    variant = {
        "VariantName": "all",
        "ModelName": "killed-{{ ds }}",
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 1,
    }
    with DAG("work_killed_endpoint", schedule=None):
        WatchedEndpointOperator(
            task_id="killed",
            retries=60,
            retry_delay=SOON,
            check_interval=1,
            config={
                "Model": {
                    "ModelName": "killed-{{ ds }}",
                    "ExecutionRoleArn": "sagemaker",
                    "PrimaryContainer": {
                        "Image": IMAGE,
                        "ModelDataUrl": f"s3://{BUCKET}/good.tar.gz",
                    },
                },
                "EndpointConfig": {
                    "EndpointConfigName": "killed-{{ ds }}",
                    "ProductionVariants": [variant],
                },
                "Endpoint": {
                    "EndpointName": "work-killed",
                    "EndpointConfigName": "killed-{{ ds }}",
                },
            },
        )
