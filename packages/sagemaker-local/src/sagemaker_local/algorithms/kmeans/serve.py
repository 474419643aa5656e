"""A served k-means model: names the closest cluster of each row and the distance to its centre."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from sagemaker_local.algorithms.kmeans import codecs, model

__all__ = ["KMeansModel"]

# A block of rows has a matrix of distances to all centres; this bounds its size (16 MB).
_BLOCK_VALUES = 4 * 1024 * 1024


class KMeansModel:
    """A k-means model in memory; safe to use from several threads.

    Args:
        centres: The clusters' centres, shape (k, d).
    """

    def __init__(self, centres: npt.NDArray[np.float32]) -> None:
        self.centres = np.ascontiguousarray(centres, np.float32)
        # Distances stay the same around the centres' middle, and numbers far from 0 that differ
        # little, such as years, keep their digits in float32.
        self._middle = self.centres.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = self.centres - self._middle
        self._doubled = np.ascontiguousarray(2 * centred.T)
        self._norms = np.einsum("ij,ij->i", centred, centred)

    @classmethod
    def load(cls, model_tar_gz: Path | BinaryIO) -> KMeansModel:
        """Read the artefact of a k-means training job.

        Args:
            model_tar_gz: Path of ``model.tar.gz``, or the open file.

        Raises:
            InputError: It is not such an artefact.
        """
        return cls(model.read_archive(model_tar_gz))

    @property
    def features(self) -> int:
        """How many features a row has (feature_dim)."""
        return int(self.centres.shape[1])

    def predict(
        self, rows: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """Return the closest cluster of each row and the Euclidean distance to its centre.

        Args:
            rows: Shape (rows, d).
        """
        clusters = np.empty(len(rows), np.intp)
        distances = np.empty(len(rows), np.float32)
        block = max(1, _BLOCK_VALUES // max(self.centres.shape))
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            # |x - c|^2 = |x|^2 + |c|^2 - 2xc, and |x|^2 does not change which c is closest.
            centred = part - self._middle
            closest = (self._norms - centred @ self._doubled).argmin(axis=1)
            # The distance itself comes from the difference: in float32 the formula above loses
            # every digit of a small distance between long vectors.
            apart = np.subtract(part, self.centres[closest], dtype=np.float64)
            clusters[start : start + block] = closest
            distances[start : start + block] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
        return clusters, distances

    def invoke(
        self, body: bytes, content_type: str | None, accept: str | None
    ) -> tuple[bytes, str]:
        """Answer one request.

        Args:
            body: Rows of features as CSV, JSON, JSON lines or RecordIO-protobuf.
            content_type: The request's ContentType.
            accept: The request's Accept; JSON is answered when it is None or ``*/*``.

        Returns:
            The answer's body and its content type.

        Raises:
            InvocationError: The request is wrong: status 400, 406 or 415.
        """
        answer = codecs.choose_answer(accept)
        rows = codecs.decode_request(body, content_type, self.features)
        clusters, distances = self.predict(rows)
        return codecs.encode_answer(answer, clusters, distances), answer
