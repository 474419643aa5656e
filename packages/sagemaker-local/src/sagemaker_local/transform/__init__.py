"""Batch transform: a model answers for whole objects, outside any endpoint."""

from sagemaker_local.transform.jobs import Transforms

__all__ = ["Transforms"]
