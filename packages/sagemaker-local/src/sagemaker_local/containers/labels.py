"""Whose container is whose: labels, by which a killed service's leftovers are found."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sagemaker_local.containers.engine import EngineError, NoEngineError, find_engine

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["SERVICE", "WHAT", "labels", "remove_leftovers"]

# The data folder tells services on one engine apart: only one service process can hold it.
# They are named as when this was a part of Tradewind: what was left behind then is found too.
SERVICE = "tradewind.local.sagemaker"
WHAT = "tradewind.local.sagemaker.what"

_log = logging.getLogger(__name__)


def labels(context: Context, what: str) -> dict[str, str]:
    """The labels of a container of this service.

    Args:
        context: What the parts of the service share.
        what: The kind and name of what it is for, such as "endpoint/digits".
    """
    return {SERVICE: str(context.settings.data.resolve()), WHAT: what}


async def remove_leftovers(context: Context) -> None:
    """Remove the containers that an earlier, killed process of this service left.

    Args:
        context: What the parts of the service share, before it starts any container of its own.
    """
    try:
        engine = await find_engine(context.settings.engine)
    except NoEngineError:
        return
    try:
        for container in await engine.list(f"{SERVICE}={context.settings.data.resolve()}"):
            _log.info("Removing a leftover container of %s", container["Labels"].get(WHAT))
            await engine.remove(container["Id"])
    except EngineError as error:
        _log.warning("Leftover containers could not be removed: %s", error)
    finally:
        await engine.aclose()
