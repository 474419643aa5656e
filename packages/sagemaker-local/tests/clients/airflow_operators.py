"""The official SageMaker operators in one DAG, run by dag.test().

Run as python airflow_operators.py BUCKET. Nothing in it knows of a local service: the connection
aws_default says where everything is. Prints one line of JSON at its end.
"""

import itertools
import json
import sys

import pendulum
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerDeleteModelOperator,
    SageMakerEndpointConfigOperator,
    SageMakerEndpointOperator,
    SageMakerModelOperator,
    SageMakerTrainingOperator,
    SageMakerTransformOperator,
)
from airflow.sdk import DAG

BUCKET = sys.argv[1]
IMAGE = "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1"
ARTIFACTS = "{{ ti.xcom_pull(task_ids='%s')['Training']['ModelArtifacts']['S3ModelArtifacts'] }}"


def training(name):
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        # A role's name: the operator asks IAM for its ARN.
        "RoleArn": "sagemaker",
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{BUCKET}/train/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/airflow"},
        # Numbers as templates render them: the operator makes integers of them.
        "ResourceConfig": {
            "InstanceCount": "1",
            "InstanceType": "ml.c4.xlarge",
            "VolumeSizeInGB": "10",
        },
        "HyperParameters": {"k": "3", "feature_dim": "2", "mini_batch_size": "50"},
        "StoppingCondition": {"MaxRuntimeInSeconds": "3600"},
    }


def model(name, task):
    container = {"Image": IMAGE, "ModelDataUrl": ARTIFACTS % task}
    return {
        "ModelName": name,
        "ExecutionRoleArn": "sagemaker",
        "PrimaryContainer": container,
    }


def variants(name):
    return [
        {
            "VariantName": "all",
            "ModelName": name,
            "InstanceType": "ml.t2.medium",
            "InitialInstanceCount": "1",
        }
    ]


def deployment(name, task):
    return {
        "Model": model(name, task),
        "EndpointConfig": {"EndpointConfigName": name, "ProductionVariants": variants(name)},
        "Endpoint": {"EndpointName": "airflow", "EndpointConfigName": name},
    }


def transform(name, model_name):
    return {
        "TransformJobName": name,
        "ModelName": model_name,
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch/"}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/airflow-{name}", "Accept": "text/csv"},
        "TransformResources": {"InstanceCount": "1", "InstanceType": "ml.m4.xlarge"},
    }


with DAG("official_operators", start_date=pendulum.datetime(2026, 1, 1), schedule=None) as dag:
    steps = [
        SageMakerTrainingOperator(
            task_id="train", config=training("airflow-job"), print_log=True, check_interval=1
        ),
        # The name is taken: the operator appends the time to it.
        SageMakerTrainingOperator(
            task_id="train_deferred",
            config=training("airflow-job"),
            print_log=True,
            check_interval=1,
            deferrable=True,
        ),
        SageMakerModelOperator(task_id="model", config=model("airflow-model", "train")),
        SageMakerEndpointConfigOperator(
            task_id="endpoint_config",
            config={
                "EndpointConfigName": "airflow-config",
                "ProductionVariants": variants("airflow-model"),
            },
        ),
        SageMakerEndpointOperator(
            task_id="endpoint",
            config={"EndpointName": "airflow", "EndpointConfigName": "airflow-config"},
            check_interval=1,
        ),
        SageMakerEndpointOperator(
            task_id="endpoint_update",
            config=deployment("airflow-second", "train_deferred"),
            operation="update",
            check_interval=1,
            deferrable=True,
        ),
        # The endpoint is there: the operator updates it instead.
        SageMakerEndpointOperator(
            task_id="endpoint_create_again",
            config=deployment("airflow-third", "train"),
            check_interval=1,
        ),
        SageMakerEndpointOperator(
            task_id="endpoint_deferred",
            config={"EndpointName": "airflow-deferred", "EndpointConfigName": "airflow-config"},
            check_interval=1,
            deferrable=True,
        ),
        SageMakerTransformOperator(
            task_id="transform", config=transform("transform", "airflow-model"), check_interval=1
        ),
        SageMakerTransformOperator(
            task_id="transform_deferred",
            config={
                "Model": model("airflow-transform", "train"),
                "Transform": transform("deferred", "airflow-transform"),
            },
            check_interval=1,
            deferrable=True,
        ),
        SageMakerDeleteModelOperator(
            task_id="delete_model", config={"ModelName": "airflow-transform"}
        ),
    ]
    for one, other in itertools.pairwise(steps):
        one >> other

if __name__ == "__main__":
    run = dag.test()
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    print(json.dumps({"state": str(run.state), "tasks": states}))
