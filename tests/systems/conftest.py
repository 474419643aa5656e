"""What the tests of the systems share: object stores, and systems that run work."""

from object_stores import *  # noqa: F403
from run_systems import *  # noqa: F403
