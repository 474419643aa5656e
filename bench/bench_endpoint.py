"""InvokeEndpoint of one digit on the local SageMaker: latency at a steady rate, and throughput.

    .venv/bin/python bench/bench_endpoint.py [--seconds 10]

The service and S3 run as `tradewind up` starts them; the load comes from a third process, on the
same cores. At a steady rate latency counts from the moment a request was due, so that a stall
shows in all requests it delays; "late p99" is how late the machine itself woke the load, which is
in the figures before it. The model is k-means with 256 centres of 784 features, as the digits
application deploys it. Ends with one line of JSON.

Bounds: p99 under 20 ms at 50 requests/s over one kept connection; 400 requests/s with 16 clients.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

FEATURES, CENTRES = 784, 256
RATE, CLIENTS = 50.0, 16
MOST_P99_MS, LEAST_RATE = 20.0, 400.0


def payloads() -> dict[str, tuple[str, bytes]]:
    """One digit in each content type: name -> (ContentType, body)."""
    from tradewind.systems.sagemaker import recordio

    digit = np.random.default_rng(1).integers(0, 256, (1, FEATURES)) / np.float32(255)
    digit = digit.astype(np.float32)
    values = [round(float(value), 6) for value in digit[0]]
    return {
        "csv": ("text/csv", ",".join(map(str, values)).encode()),
        "json": ("application/json", json.dumps({"instances": [{"features": values}]}).encode()),
        "recordio": ("application/x-recordio-protobuf", bytes(recordio.encode_batch(digit))),
    }


# The load: a process of its own --------------------------------------------------------------


class Connection:
    """One kept HTTP/1.1 connection."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self._address = (host, port)
        self._request = request

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self) -> None:
        """One request; anything but a 200 ends the measurement."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the endpoint answered {head.decode()}{body.decode()}")


async def steady(connect: Any, rate: float, seconds: float) -> dict[str, float]:
    """Requests at a fixed rate over one connection."""
    latencies, late = [], []
    async with connect() as connection:
        for _ in range(20):
            await connection.ask()
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            late.append(max(0.0, time.perf_counter() - due))
            await connection.ask()
            latencies.append(time.perf_counter() - due)
    found = summary(latencies, time.perf_counter() - start)
    # How late this process itself was woken: what the machine's other work adds to each figure.
    return found | {"late_p99_ms": round(float(np.percentile(late, 99)) * 1000, 2)}


async def flood(connect: Any, clients: int, seconds: float) -> dict[str, float]:
    """Clients that ask again as soon as they have an answer."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        async with connect() as connection:
            while (begun := time.perf_counter()) < end:
                await connection.ask()
                latencies.append(time.perf_counter() - begun)

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return summary(latencies, time.perf_counter() - start)


def summary(latencies: list[float], seconds: float) -> dict[str, float]:
    p50, p99, most = np.percentile(latencies, [50, 99, 100]) * 1000
    return {
        "requests_per_second": round(len(latencies) / seconds, 1),
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(float(most), 2),
    }


def load(endpoint: str, seconds: float) -> None:
    import uvloop

    host, _, port = endpoint.removeprefix("http://").partition(":")
    found = {}
    for name, (kind, body) in payloads().items():
        head = (
            f"POST /endpoints/digits/invocations HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Content-Type: {kind}\r\nAccept: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )

        def connect(request: bytes = head.encode() + body) -> Connection:
            return Connection(host, int(port), request)

        found[name] = {
            "bytes": len(body),
            "steady": uvloop.run(steady(connect, RATE, seconds)),
            "flood": uvloop.run(flood(connect, CLIENTS, seconds)),
        }
    print(json.dumps(found))


# The systems ---------------------------------------------------------------------------------


def client_of(service: str, environment: dict[str, str], endpoint: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )


def deploy(systems: Any) -> None:
    """Put a model of random centres into service as the endpoint `digits`."""
    from sagemaker_local.algorithms.kmeans.model import write_archive

    artifact = io.BytesIO()
    centres = np.random.default_rng(0).random((CENTRES, FEATURES), np.float32)
    write_archive(centres, artifact)
    s3 = client_of("s3", systems.environment, systems["s3"].endpoint)
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="model.tar.gz", Body=artifact.getvalue())
    sagemaker = client_of("sagemaker", systems.environment, systems["sagemaker"].endpoint)
    sagemaker.create_model(
        ModelName="digits",
        PrimaryContainer={
            "Image": "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1",
            "ModelDataUrl": "s3://bench/model.tar.gz",
        },
        ExecutionRoleArn="arn:aws:iam::123456789012:role/service",
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "digits",
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="digits", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="digits", EndpointConfigName="digits")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="digits", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )


def with_boto3(systems: Any, seconds: float) -> dict[str, float]:
    """What one thread sees through boto3, whose own work is most of it."""
    runtime = client_of("sagemaker-runtime", systems.environment, systems["sagemaker"].endpoint)
    kind, body = payloads()["csv"]
    latencies = []
    start = time.perf_counter()
    while (begun := time.perf_counter()) < start + seconds:
        answer = runtime.invoke_endpoint(
            EndpointName="digits", Body=body, ContentType=kind, Accept="application/json"
        )
        answer["Body"].read()
        latencies.append(time.perf_counter() - begun)
    return summary(latencies, time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--load", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.load, options.seconds)
        return 0
    from tradewind.local import up

    with (
        tempfile.TemporaryDirectory() as folder,
        up(["s3", "sagemaker"], data=Path(folder)) as systems,
    ):
        deploy(systems)
        command = [sys.executable, __file__, f"--seconds={options.seconds}"]
        command += ["--load", systems["sagemaker"].endpoint]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        boto3_row = with_boto3(systems, options.seconds)

    print(f"{'load':<34}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'late p99':>10}")

    def row(name: str, figures: dict[str, float]) -> None:
        print(
            f"{name:<34}{figures['requests_per_second']:>9}{figures['p50_ms']:>9}"
            f"{figures['p99_ms']:>9}{figures['max_ms']:>9}{figures.get('late_p99_ms', ''):>10}"
        )

    for name, figures in found.items():
        row(f"{name}, 1 connection, {RATE:g}/s", figures["steady"])
        row(f"{name}, {CLIENTS} clients", figures["flood"])
    row("csv, boto3, 1 client", boto3_row)
    passed = all(
        figures["steady"]["p99_ms"] < MOST_P99_MS
        and figures["flood"]["requests_per_second"] >= LEAST_RATE
        for figures in found.values()
    )
    bounds = {"p99_ms": MOST_P99_MS, "requests_per_second": LEAST_RATE}
    result = {"bench": "endpoint", **found, "boto3": boto3_row, "bounds": bounds, "passed": passed}
    print(json.dumps(result))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
