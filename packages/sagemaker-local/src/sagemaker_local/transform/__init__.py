"""Batch transform: a model answers for whole objects, outside any endpoint."""

from tradewind.local.sagemaker.transform.jobs import Transforms

__all__ = ["Transforms"]
