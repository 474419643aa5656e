"""Counts what the page does, in the text format that Prometheus reads.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class Histogram:
    """How many observations were at most so long."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one observation."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def lines(self) -> list[str]:
        """The samples, each bucket with those below it."""
        lines = [f"# HELP {self.name} {self.text}", f"# TYPE {self.name} histogram"]
        total = 0
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.counts, strict=True):
            total += count
            lines.append(f'{self.name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{self.name}_sum {self.sum!r}", f"{self.name}_count {total}"]


class Metrics:
    """The page's figures. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._requests = Histogram(
            "digits_request_seconds", "Time to answer a request for recognition."
        )
        self._endpoint = Histogram("digits_endpoint_seconds", "Time of a call of the endpoint.")

    def observe_request(self, outcome: str, seconds: float) -> None:
        """Counts an answered request: "recognised", or the code of its problem."""
        with self._lock:
            self._outcomes[outcome] += 1
            self._requests.observe(seconds)

    def observe_endpoint(self, seconds: float) -> None:
        """Counts a call of the endpoint, answered or not."""
        with self._lock:
            self._endpoint.observe(seconds)

    def count_endpoint_error(self, kind: str) -> None:
        """Counts a call of SageMaker that failed, by the error's name."""
        with self._lock:
            self._errors[kind] += 1

    def text(self) -> str:
        """All figures as Prometheus reads them."""
        with self._lock:
            lines = [
                *_counter(
                    "digits_requests_total",
                    "Requests for recognition by how they ended.",
                    "outcome",
                    self._outcomes,
                ),
                *self._requests.lines(),
                *_counter(
                    "digits_endpoint_errors_total",
                    "Failed calls of SageMaker by the error's name.",
                    "error",
                    self._errors,
                ),
                *self._endpoint.lines(),
            ]
        return "\n".join(lines) + "\n"


def _counter(name: str, text: str, label: str, counts: Counter[str]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} counter"]
    for value, count in sorted(counts.items()):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'{name}{{{label}="{escaped}"}} {count}')
    return lines
