"""Make the image of crunch.py without a registry: from this machine's own Python.

    python scripts/listings_image.py [--docker-host unix:///var/run/docker.sock] [NAME:TAG]

The image holds this Python with its standard library, numpy and pyarrow as they are installed
here, the shared libraries that these need, and the program at /app/crunch.py: the same places as
the image of pipelines/listings/image/Dockerfile has. About 250 MB.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from container_engine import Engine, python_root  # noqa: E402

IMAGE = "tradewind-listings:1"
PROGRAM = ROOT / "pipelines" / "listings" / "crunch.py"


def make_image(engine: Engine, image: str = IMAGE) -> None:
    """Make the image and import it.

    Args:
        engine: The engine.
        image: ``NAME:TAG``.
    """
    packages = {}
    for name in ("numpy", "pyarrow"):
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        folder = Path(found.origin).parent
        # Beside the program: there Python looks first. Shared libraries of a wheel lie beside it.
        for each in (folder, folder.with_name(f"{name}.libs")):
            if each.exists():
                packages[each] = f"app/{each.name}"
    name, _, tag = image.partition(":")
    archive = python_root({}, packages=packages, files={"app/crunch.py": PROGRAM.read_bytes()})
    engine.import_image(name, tag or "latest", archive)


def main() -> None:
    """Make it on the engine that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    parser.add_argument("--docker-host", default=default, help="address of a Unix socket")
    parser.add_argument("image", nargs="?", default=IMAGE)
    given = parser.parse_args()
    socket = Path(given.docker_host.removeprefix("unix://"))
    engine = Engine(socket.parent, socket)
    if not engine.answers():
        sys.exit(f"no container engine answers at {given.docker_host}")
    make_image(engine, given.image)
    print(f"{given.image} is there.")


if __name__ == "__main__":
    main()
