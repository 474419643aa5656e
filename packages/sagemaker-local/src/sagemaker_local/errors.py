"""What goes wrong on purpose, grouped by what can be done about it.

::

    SageMakerLocalError
    ├── RetryError    passing trouble on another system: the same call may succeed later
    ├── InputError    what was handed in is wrong: correct the data or the arguments
    └── SetupError    something on this machine is missing or wrong

Every message names the system, the object and the remedy, and never a secret. What a client of the
service is answered is in :mod:`sagemaker_local.api_errors`.
"""

from __future__ import annotations

__all__ = ["InputError", "RetryError", "SageMakerLocalError", "SetupError"]


class SageMakerLocalError(Exception):
    """Base of all errors that this package raises on purpose."""


class RetryError(SageMakerLocalError):
    """Another system failed in a way that may pass: try again later."""


class InputError(SageMakerLocalError):
    """Data or arguments handed in are wrong: correct them and call again."""


class SetupError(SageMakerLocalError):
    """Something on this machine is missing or wrong."""
