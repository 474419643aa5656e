"""Systems that run work."""

from run_systems import *  # noqa: F403
