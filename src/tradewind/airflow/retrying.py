"""A retry policy that knows what Tradewind's errors mean."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tradewind.errors import InputError, RetryError, SetupError

if TYPE_CHECKING:
    from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy

__all__ = ["retry_policy"]


def retry_policy(
    *, retry_delay: timedelta | None = None, fail_on_setup: bool = True
) -> ExceptionRetryPolicy:
    """Make a retry policy: passing trouble is retried, what no retry mends fails at once.

    For the argument ``retry_policy`` of any task (Airflow 3.3 and newer), also one of ``@task``
    that calls Tradewind's Python API::

        TransferOperator(..., retries=5, retry_policy=retry_policy())

    ================================ ==============================================================
    error                            decision
    ================================ ==============================================================
    `RetryError`, `UnreachableError` retry, after `retry_delay` where it is given
    `InputError`                     fail at once; Tradewind's operators do so without a policy, too
    `SetupError`                     fail at once, or as the task says with ``fail_on_setup=False``
    others                           as the task says
    ================================ ==============================================================

    Args:
        retry_delay: The pause after passing trouble; the task's own when not given.
        fail_on_setup: Whether a wrong password, permission or missing library fails at once.

    Returns:
        Airflow's ``ExceptionRetryPolicy``.

    Raises:
        SetupError: This Airflow is older than 3.3, and has no retry policies.
    """
    try:
        from airflow.sdk.definitions.retry_policy import (
            ExceptionRetryPolicy,
            RetryAction,
            RetryRule,
        )
    except ImportError as error:
        raise SetupError(
            "Retry policies need Airflow 3.3 or newer. Leave out the argument retry_policy: "
            "Tradewind's operators fail at once for wrong input without it, too."
        ) from error

    from tradewind.run.backend import UnreachableError

    rules = [
        # An address where nobody answers may be that of a system that is just restarting.
        RetryRule(
            exception=[RetryError, UnreachableError],
            action=RetryAction.RETRY,
            retry_delay=retry_delay,
            reason="Trouble on another system that may pass",
        ),
        RetryRule(
            exception=InputError,
            action=RetryAction.FAIL,
            reason="The input is wrong: no retry mends it",
        ),
    ]
    if fail_on_setup:
        rules.append(
            RetryRule(
                exception=SetupError,
                action=RetryAction.FAIL,
                reason="Something on the worker or in a connection is missing or wrong",
            )
        )
    return ExceptionRetryPolicy(rules=rules)
