"""What a training process tells the service: one JSON object a line on its stdout."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from typing import Any

__all__ = ["Events"]


class Events:
    """Writes events, each whole, from any thread.

    Args:
        descriptor: The file descriptor that the service reads from.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def _send(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **fields}, allow_nan=False).encode() + b"\n"
        with self._lock:
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BrokenPipeError:
                    os._exit(1)  # the service is gone: nobody wants this job's end

    def status(self, status: str, message: str) -> None:
        """Say that the job enters a secondary status: Downloading, Training or Uploading."""
        self._send("status", status=status, message=message)

    def log(self, host: str, text: str, level: str = "INFO") -> None:
        """Write a line of an instance's log, as SageMaker's algorithms write theirs."""
        now = datetime.now(UTC)
        line = f"[{now:%m/%d/%Y %H:%M:%S} {level} {threading.get_ident()}] {text}"
        self._send("log", host=host, line=line)

    def metric(self, name: str, value: float) -> None:
        """Give a metric's final value (FinalMetricDataList), e.g. ``train:msd``."""
        self._send("metric", name=name, value=value)

    def done(self, artifacts: str | None) -> None:
        """Say that all is done; None when the job was stopped before there was a model."""
        self._send("done", artifacts=artifacts)

    def failed(self, reason: str) -> None:
        """Say why the job failed, in at most 1,024 characters (DescribeTrainingJob's limit)."""
        self._send("failed", reason=reason[:1024])
