"""Train and deploy with nothing but boto3, the way a book on pipelines shows it.

Run with AWS_ENDPOINT_URL_* in the environment: python book.py BUCKET KEY OUT. Nothing in it knows
of a local service.
"""

import json
import sys

import boto3

bucket, key, result = sys.argv[1:]
session = boto3.session.Session()
role = "arn:aws:iam::123456789012:role/sagemaker"
images = {
    "us-east-1": "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1",
    "eu-west-1": "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1",
}
image = images[session.region_name]

sagemaker = session.client("sagemaker")
job_name = "classifier-2026-01-01"
sagemaker.create_training_job(
    TrainingJobName=job_name,
    AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
    RoleArn=role,
    OutputDataConfig={"S3OutputPath": f"s3://{bucket}/output"},
    ResourceConfig={"InstanceCount": 2, "InstanceType": "ml.c4.8xlarge", "VolumeSizeInGB": 50},
    HyperParameters={"k": "3", "feature_dim": "2", "mini_batch_size": "50", "epochs": "3"},
    StoppingCondition={"MaxRuntimeInSeconds": 60 * 60},
    InputDataConfig=[
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{bucket}/{key}",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            "CompressionType": "None",
            "RecordWrapperType": "None",
        }
    ],
)
waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
waiter.wait(TrainingJobName=job_name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
info = sagemaker.describe_training_job(TrainingJobName=job_name)
assert info["TrainingJobStatus"] == "Completed", info.get("FailureReason")

model_name = job_name
sagemaker.create_model(
    ModelName=model_name,
    ExecutionRoleArn=role,
    PrimaryContainer={
        "Image": image,
        "ModelDataUrl": info["ModelArtifacts"]["S3ModelArtifacts"],
    },
)
config_name = "classifier-config-2026-01-01"
sagemaker.create_endpoint_config(
    EndpointConfigName=config_name,
    ProductionVariants=[
        {
            "InstanceType": "ml.t2.medium",
            "InitialInstanceCount": 1,
            "ModelName": model_name,
            "VariantName": "AllTraffic",
        }
    ],
)
sagemaker.create_endpoint(EndpointName="classifier", EndpointConfigName=config_name)
sagemaker.get_waiter("endpoint_in_service").wait(
    EndpointName="classifier", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
)

runtime = session.client("sagemaker-runtime")
answer = runtime.invoke_endpoint(
    EndpointName="classifier", ContentType="text/csv", Body="0,0\n0,10\n10,0"
)
predictions = json.loads(answer["Body"].read().decode())["predictions"]
with open(result, "w") as file:
    json.dump({"job": info, "predictions": predictions}, file, default=str)
