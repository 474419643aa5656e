"""The system tests' DAGs of the official operators, with other data and Tradewind's operators.

After ``example_sagemaker.py`` and ``example_sagemaker_endpoint.py`` of the Amazon provider. What
comes behind goes by the names that the examples give: sensors, the model's address, a deletion.
Left out are their set-up of an image and of roles, tuning and processing, which the local SageMaker
does not offer, and experiments and model packages, which are no operators of ours.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerDeleteModelOperator,
    SageMakerEndpointConfigOperator,
    SageMakerModelOperator,
)
from airflow.providers.amazon.aws.sensors.sagemaker import (
    SageMakerEndpointSensor,
    SageMakerTrainingSensor,
    SageMakerTransformSensor,
)
from airflow.sdk import DAG, chain
from jobs import BUCKET, IMAGE

from tradewind.airflow import (
    SageMakerEndpointOperator,
    SageMakerTrainingOperator,
    SageMakerTransformOperator,
)

FOLDER = os.environ["TRADEWIND_TEST_FOLDER"]


def set_up(env_id: str) -> dict[str, Any]:
    role_arn = "arn:aws:iam::123456789012:role/sagemaker"
    training_job_name, model_name = f"{env_id}-train", f"{env_id}-model"
    output = f"s3://{BUCKET}/{env_id}/results"
    resources = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    source = {
        "CompressionType": "None",
        "ContentType": "text/csv",
        "ChannelName": "train",
        "DataSource": {
            "S3DataSource": {
                "S3DataDistributionType": "FullyReplicated",
                "S3DataType": "S3Prefix",
                "S3Uri": f"s3://{BUCKET}/{env_id}/rows.csv",
            }
        },
    }
    return {
        "training_job_name": training_job_name,
        "training_config": {
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "HyperParameters": {"k": "3", "feature_dim": "2"},
            "InputDataConfig": [{**source, "ContentType": "text/csv;label_size=0"}],
            "OutputDataConfig": {"S3OutputPath": f"{output}/"},
            "ResourceConfig": resources,
            "RoleArn": role_arn,
            "StoppingCondition": {"MaxRuntimeInSeconds": 360},
            "TrainingJobName": training_job_name,
            "S3Operations": {
                "S3Upload": [
                    {
                        "Path": f"{FOLDER}/rows.csv",
                        "Bucket": BUCKET,
                        "Key": f"{env_id}/rows.csv",
                        "Tar": False,
                    }
                ]
            },
        },
        "model_name": model_name,
        "model_config": {
            "ExecutionRoleArn": role_arn,
            "ModelName": model_name,
            "PrimaryContainer": {
                "Mode": "SingleModel",
                "Image": IMAGE,
                "ModelDataUrl": f"{output}/{training_job_name}/output/model.tar.gz",
            },
        },
        "transform_job_name": f"{env_id}-transform",
        "transform_config": {
            "TransformJobName": f"{env_id}-transform",
            "ModelName": model_name,
            "TransformInput": {
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{BUCKET}/{env_id}/rows.csv",
                    }
                },
                "SplitType": "Line",
                "ContentType": "text/csv",
            },
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/{env_id}/transform"},
            "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
        },
        "endpoint_config_config": {
            "EndpointConfigName": f"{env_id}-config",
            "ProductionVariants": [
                {
                    "VariantName": f"{env_id}-demo",
                    "ModelName": model_name,
                    "InstanceType": "ml.t2.medium",
                    "InitialInstanceCount": 1,
                }
            ],
        },
        "endpoint_name": f"{env_id}-endpoint",
        "deploy_endpoint_config": {
            "EndpointName": f"{env_id}-endpoint",
            "EndpointConfigName": f"{env_id}-config",
        },
    }


with DAG("example_sagemaker", schedule=None):
    test_setup = set_up(f"official-{BUCKET}")

    # [START howto_operator_sagemaker_training]
    train_model = SageMakerTrainingOperator(
        task_id="train_model",
        config=test_setup["training_config"],
    )
    # [END howto_operator_sagemaker_training]

    # SageMakerTrainingOperator waits by default, setting as False to test the Sensor below.
    train_model.wait_for_completion = False

    await_training = SageMakerTrainingSensor(
        task_id="await_training",
        job_name=test_setup["training_job_name"],
        poke_interval=1,
    )

    create_model = SageMakerModelOperator(
        task_id="create_model",
        config=test_setup["model_config"],
    )

    # [START howto_operator_sagemaker_transform]
    test_model = SageMakerTransformOperator(
        task_id="test_model",
        config=test_setup["transform_config"],
    )
    # [END howto_operator_sagemaker_transform]

    # SageMakerTransformOperator waits by default, setting as False to test the Sensor below.
    test_model.wait_for_completion = False

    await_transform = SageMakerTransformSensor(
        task_id="await_transform",
        job_name=test_setup["transform_job_name"],
        poke_interval=1,
    )

    create_endpoint_config = SageMakerEndpointConfigOperator(
        task_id="create_endpoint_config", config=test_setup["endpoint_config_config"]
    )

    # [START howto_operator_sagemaker_endpoint]
    deploy_endpoint = SageMakerEndpointOperator(
        task_id="deploy_endpoint",
        config=test_setup["deploy_endpoint_config"],
    )
    # [END howto_operator_sagemaker_endpoint]

    # SageMakerEndpointOperator waits by default, setting as False to test the Sensor below.
    deploy_endpoint.wait_for_completion = False

    await_endpoint = SageMakerEndpointSensor(
        task_id="await_endpoint",
        endpoint_name=test_setup["endpoint_name"],
        poke_interval=1,
    )

    delete_model = SageMakerDeleteModelOperator(
        task_id="delete_model",
        config={"ModelName": test_setup["model_name"]},
    )

    chain(
        train_model, await_training, create_model, test_model, await_transform,
        create_endpoint_config, deploy_endpoint, await_endpoint, delete_model,
    )  # fmt: skip
