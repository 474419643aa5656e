"""The README names every operation that is offered, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from sagemaker_local import registry

PAGE = Path(__file__).resolve().parents[1] / "README.md"


def test_every_operation_is_documented() -> None:
    registry.load()
    table = PAGE.read_text().partition("## What is offered")[2].partition("Any other operation")[0]
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", table)) - {"SageMaker", "CloudWatch"}
    assert named == {found.name for found in registry.offered()} | {"InvokeEndpoint"}
