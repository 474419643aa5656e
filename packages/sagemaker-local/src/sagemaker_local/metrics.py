"""Finds the metrics of a training job in its log lines, by the MetricDefinitions of the job.

https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

from __future__ import annotations

import re

__all__ = ["MetricFinder"]


class MetricFinder:
    """Looks for metrics in lines.

    Args:
        definitions: Pairs {"Name": ..., "Regex": ...}, whose regex has one group, the value.
    """

    def __init__(self, definitions: list[dict[str, str]] | None) -> None:
        self._patterns: list[tuple[str, re.Pattern[str]]] = []
        for definition in definitions or []:
            try:
                self._patterns.append((definition["Name"], re.compile(definition["Regex"])))
            except re.error:
                continue  # refused when the job was created
        self._found: dict[str, float] = {}

    def look_at(self, line: str) -> None:
        """Note the metrics of a line."""
        for name, pattern in self._patterns:
            match = pattern.search(line[:4096])
            if match is None or not match.groups():
                continue
            try:
                self._found[name] = float(match.group(1))
            except (TypeError, ValueError):
                continue

    def take(self) -> dict[str, float]:
        """Return the newest values found since the last call, by name."""
        found, self._found = self._found, {}
        return found
