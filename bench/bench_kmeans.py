"""K-means: the training process against scikit-learn's mini-batch k-means, and its memory.

The data are scikit-learn's bundled digits, enlarged to 28 x 28, turned, shifted and blurred anew
for each of 60,000 rows. Each way runs in a process of its own. A peer's time is that of its fit on
data already in memory; a training job's is everything from the start of its process to its end:
reading from S3 (on this machine, sharing its cores), clustering, scoring, upload of the model.
On a machine that is busy with other things compare the CPU seconds, with OMP_NUM_THREADS=1 and
OPENBLAS_NUM_THREADS=1: threads that wait for each other spin.

    python bench/bench_kmeans.py [--rows 60000] [--k 256] [--large-mb 1500]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_local.algorithms.kmeans import cluster
from sagemaker_local.algorithms.kmeans.serve import KMeansModel
from sagemaker_local.objects import Objects, S3Uri
from tradewind.local import up
from tradewind.systems.sagemaker import recordio

FEATURES = 784


def make_rows(count: int) -> np.ndarray:
    from scipy.ndimage import affine_transform, gaussian_filter, zoom
    from sklearn.datasets import load_digits

    images = load_digits().images / 16
    large = np.stack([np.pad(zoom(image, 2.5, order=1), 4) for image in images])
    rng = np.random.default_rng(0)
    rows = np.empty((count, 28, 28), np.float32)
    for row, number in enumerate(rng.integers(0, len(large), count)):
        angle, slant = rng.normal(0, 0.15, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle) + slant], [np.sin(angle), np.cos(angle)]])
        turn /= rng.normal(1, 0.08)
        middle = np.array([13.5, 13.5])
        offset = middle - turn @ middle + rng.normal(0, 0.8, 2)
        picture = affine_transform(large[number], turn, offset, order=1)
        picture *= 1 + gaussian_filter(rng.normal(0, 1, (28, 28)), 3) * 2
        rows[row] = np.clip(picture, 0, 1)
    return rows.reshape(count, FEATURES)


def msd_of(rows: np.ndarray, centres: np.ndarray) -> float:
    quality = cluster.Quality()
    for start in range(0, len(rows), 4096):
        quality.add(rows[start : start + 4096], centres)
    return quality.msd


def peer(data: Path, k: int, batch: int) -> None:
    """In a process of its own: fit scikit-learn's MiniBatchKMeans, print what came out."""
    from sklearn.cluster import MiniBatchKMeans

    rows = np.load(data)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    fitted = MiniBatchKMeans(k, batch_size=batch, n_init=1, random_state=0).fit(rows)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    msd = msd_of(rows, fitted.cluster_centers_)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "msd": msd}))


def run(command: list[str], **options: Any) -> tuple[str, dict[str, float]]:
    """Run a process; its output, and what it took: seconds and peak of resident memory."""
    begun, peak = time.perf_counter(), 0
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, **options) as process,
    ):
        status = Path(f"/proc/{process.pid}/status")
        # Not ru_maxrss: a process begins with its parent's.
        while True:
            ended, code, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            lines = status.read_text().splitlines()
            peak = max([peak, *(int(x.split()[1]) for x in lines if x.startswith("VmHWM"))])
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(code)
        seconds = time.perf_counter() - begun
        output.seek(0)
        said = output.read()
    if process.returncode:
        sys.exit(f"{command} failed:\n{said}")
    return said, {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": peak / 1024,
    }


def job(
    folder: Path, endpoint: str, region: str, name: str, prefix: str, mode: str, k: int
) -> dict[str, Any]:
    """Run one training job."""
    (folder / name).mkdir()
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://bench/{prefix}"}
    request = {
        "TrainingJobName": name,
        "HyperParameters": {"k": str(k), "feature_dim": str(FEATURES)},
        "AlgorithmSpecification": {"TrainingInputMode": mode},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://bench/models"},
        "ResourceConfig": {"InstanceCount": 1},
    }
    description = {
        "request": request,
        "algorithm": "kmeans",
        "s3": {"endpoint": endpoint, "region": region},
    }
    (folder / name / "job.json").write_text(json.dumps(description))
    output, taken = run([sys.executable, "-m", "sagemaker_local.trainer", str(folder / name)])
    metrics = [json.loads(line) for line in output.splitlines()]
    (msd,) = [m["value"] for m in metrics if m["event"] == "metric"]
    return {**taken, "msd": msd}


def large_object(rows: np.ndarray, megabytes: int) -> Iterator[bytes]:
    """The same rows over and over, until so much is made."""
    made = 0
    while made < megabytes * 1_000_000:
        for chunk in recordio.encode([rows]):
            yield bytes(chunk)
            made += len(chunk)
            if made >= megabytes * 1_000_000:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--k", type=int, default=256)
    parser.add_argument("--large-mb", type=int, default=1500)
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(Path(options.peer[0]), options.k, int(options.peer[1]))
        return

    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = make_rows(options.rows)
        np.save(folder / "rows.npy", rows)
        for batch in (1024, 5000):
            arguments = ["--k", str(options.k), "--peer", str(folder / "rows.npy"), str(batch)]
            output, taken = run([sys.executable, __file__, *arguments])
            results[f"scikit-learn MiniBatchKMeans, batches of {batch}"] = {
                **taken,
                **json.loads(output),
            }
        with up(["s3"], data=folder / "systems") as systems:
            os.environ.update(systems.environment)
            endpoint, region = systems["s3"].endpoint, systems.environment["AWS_REGION"]
            make_bucket(endpoint)
            objects = Objects(endpoint=endpoint, region=region)
            data = map(bytes, recordio.encode([rows]))
            objects.put(S3Uri("bench", "train/rows"), data)
            for mode in ("File", "Pipe"):
                results[f"training job, {mode} mode"] = job(
                    folder, endpoint, region, f"job-{mode}", "train/", mode, options.k
                )
            model = KMeansModel.load(
                io.BytesIO(
                    objects.read(
                        S3Uri("bench", "models/job-Pipe/output/model.tar.gz"), limit=1 << 30
                    )
                )
            )
            assert np.isclose(
                msd_of(rows, model.centres),
                results["training job, Pipe mode"]["msd"],
                rtol=1e-3,
            )
            if options.large_mb:
                objects.put(S3Uri("bench", "large/rows"), large_object(rows, options.large_mb))
                results[f"training job, Pipe mode, {options.large_mb} MB"] = job(
                    folder, endpoint, region, "job-large", "large/", "Pipe", options.k
                )

    megabytes = rows.nbytes / 1e6
    print(f"{options.rows:,} rows x {FEATURES} ({megabytes:.0f} MB), k={options.k}\n")
    print("| way | seconds | of the CPUs | msd | peak memory MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in results.items():
        print(
            f"| {name} | {taken['seconds']:.1f} | {taken['cpu_seconds']:.1f} "
            f"| {taken['msd']:.3f} | {taken['peak_mb']:.0f} |"
        )
    print(json.dumps({"bench": "kmeans", "data_mb": megabytes, "results": results}))


def make_bucket(endpoint: str) -> None:
    import boto3

    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bench")


if __name__ == "__main__":
    main()
