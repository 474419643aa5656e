"""Fixtures of the pipelines: an empty store of each kind."""

from object_stores import *  # noqa: F403
