"""Systems that run work."""

import pytest

from run_systems import *  # noqa: F403

# So that its assertions tell what they have found.
pytest.register_assert_rewrite("conformance")
