"""Amazon SageMaker's built-in algorithm ``kmeans``, reimplemented after its public documentation.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/k-means.html and the pages below it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sagemaker_local.algorithms.base import Algorithm, ServedModel

if TYPE_CHECKING:
    from sagemaker_local.trainer.context import TrainingContext

__all__ = ["ALGORITHM"]


# Serving and training are imported only where they are needed: the service that serves a model
# has no use for scikit-learn, and the training process none for the request codecs.
def _load_model(model_tar_gz: Path | BinaryIO) -> ServedModel:
    from sagemaker_local.algorithms.kmeans.serve import KMeansModel

    return KMeansModel.load(model_tar_gz)


def _train(context: TrainingContext) -> None:
    from sagemaker_local.algorithms.kmeans.train import train

    train(context)


ALGORITHM = Algorithm(name="kmeans", load_model=_load_model, train=_train)
