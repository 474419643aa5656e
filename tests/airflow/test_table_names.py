"""Names of tables, as operators ask a database for its columns."""

from __future__ import annotations

import pytest

from tradewind.airflow.connections.sql import _readings


@pytest.mark.parametrize(
    ("kind", "schema", "table", "names"),
    [
        ("postgres", None, '"My Schema"."Order Items"', ['"My Schema"."Order Items"']),
        ("postgres", None, "PUBLIC.Fruits", ['"PUBLIC"."Fruits"', '"public"."fruits"']),
        ("postgres", "Sales", "t", ['"Sales"."t"', '"sales"."t"']),
        ("postgres", "s", "Order Items", ['"s"."Order Items"']),
        ("mysql", None, "`shop`.`Order Items`", ["`shop`.`Order Items`"]),
        ("mysql", "shop", "Fruits", ["`shop`.`Fruits`"]),
        ("sqlite", None, "main.t", ['"main"."t"']),
    ],
)
def test_a_name_is_read_as_its_target_reads_it(kind, schema, table, names):
    assert _readings(kind, schema, table) == names
