"""Show the values of failed assertions of the public suites."""

import pytest

pytest.register_assert_rewrite("tradewind.testing")
