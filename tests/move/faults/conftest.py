"""What the tests of faults share."""

from fault_systems import *  # noqa: F403
