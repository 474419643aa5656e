"""Object stores."""

from object_stores import *  # noqa: F403
