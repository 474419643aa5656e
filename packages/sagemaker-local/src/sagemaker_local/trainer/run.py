"""Runs the training job of a folder: the process that the SageMaker service starts for each job.

It reads ``job.json`` in that folder, writes events to stdout, ends at once when its stdin ends (the
service is gone), and on SIGTERM finishes early with the model it has.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import traceback
from pathlib import Path
from urllib.parse import urlsplit

from sagemaker_local import algorithms
from sagemaker_local.errors import InputError, SageMakerLocalError
from sagemaker_local.objects import Objects
from sagemaker_local.trainer.context import TrainingContext
from sagemaker_local.trainer.events import Events

__all__ = ["main"]


def main(folder: Path) -> int:
    """Run the job of a folder.

    Args:
        folder: Holds ``job.json``: the request, the algorithm's name, the S3 server's address.

    Returns:
        Exit status: 0 when the job is done, also when it was stopped; 1 when it failed.
    """
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=_end_with_the_service, name="stdin", daemon=True).start()
    # Whatever else prints to stdout goes to stderr: stdout belongs to the events.
    events = Events(os.dup(1))
    os.dup2(2, 1)
    try:
        job = json.loads((folder / "job.json").read_bytes())
        server = job["s3"]
        _reach_directly(server["endpoint"])
        objects = Objects(endpoint=server["endpoint"], region=server["region"])
        context = TrainingContext(job["request"], folder, objects, events, stopping)
        _remove_data(folder)
        algorithms.get(job["algorithm"]).train(context)
    except InputError as error:
        traceback.print_exc()
        events.failed(f"ClientError: {error}")
        return 1
    except SageMakerLocalError as error:
        traceback.print_exc()
        events.failed(f"InternalServerError: {error}")
        return 1
    except Exception as error:
        traceback.print_exc()
        events.failed(
            "InternalServerError: We encountered an internal error. Please try again. "
            f"({type(error).__name__}: {error})"
        )
        return 1
    finally:
        _remove_data(folder)
    events.done(context.artifacts)
    return 0


def _end_with_the_service() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def _reach_directly(endpoint: str) -> None:
    """Keep a proxy of the environment from being asked for the local S3 server."""
    host = urlsplit(endpoint).hostname or ""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), host]))


def _remove_data(folder: Path) -> None:
    shutil.rmtree(folder / "input", ignore_errors=True)
    (folder / "model.tar.gz").unlink(missing_ok=True)
