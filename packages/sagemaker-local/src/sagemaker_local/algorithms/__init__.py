"""The algorithms that the local SageMaker service has built in, found by their ECR image URI.

A further algorithm is one folder beside ``kmeans``, whose ``__init__`` defines ``ALGORITHM``, and
one more name in ``_BUILT_IN``.
"""

from __future__ import annotations

import importlib
import re

from sagemaker_local.algorithms.base import Algorithm, InvocationError, ServedModel

__all__ = ["Algorithm", "InvocationError", "ServedModel", "find", "get"]

_BUILT_IN = {"kmeans": "sagemaker_local.algorithms.kmeans"}

# <account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag][@digest]; the account of a built-in
# image differs by region (https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/), so any will
# do. A repository below a path (team/kmeans) is somebody's own image.
_ECR_IMAGE = re.compile(
    r"\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"
    r"/(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::[\w.-]+)?(?:@sha256:[0-9a-f]+)?"
)


def get(name: str) -> Algorithm:
    """Return the built-in algorithm of a name.

    Args:
        name: An ECR repository name, e.g. ``kmeans``.

    Raises:
        KeyError: There is none of that name.
    """
    module = importlib.import_module(_BUILT_IN[name])
    algorithm: Algorithm = module.ALGORITHM
    return algorithm


def find(image_uri: str) -> Algorithm | None:
    """Return the built-in algorithm that an image URI names, or None for any other image.

    Args:
        image_uri: ``TrainingImage`` or a container's ``Image``, e.g.
            ``438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1``; any account, region and tag.
    """
    match = _ECR_IMAGE.fullmatch(image_uri)
    if match is None or match["repository"] not in _BUILT_IN:
        return None
    return get(match["repository"])
