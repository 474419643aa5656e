"""Train an own image, ask an endpoint of it, and let batch transform ask it for a whole object.

    docker build -t own/nearest-mean:1 .
    python run.py own/nearest-mean:1

boto3 is led to the local services by its environment, as the README says.
"""

import sys
import uuid

import boto3

image = sys.argv[1]
name = f"nearest-mean-{uuid.uuid4().hex[:8]}"
role = "arn:aws:iam::123456789012:role/any"
instances = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
patience = {"Delay": 1, "MaxAttempts": 120}

s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")


def below(prefix: str) -> dict[str, dict[str, str]]:
    """All objects below a prefix of the bucket, as SageMaker's requests name them."""
    return {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/{prefix}"}}


s3.create_bucket(Bucket=name)
s3.put_object(Bucket=name, Key="train/rows.csv", Body="low,1,1\nlow,2,2\nhigh,8,8\nhigh,9,9\n")
s3.put_object(Bucket=name, Key="batch/rows.csv", Body="0,0\n7,7\n3,2\n")

sagemaker.create_training_job(
    TrainingJobName=name,
    AlgorithmSpecification={
        "TrainingImage": image,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "rows", "Regex": "rows=([0-9]+);"}],
    },
    RoleArn=role,
    HyperParameters={"digits": "2"},
    InputDataConfig=[{"ChannelName": "train", "DataSource": below("train/")}],
    OutputDataConfig={"S3OutputPath": f"s3://{name}/models"},
    ResourceConfig={**instances, "VolumeSizeInGB": 1},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
)
sagemaker.get_waiter("training_job_completed_or_stopped").wait(
    TrainingJobName=name, WaiterConfig=patience
)
job = sagemaker.describe_training_job(TrainingJobName=name)
print("trained on", int(job["FinalMetricDataList"][0]["Value"]), "rows")

model = {"Image": image, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=model)
sagemaker.create_endpoint_config(
    EndpointConfigName=name,
    ProductionVariants=[
        {
            "VariantName": "all",
            "ModelName": name,
            "InstanceType": "ml.t2.medium",
            "InitialInstanceCount": 1,
        }
    ],
)
sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=patience)
answer = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body="1,0\n9,8\n")
print("endpoint:", answer["Body"].read().decode().split())
sagemaker.delete_endpoint(EndpointName=name)

sagemaker.create_transform_job(
    TransformJobName=name,
    ModelName=name,
    TransformInput={
        "DataSource": below("batch/"),
        "ContentType": "text/csv",
        "SplitType": "Line",
    },
    TransformOutput={"S3OutputPath": f"s3://{name}/answers", "AssembleWith": "Line"},
    TransformResources=instances,
)
sagemaker.get_waiter("transform_job_completed_or_stopped").wait(
    TransformJobName=name, WaiterConfig=patience
)
answers = s3.get_object(Bucket=name, Key="answers/rows.csv.out")["Body"].read()
print("batch:", answers.decode().split())
