"""Own images by SageMaker's container contract, on a container engine of this machine."""

from tradewind.local.sagemaker.containers.engine import (
    Engine,
    EngineError,
    NoEngineError,
    find_engine,
)
from tradewind.local.sagemaker.containers.labels import remove_leftovers

__all__ = ["Engine", "EngineError", "NoEngineError", "find_engine", "remove_leftovers"]
