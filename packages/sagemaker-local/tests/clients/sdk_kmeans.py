"""The KMeans estimator of SageMaker SDK 2.x, as its documentation shows it.

Run by the interpreter that has the SDK: python sdk_kmeans.py BUCKET. Prints one line of JSON at
its end.
"""

import json
import sys

import boto3
import numpy as np
import sagemaker
from sagemaker import KMeans, KMeansPredictor
from sagemaker.serializers import CSVSerializer

ROLE = "arn:aws:iam::123456789012:role/sagemaker"


def main(bucket):
    session = sagemaker.Session(default_bucket=bucket)
    random = np.random.default_rng(7)
    centres = np.array([[0, 0], [0, 10], [10, 0]], dtype="float32")
    points = np.repeat(centres, 100, axis=0) + random.normal(0, 0.1, (300, 2)).astype("float32")
    random.shuffle(points)

    kmeans = KMeans(
        role=ROLE,
        instance_count=2,
        instance_type="ml.c4.xlarge",
        output_path=f"s3://{bucket}/models",
        k=3,
        epochs=3,
        sagemaker_session=session,
    )
    kmeans.fit(kmeans.record_set(points), mini_batch_size=50)
    job = kmeans.latest_training_job.describe()

    predictor = kmeans.deploy(initial_instance_count=1, instance_type="ml.t2.medium")
    records = predictor.predict(centres)
    clusters = [int(r.label["closest_cluster"].float32_tensor.values[0]) for r in records]
    distances = [r.label["distance_to_cluster"].float32_tensor.values[0] for r in records]

    # The endpoint takes CSV as well; another predictor attaches to it by name.
    other = KMeansPredictor(predictor.endpoint_name, sagemaker_session=session)
    other.serializer = CSVSerializer()
    other.deserializer = sagemaker.deserializers.JSONDeserializer()
    by_csv = other.predict(centres)["predictions"]

    # A second fit of the same estimator, then the same endpoint with the new model.
    kmeans.fit(kmeans.record_set(points), mini_batch_size=50, logs=False)
    updated = sagemaker.model.Model(
        image_uri=kmeans.training_image_uri(),
        model_data=kmeans.model_data,
        role=ROLE,
        sagemaker_session=session,
    )
    updated.create(instance_type="ml.t2.medium")
    # The SDK itself would look every 30 seconds.
    quickly = {"Delay": 1, "MaxAttempts": 60}
    client = boto3.client("sagemaker")
    predictor.update_endpoint(
        initial_instance_count=1,
        instance_type="ml.t2.medium",
        model_name=updated.name,
        wait=False,
    )
    endpoint = predictor.endpoint_name
    client.get_waiter("endpoint_in_service").wait(EndpointName=endpoint, WaiterConfig=quickly)
    again = [
        int(r.label["closest_cluster"].float32_tensor.values[0]) for r in predictor.predict(centres)
    ]

    transformer = kmeans.transformer(
        instance_count=1, instance_type="ml.m4.xlarge", output_path=f"s3://{bucket}/transformed"
    )
    session.upload_string_as_file_body("0,0\n0,10\n10,0\n", bucket, "batch/rows.csv")
    transformer.transform(
        f"s3://{bucket}/batch", content_type="text/csv", split_type="Line", logs=False, wait=False
    )
    job_name = transformer.latest_transform_job.name
    waiter = client.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName=job_name, WaiterConfig=quickly)
    out = session.read_s3_file(bucket, "transformed/rows.csv.out")

    predictor.delete_model()
    predictor.delete_endpoint()
    client.get_waiter("endpoint_deleted").wait(EndpointName=endpoint, WaiterConfig=quickly)
    left = [found["EndpointName"] for found in client.list_endpoints()["Endpoints"]]
    print(
        json.dumps(
            {
                "status": job["TrainingJobStatus"],
                "artifacts": kmeans.model_data,
                "metrics": {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]},
                "clusters": clusters,
                "distances": distances,
                "by_csv": by_csv,
                "again": again,
                "transformed": out,
                "endpoint": endpoint,
                "left": left,
            }
        )
    )


main(sys.argv[1])
