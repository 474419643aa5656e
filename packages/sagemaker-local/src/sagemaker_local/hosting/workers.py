"""The processes that answer large requests to built-in models."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from sagemaker_local.invocation import Answer, Invocation

__all__ = ["WorkerError", "Workers"]

_MODULE = "sagemaker_local.model_worker"


class WorkerError(Exception):
    """The process ended before it had answered."""


class Workers:
    """Processes of `model_worker`, started when there is work for them, kept for more.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int = min(2, os.cpu_count() or 1)) -> None:
        self._free = asyncio.Semaphore(most)
        self._idle: list[asyncio.subprocess.Process] = []
        self._busy: set[asyncio.subprocess.Process] = set()

    async def invoke(self, algorithm: str, artifact: Path, invocation: Invocation) -> Answer:
        """Have one request answered.

        Args:
            algorithm: The built-in algorithm's name.
            artifact: The model.tar.gz on this machine.
            invocation: The request.

        Raises:
            WorkerError: The process ended meanwhile, for want of memory perhaps.
        """
        async with self._free:
            process = await self._take()
            self._busy.add(process)
            try:
                answer = await _exchange(process, algorithm, artifact, invocation)
            except BaseException as error:
                # Given up in the middle, or gone: nothing can be asked of it any more.
                code = await asyncio.shield(_end(process))
                if isinstance(error, asyncio.IncompleteReadError | OSError):
                    raise WorkerError(
                        "The process that answers large requests ended before it had answered "
                        f"(exit code {code}); too little memory may be the cause."
                    ) from error
                raise
            finally:
                self._busy.discard(process)
            self._idle.append(process)
            return answer

    async def _take(self) -> asyncio.subprocess.Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is for the service, which ends its processes itself.
            start_new_session=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

    async def close(self) -> None:
        """End all of them, at work or not."""
        processes, self._idle = [*self._idle, *self._busy], []
        await asyncio.gather(*(_end(process) for process in processes))


async def _exchange(
    process: asyncio.subprocess.Process, algorithm: str, artifact: Path, invocation: Invocation
) -> Answer:
    if process.stdin is None or process.stdout is None:
        raise WorkerError("The process was started without pipes.")
    head = {
        "algorithm": algorithm,
        "artifact": str(artifact),
        "content_type": invocation.content_type,
        "accept": invocation.accept,
        "length": len(invocation.body),
    }
    process.stdin.write(json.dumps(head).encode() + b"\n")
    process.stdin.write(invocation.body)
    await process.stdin.drain()
    told = json.loads(await process.stdout.readuntil(b"\n"))
    body = await process.stdout.readexactly(told["length"])
    return Answer(told["status"], body, told["content_type"])


async def _end(process: asyncio.subprocess.Process) -> int:
    with suppress(ProcessLookupError):
        process.kill()
    return await process.wait()
