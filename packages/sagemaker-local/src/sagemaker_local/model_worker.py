"""``python -m sagemaker_local.model_worker``: answers large requests, out of process.

Reading megabytes of numbers holds Python's interpreter lock for long: in the service's own process
it would stall every other request. The service writes requests to stdin and reads the answers from
stdout, each a line of JSON and then the bytes it announces; the end of stdin, which the end of the
service brings about too, ends the process.
"""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

from sagemaker_local import algorithms
from sagemaker_local.algorithms import InvocationError, ServedModel
from sagemaker_local.errors import InputError

__all__ = ["main"]

_MOST_MODELS = 4


class _Models:
    """The models used last."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[tuple[str, int, int, int], ServedModel] = OrderedDict()

    def get(self, algorithm: str, artifact: str) -> ServedModel:
        # Another artefact may come to be kept at the same path.
        stat = os.stat(artifact)
        key = (artifact, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        model = self._loaded.pop(key, None)
        if model is None:
            model = algorithms.get(algorithm).load_model(Path(artifact))
        self._loaded[key] = model
        while len(self._loaded) > _MOST_MODELS:
            self._loaded.popitem(last=False)
        return model


def main() -> None:
    """Answer requests until stdin ends."""
    os.nice(5)  # Requests that are answered at once go before.
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    models = _Models()
    while line := requests.readline():
        asked = json.loads(line)
        body = requests.read(asked["length"])
        if len(body) < asked["length"]:
            return
        _write(answers, *_answer(models, asked, body))


def _answer(models: _Models, asked: dict[str, Any], body: bytes) -> tuple[int, str, bytes]:
    try:
        model = models.get(asked["algorithm"], asked["artifact"])
        result, kind = model.invoke(body, asked["content_type"], asked["accept"])
    except InvocationError as error:
        return error.status, "text/plain", error.message.encode()
    except (InputError, OSError) as error:
        return 500, "text/plain", str(error).encode()
    return 200, kind, result


def _write(answers: BinaryIO, status: int, kind: str, body: bytes) -> None:
    head = {"status": status, "content_type": kind, "length": len(body)}
    answers.write(json.dumps(head).encode() + b"\n")
    answers.write(body)
    answers.flush()


if __name__ == "__main__":
    main()
