"""What users have written down stays valid: operators, parameters, options, URIs, receipts.

``public_interface.json`` holds the interface as it was when the systems got folders of their own.
Additions are free. What is stored there may not go away, and may not get another default.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import tradewind.airflow
from tradewind.cli import main
from tradewind.move.receipt import Receipt, Stored, StoredObject

COMMANDS = ("move", "copy", "sweep", "up")

FROZEN = json.loads(Path(__file__).with_name("public_interface.json").read_text())


def parameters_of(made: Any) -> dict[str, str]:
    """Tell the parameters of a class by name, each with its default as text."""
    empty = inspect.Parameter.empty
    return {
        name: "required" if one.default is empty else re.sub(r" at 0x\w+", "", repr(one.default))
        for name, one in inspect.signature(made).parameters.items()
        if name not in ("args", "kwargs")
    }


def interface(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Describe the interface as it is now, in JSON's types."""
    classes = {name: getattr(tradewind.airflow, name) for name in tradewind.airflow.__all__}
    return {
        "parameters": {name: parameters_of(made) for name, made in classes.items()},
        "template_fields": {
            name: sorted(getattr(made, "template_fields", ())) for name, made in classes.items()
        },
        "options": {command: options_of(command, capsys) for command in COMMANDS},
        "receipt": {
            made.__name__: [field.name for field in dataclasses.fields(made)]
            for made in (Receipt, Stored, StoredObject)
        },
    }


def options_of(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Read the options of a command from its help."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return sorted(set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)))


def lacking(before: Any, now: Any, where: str = "") -> list[str]:
    """List what was there before and is not, or is different."""
    if isinstance(before, dict):
        return [
            text
            for key, value in before.items()
            for text in (
                lacking(value, now[key], f"{where}/{key}") if key in now else [f"{where}/{key}"]
            )
        ]
    if isinstance(before, list):
        return [f"{where}: {value}" for value in before if value not in now]
    return [] if before == now else [f"{where}: was {before}, is {now}"]


def test_what_users_have_written_down_stays_valid(capsys: pytest.CaptureFixture[str]):
    assert lacking(FROZEN, interface(capsys)) == []


def test_a_lost_name_is_noticed(capsys: pytest.CaptureFixture[str]):
    before = {**FROZEN, "options": {"move": ["--from", "--gone"]}}
    assert lacking(before, interface(capsys)) == ["/options/move: --gone"]
