"""Large data through the training process: its memory is that of a batch, not of the data."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio
from training_jobs import Workshop, channel

COLUMNS = 784
BATCHES, ROWS = 120, 2500  # 300,000 rows, 950 MB


class Endless(io.RawIOBase):
    """A file of RecordIO that is made while it is read."""

    def __init__(self) -> None:
        rows = np.random.default_rng(0).random((ROWS, COLUMNS), dtype=np.float32)
        batch = b"".join(bytes(chunk) for chunk in recordio.encode([rows]))
        self._chunks = iter([batch] * BATCHES)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


@pytest.fixture
def workshop(local_s3: Systems, tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(local_s3, tmp_path)
    yield workshop
    workshop.close()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_pipe_mode_takes_the_memory_of_a_batch(workshop: Workshop) -> None:
    workshop.client.upload_fileobj(
        io.BufferedReader(Endless(), 1 << 20), workshop.bucket, "train/data.pbr"
    )
    _, folder = workshop.prepare(
        [channel("train", workshop.uri("train/"))],
        {"k": 64, "feature_dim": COLUMNS},
        mode="Pipe",
    )
    process = workshop.start(folder)
    status = Path(f"/proc/{process.pid}/status")
    peaks = [0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            with suppress(OSError):  # It may end at any time.
                for line in status.read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        peaks.append(int(line.split()[1]) // 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    outcome = workshop.finish(process, folder)
    ended.set()
    watcher.join()
    assert outcome.exit_code == 0, outcome.stderr
    assert 50 < max(peaks) < 500, "MB at its peak"
