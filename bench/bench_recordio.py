"""How fast RecordIO-protobuf is written and read, beside the SageMaker SDK's own writer.

Run ``python bench/bench_recordio.py`` after ``make test-environment``, which builds the environment
of the SDK. It prints a table and, as the last line, the same as JSON. Each figure is the best of
some runs, since a shared machine only ever adds time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.systems.sagemaker import recordio

ROWS, COLUMNS = 60_000, 784
RUNS = 5
SDK_ROWS = 4_000
SDK_PYTHON = Path(__file__).resolve().parent.parent / ".venv-clients" / "bin" / "python"
SDK = f"""
import io, json, time
import numpy as np
from sagemaker.amazon.common import write_numpy_to_dense_tensor
features = np.random.default_rng(0).random(({SDK_ROWS}, {COLUMNS}), dtype=np.float32)
labels = (np.arange({SDK_ROWS}) % 10).astype(np.float32)
best = 0
for _ in range(3):
    out = io.BytesIO()
    began = time.perf_counter()
    write_numpy_to_dense_tensor(out, features, labels)
    best = max(best, out.tell() / (time.perf_counter() - began))
print(json.dumps(best / 1e6))
"""


def main() -> int:
    """Measure and print."""
    random = np.random.default_rng(0)
    labels = np.arange(ROWS) % 10
    rows: dict[str, dict[str, float]] = {}
    kinds: dict[str, NDArray[Any]] = {
        "float32": random.random((ROWS, COLUMNS), dtype=np.float32),
        "float64": random.random((ROWS // 2, COLUMNS)),
        "int32": random.integers(0, 256, (ROWS // 4, COLUMNS), dtype=np.int32),
    }
    for name, features in kinds.items():
        rows[name] = measure(features, labels[: len(features)].astype(np.float32))
    sdk = sdk_speed()
    print(f"\n{COLUMNS} columns and a label; MB are 10^6 bytes of RecordIO\n")
    print("values     encode MB/s   decode MB/s   peak MB encoding   peak MB decoding")
    for name, row in rows.items():
        print(
            f"{name:<9} {row['encode']:12.0f} {row['decode']:13.0f} "
            f"{row['encode_peak']:18.1f} {row['decode_peak']:18.1f}"
        )
    if sdk is None:
        print(f"\nThe SDK was not measured: {SDK_PYTHON} is missing (make test-environment).")
    else:
        times = rows["float32"]["encode"] / sdk
        print(f"{'SDK 2.x':<9} {sdk:12.1f}\n\nfloat32 is written {times:.0f} times as fast.")
    print(json.dumps({"bench": "recordio", "sdk_encode": sdk, **rows}))
    return 0


def measure(features: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Speed in MB/s, and peak memory in MB beside the data, of a stream in batches of 2,500."""

    def batches() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for at in range(0, len(features), 2500):
            yield features[at : at + 2500], labels[at : at + 2500]

    data = b"".join(bytes(chunk) for chunk in recordio.encode(batches()))
    view = memoryview(data)

    def chunks() -> Iterator[memoryview]:
        for at in range(0, len(view), 1 << 20):
            yield view[at : at + (1 << 20)]

    def encode() -> None:
        exhaust(recordio.encode(batches()))

    def decode() -> None:
        exhaust(recordio.decode(chunks()))

    return {
        "encode": len(data) / best(encode) / 1e6,
        "decode": len(data) / best(decode) / 1e6,
        "encode_peak": peak(encode),
        "decode_peak": peak(decode),
    }


def exhaust(stream: Iterable[object]) -> None:
    """Take all of a stream and keep nothing."""
    for _ in stream:
        pass


def best(action: Callable[[], None]) -> float:
    """Fewest seconds of some runs."""
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def peak(action: Callable[[], None]) -> float:
    """Most memory that was allocated at once, in MB."""
    tracemalloc.start()
    action()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def sdk_speed() -> float | None:
    """MB/s of the SageMaker SDK 2.x writing labelled float32 rows, or None where it is missing."""
    if not SDK_PYTHON.exists():
        return None
    done = subprocess.run(
        [SDK_PYTHON, "-W", "ignore", "-c", SDK], capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())
