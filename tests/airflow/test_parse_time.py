"""What importing the operators costs a DAG file."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

import tradewind.airflow

pytestmark = pytest.mark.airflow

#: The class of buttons in the UI: one small file of Airflow, which operators with links need.
OF_AIRFLOW = {"airflow.sdk.bases.operatorlink"}

SCRIPT = """
import json, sys
from airflow.sdk import DAG, BaseOperator
with DAG("zero", schedule=None):
    BaseOperator(task_id="a").output
before = set(sys.modules)
import tradewind.airflow
alone = set(sys.modules) - before
from tradewind.airflow import Objects, Sql, SqlToS3Operator, TransferOperator
with DAG("one", schedule=None):
    TransferOperator(task_id="a", source=Sql("x", "SELECT 1"), target=Objects("s3://b/k.csv"))
    SqlToS3Operator(task_id="b", query="SELECT 1", s3_bucket="b", s3_key="k", sql_conn_id="x")
usual = set(sys.modules) - before
from tradewind.airflow import *
for name in tradewind.airflow.__all__:
    getattr(tradewind.airflow, name)
all_used = set(sys.modules) - before
homes = {getattr(tradewind.airflow, name).__module__ for name in tradewind.airflow.__all__}
single = {}
for name in tradewind.airflow.__all__:
    for module in [each for each in sys.modules if each.partition(".")[0] == "tradewind"]:
        del sys.modules[module]
    exec(f"from tradewind.airflow import {name}")
    single[name] = sum(each.partition(".")[0] == "tradewind" for each in sys.modules)
print(json.dumps([sorted(each) for each in (alone, usual, all_used, homes)] + [single]))
"""


def test_reading_a_dag_file_imports_next_to_nothing():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    alone, usual, all_used, homes, single = json.loads(done.stdout.splitlines()[-1])
    assert all(name.split(".")[0] == "tradewind" for name in alone)
    foreign = {name.split(".")[0] for name in {*all_used} - OF_AIRFLOW} - {"tradewind"}
    # Of the standard library at most: nothing of any system, not even pyarrow.
    assert foreign <= set(sys.stdlib_module_names), foreign
    # With packages of nothing but a docstring. Each operator has a module, which is read where the
    # operator is named: what they share is what grows unseen.
    shared = {name for name in all_used if name.startswith("tradewind")} - set(homes)
    assert len(shared) < 30, sorted(shared)
    assert max(single.values()) < 18, single
    assert len({*usual} - OF_AIRFLOW) < 15, usual


@pytest.mark.parametrize(
    ("version", "refused"), [("2.11.0", True), ("3.1.5", True), ("3.2.0", False)]
)
def test_an_old_airflow_is_refused_in_a_sentence(version, refused, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    if refused:
        with pytest.raises(ImportError, match=rf"needs Airflow 3\.2 or newer, and {version} is"):
            tradewind.airflow._check_version()
    else:
        tradewind.airflow._check_version()


def test_every_name_is_exported():
    assert sorted(tradewind.airflow.__all__) == tradewind.airflow.__all__
    assert set(tradewind.airflow.__all__) <= set(dir(tradewind.airflow))
    for name in tradewind.airflow.__all__:
        assert getattr(tradewind.airflow, name).__name__ == name


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'SqlToNowhereOperator'"):
        tradewind.airflow.SqlToNowhereOperator  # noqa: B018
