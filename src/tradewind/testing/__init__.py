"""Doubles for tests of pipelines, and the suites that every system passes.

`MemoryStore`, `MemorySource` and `FunctionBackend` run in this process and stand in for outside
systems where a test is about something else. `tradewind.testing.conformance` holds the suites that
our own systems pass and that a plugin's systems inherit; they need pytest.
"""

from __future__ import annotations

from tradewind.testing.function_backend import FunctionBackend, FunctionJob
from tradewind.testing.memory_source import MemorySource
from tradewind.testing.memory_store import MemoryStore

__all__ = ["FunctionBackend", "FunctionJob", "MemorySource", "MemoryStore"]
