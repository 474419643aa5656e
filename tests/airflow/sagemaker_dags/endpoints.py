"""Deployments: as the official operators' users write them, and what goes wrong."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG
from jobs import IMAGE

from tradewind.airflow import SageMakerEndpointOperator

BUCKET = os.environ["TRADEWIND_TEST_BUCKET"]
NAME = f"endpoints-{BUCKET}"


def deployment(name: str, artifact: str = "good", **more: Any) -> dict[str, Any]:
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{artifact}.tar.gz"}
    variant = {
        "VariantName": "all",
        "ModelName": name,
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": "{{ 2 - 1 }}",
    }
    return {
        "Model": {
            "ModelName": name,
            "ExecutionRoleArn": "sagemaker",
            "PrimaryContainer": container,
        },
        "EndpointConfig": {"EndpointConfigName": name, "ProductionVariants": [variant]},
        "Endpoint": {"EndpointName": NAME, "EndpointConfigName": name},
        **more,
    }


with DAG("endpoint_life", schedule=None, default_args={"check_interval": 1}):
    created = SageMakerEndpointOperator(
        task_id="created",
        config=deployment(f"{NAME}-1"),
        # What is there decides.
        operation="update",
    )
    updated = SageMakerEndpointOperator(
        task_id="updated", config=deployment(f"{NAME}-2"), deferrable=True
    )
    taken_back = SageMakerEndpointOperator(
        task_id="taken_back", config=deployment(f"{NAME}-3", "broken"), deferrable=True
    )
    moved = SageMakerEndpointOperator(
        task_id="moved",
        config={"EndpointName": NAME, "EndpointConfigName": f"{NAME}-by-hand"},
        trigger_rule="all_done",
    )
    moved_deferred = SageMakerEndpointOperator(
        task_id="moved_deferred",
        config={"EndpointName": f"{NAME}-2", "EndpointConfigName": f"{NAME}-by-hand"},
        deferrable=True,
    )
    started = SageMakerEndpointOperator(
        task_id="started", config=deployment(f"{NAME}-4"), wait_for_completion=False
    )
    created >> updated >> taken_back >> moved >> moved_deferred >> started

with DAG("endpoint_fails", schedule=None, default_args={"retries": 1}):
    other = deployment("x")
    other["Model"]["ModelName"] = "y"
    SageMakerEndpointOperator(task_id="other_model", config=other)
    two = deployment("x")
    two["Endpoint"]["EndpointConfigName"] = "{{ 'y' }}"
    SageMakerEndpointOperator(task_id="two_names", config=two)
    SageMakerEndpointOperator(
        task_id="no_name", config={"EndpointName": "{{ '' }}", "EndpointConfigName": "x"}
    )
    SageMakerEndpointOperator(
        task_id="no_config", config={"EndpointName": "nowhere", "EndpointConfigName": "nothing"}
    )
