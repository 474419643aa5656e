"""The client of MySQL and MariaDB, which is compiled when it is installed."""

from __future__ import annotations

import importlib.util

import pytest

NEEDED = (
    "the client of MySQL is compiled when it is installed: install libmariadb-dev, pkg-config and "
    "a C compiler, then run `make test`"
)


def need_mysql_client() -> None:
    """Skip the test where the client is not there."""
    if importlib.util.find_spec("MySQLdb") is None:
        pytest.skip(NEEDED, allow_module_level=True)
