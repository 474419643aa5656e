"""What is wrong whatever the data are fails when the DAG file is read, not in a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tradewind.airflow import (
    DockerOperator,
    Http,
    HttpToS3Operator,
    MongoCollection,
    Objects,
    S3ToSqlOperator,
    Sql,
    SqlToS3Operator,
    Table,
    TransferOperator,
)
from tradewind.airflow.base import MoveOperator
from tradewind.airflow.parse_checks import is_fixed, parameters_of
from tradewind.airflow.parse_objects import USUAL_FORMATS, USUAL_SCHEMES, store_options
from tradewind.errors import InputError
from tradewind.move.registry import FORMATS, STORES
from tradewind.registry import own_systems

pytestmark = pytest.mark.airflow

ROWS = Sql("db", "SELECT 1")
FILE = Objects("s3://lake/k.csv")


def moved(source: Any = ROWS, target: Any = FILE) -> TransferOperator:
    return TransferOperator(task_id="t", source=source, target=target)


def to_s3(**given: Any) -> HttpToS3Operator:
    return HttpToS3Operator(task_id="t", s3_bucket="b", s3_key="k", **given)


def from_s3(**given: Any) -> S3ToSqlOperator:
    return S3ToSqlOperator(task_id="t", s3_bucket="b", s3_key="k.csv", table="t", **given)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: moved(Sql("db", "")), "no query"),
    (lambda: moved(Sql("db", "SELECT 1", connections="all")), "connections='all'"),
    (lambda: moved(Sql("db", "SELECT 1", connections=0)), "connections=0"),
    (lambda: moved(MongoCollection("m", "c", json="strict")), r"json='strict'.*relaxed"),
    (lambda: moved(MongoCollection("m", "c", unknown="drop")), "unknown='drop'"),
    (lambda: moved(MongoCollection("m", "")), "no collection"),
    (lambda: moved(MongoCollection("m", "c", query={"a": 1}, pipeline=[])), "place of query"),
    (lambda: moved(Http("h", pagination="pages")), r"pagination='pages'.*page:PARAM"),
    (lambda: moved(Http("h", records="data[")), r"data\["),
    (lambda: moved(Http("h", options={"max_page": 3})), r"no option 'max_page'.*max_pages"),
    (lambda: moved(Http("h", options={"records": "$"})), r"'records'.*argument: records="),
    (lambda: moved(Http("h", options=["lines"])), "no dict"),
    (lambda: moved(Http("h", extra_options={"verfy": False})), "'verfy'"),
    (lambda: moved(Http("h", unknown="drop")), "unknown='drop'"),
    (lambda: moved(Objects("s4://b/k")), r"s4.*s3"),
    (lambda: moved(Objects("lake/k.csv")), "names no object"),
    (lambda: moved(target=Objects("s3://b/k", format="cvs")), r"cvs.*csv"),
    (lambda: moved(target=Objects("s3://b/k.csv", compression="zip")), "'zip'.*gzip"),
    (lambda: moved(target=Objects("s3://b/p/", parts={"row": 5})), r"no option 'row'.*rows"),
    (lambda: moved(target=Objects("s3://b/p/", parts={"keep": True})), "rows, bytes or by"),
    (
        lambda: moved(target=Objects("s3://b/k.csv", format_options={"delimter": ";"})),
        r"'delimter'.*delimiter",
    ),
    (
        lambda: moved(target=Objects("s3://b/k", format="parquet", format_options={"nan": "null"})),
        "no option 'nan'",
    ),
    (lambda: moved(target=Objects("s3://b/k.csv", options={"verfy": 0})), r"'verfy'.*verify"),
    (lambda: moved(target=Objects("gs://b/k.csv", options={"verify": 0})), "'verify'"),
    (lambda: moved(target=Table("db", "")), "no table"),
    (lambda: moved(target=Table("db", "t", mode="replase")), r"'replase'.*upsert"),
    (lambda: moved(target=Table("db", "t", slice={"day": 1})), "mode='replace' only"),
    (lambda: moved(target=Table("db", "t", keys=["id"])), "mode='upsert' only"),
    (lambda: moved(target=Table("db", "t", mode="upsert", keys="id")), "lists of names"),
    (lambda: moved(source=Table("db", "t")), "no source"),
    (lambda: to_s3(pagination="pages"), "pagination='pages'"),
    (lambda: to_s3(options={"max_page": 3}), "no option 'max_page'"),
    (lambda: to_s3(extra_options={"verfy": False}), "'verfy'"),
    (lambda: from_s3(mode="replase"), "'replase'"),
    (lambda: from_s3(keys=["id"]), "mode='upsert' only"),
    (lambda: from_s3(file_format="cvs"), "cvs"),
    (
        lambda: SqlToS3Operator(
            task_id="t", query="SELECT 1", s3_bucket="b", s3_key="k", sql_conn_id="x",
            file_format="cvs",
        ),
        "cvs",
    ),
    (lambda: DockerOperator(task_id="t", image="i", mem_limit="lots"), "mem_limit='lots'"),
    (lambda: DockerOperator(task_id="t", image="i", shm_size="2x"), "shm_size='2x'"),
    (lambda: DockerOperator(task_id="t", image="i", mounts=[{"from": "x"}]), "no 'from'"),
    (lambda: DockerOperator(task_id="t", image="i", tls_client_key="/k"), "go together"),
]  # fmt: skip


def test_what_is_wrong_is_told_when_the_dag_is_read() -> None:
    for make, said in WRONG:
        with pytest.raises(InputError, match=said):
            make()
    for unknown in ({"nowhere": 1}, {"retires": 3}):
        with pytest.raises(TypeError, match=next(iter(unknown))):
            moved(**unknown)  # type: ignore[arg-type]


def test_what_is_right_or_a_template_is_let_be() -> None:
    for source in (
        Http("h", pagination="page", options={"max_pages": 3, "lines": True}),
        Http("h", pagination="offset:from:size:50", extra_options={"verify": "/ca.pem"}),
        Sql("{{ var.value.db }}", "{{ var.value.query }}", connections="auto"),
        Objects("{{ var.value.lake }}/{{ ds }}.csv", format="{{ params.format }}"),
        Objects("{{ var.value.lake }}", format_options={"delimiter": "{{ params.d }}"}),
    ):
        moved(source)
    for target in (
        Objects("s3://b/p/", format="csv", parts={"by": "city"}),
        Objects("s3://b/{{ ds }}/", format="json", parts={"by": ["a", "b"], "overwrite": "all"}),
        Objects("s3a://b/k.csv.gz", format_options={"delimiter": ";", "header": False}),
        Objects("s3://b/k.parquet", options={"verify": False, "part_bytes": 8 << 20}),
        Objects("az://c/k.parquet"),
        Objects("file:///tmp/{{ ds }}"),
        Table("db", "{{ params.table }}", mode="replace", slice={"day": "{{ ds }}"}),
    ):
        moved(target=target)
    to_s3(pagination="page", options={"max_pages": 3})
    DockerOperator(task_id="t", image="i", mem_limit="1.5g", shm_size=1 << 20, mounts=[])
    assert not is_fixed({"a": ["{{ ds }}"]})


def test_names_of_options_are_read_as_python_reads_them() -> None:
    """What is read in the source files is what the classes say of themselves."""
    import inspect

    from tradewind.move.formats.csv import CsvFormat
    from tradewind.move.formats.jsonl import JsonLinesFormat
    from tradewind.move.formats.parquet import ParquetFormat
    from tradewind.move.publish.destination import Parts
    from tradewind.systems.http.source import RestSource

    for each in (CsvFormat, JsonLinesFormat, ParquetFormat, Parts, RestSource):
        known = set(inspect.signature(each).parameters)
        assert parameters_of(f"{each.__module__}:{each.__name__}") == known, each
    assert parameters_of("duckdb:connect") is None
    assert set(USUAL_SCHEMES) <= set(STORES)
    assert set(USUAL_FORMATS) <= set(FORMATS)
    for system in own_systems().values():
        if system.store and system.connection:
            found = store_options(system.connection, system.store)
            assert found, system.name


def test_an_option_that_a_strangers_class_does_not_take_is_not_tried_again() -> None:
    import threading

    class Wrong(MoveOperator):
        def plan_move(self, context: Any) -> Any:
            return (lambda *, right: right)(wrong=1)  # type: ignore[call-arg]

    with pytest.raises(InputError, match="unexpected keyword argument 'wrong'"):
        Wrong(task_id="t").act({}, None, threading.Event())  # type: ignore[arg-type]
