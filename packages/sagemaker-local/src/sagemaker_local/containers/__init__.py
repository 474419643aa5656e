"""Own images by SageMaker's container contract, on a container engine of this machine."""

from sagemaker_local.containers.engine import (
    Engine,
    EngineError,
    NoEngineError,
    find_engine,
)
from sagemaker_local.containers.labels import remove_leftovers

__all__ = ["Engine", "EngineError", "NoEngineError", "find_engine", "remove_leftovers"]
