"""From a plan to a fleet that answers."""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_local import algorithms
from sagemaker_local.hosting.artifacts import fetch
from sagemaker_local.hosting.fleet import Fleet, Variant
from sagemaker_local.hosting.servers import BuiltinServer, LoadError, ModelServer

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["discard", "load_fleet", "load_server", "tidy"]


async def load_fleet(context: Context, endpoint: str, plan: dict[str, Any]) -> Fleet:
    """Load every variant of a plan; the fleet is healthy when this returns.

    Args:
        context: What the parts of the service share.
        endpoint: The endpoint's name.
        plan: What to run (`plan.make_plan`); the images resolved are noted in it.

    Raises:
        LoadError: A variant cannot be brought to service; nothing of the others stays.
    """
    folder = _folder(context, endpoint, plan)
    loads = [
        asyncio.create_task(_load_variant(context, endpoint, variant, folder))
        for variant in plan["variants"]
    ]
    try:
        return Fleet(await asyncio.gather(*loads))
    except BaseException:
        for load in loads:
            load.cancel()
        for loaded in await asyncio.gather(*loads, return_exceptions=True):
            if isinstance(loaded, Variant):
                await loaded.server.close()
        raise


async def _load_variant(
    context: Context, endpoint: str, plan: dict[str, Any], folder: Path
) -> Variant:
    name = plan["VariantName"]
    stream = f"{name}/i-{uuid.uuid4().hex[:17]}"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    server = await load_server(
        context,
        plan,
        folder / name / "model.tar.gz",
        label=f"endpoint/{endpoint}",
        log=(group, stream),
        role=f"production variant {name}",
    )
    plan["ResolvedImage"] = server.resolved_image
    plan["ResolutionTime"] = round(time.time(), 3)
    return Variant(name, server, plan["Weight"], stream)


async def load_server(
    context: Context,
    container: dict[str, Any],
    artifact: Path,
    *,
    label: str,
    log: tuple[str, str],
    role: str,
) -> ModelServer:
    """Load one model: built-in algorithms in this process, other images in a container.

    Args:
        context: What the parts of the service share.
        container: `Image`, `ModelDataUrl`, `Environment` and perhaps `StartupTimeout` in seconds.
        artifact: Where the artefact is kept on this machine.
        label: What the container is for, to find it again.
        log: Log group and stream for what the container prints.
        role: What the model is for, as a failure names it.

    Raises:
        LoadError: The model cannot be brought to service.
    """
    image, url = container["Image"], container["ModelDataUrl"]
    group, stream = log
    algorithm = algorithms.find(image)
    if algorithm is None:
        from sagemaker_local.containers.serving import ContainerServer

        if url:
            await fetch(context, url, artifact)
        return await ContainerServer.start(
            context,
            image,
            artifact if url else None,
            environment=container["Environment"],
            startup_timeout=container.get("StartupTimeout", 240),
            label=label,
            log=log,
            role=role,
        )
    if not url:
        raise LoadError(
            f"The model has no ModelDataUrl, and the built-in algorithm {algorithm.name!r} needs "
            "one: the model.tar.gz that its training job wrote."
        )
    await fetch(context, url, artifact)
    server = await BuiltinServer.load(algorithm, image, artifact, context.workers)
    line = f"Loaded the model of the built-in algorithm {algorithm.name} from {url}"
    context.logs.put(group, stream, [(int(time.time() * 1000), line)])
    return server


def discard(context: Context, endpoint: str, plan: dict[str, Any] | None) -> None:
    """Remove the kept artefacts of a plan, or (without one) all of an endpoint's."""
    folder = _folder(context, endpoint, plan)
    shutil.rmtree(folder, ignore_errors=True)


def tidy(context: Context, endpoints: list[dict[str, Any]]) -> None:
    """Remove artefacts that a killed service left: of endpoints or deployments that are gone."""
    kept = {
        body["EndpointName"]: {
            str(plan["generation"]) for key in ("_active", "_pending") if (plan := body.get(key))
        }
        for body in endpoints
    }
    for folder in (context.settings.data / "endpoints").glob("*/*"):
        if folder.name not in kept.get(folder.parent.name, ()):
            shutil.rmtree(folder, ignore_errors=True)


def _folder(context: Context, endpoint: str, plan: dict[str, Any] | None) -> Path:
    folder = context.settings.data / "endpoints" / endpoint
    return folder if plan is None else folder / str(plan["generation"])
