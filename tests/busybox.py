"""A container image of two megabytes, made without a registry."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from container_engine import Engine

__all__ = ["IMAGE", "busybox_root", "with_busybox"]

IMAGE = "tradewind-tests/busybox:1"
BUSYBOX = Path("/bin/busybox")
PROGRAMS = "sh sleep seq head tail tr kill printf id pwd cat wc"


def busybox_root() -> bytes:
    """A tar of a root file system with nothing but busybox."""
    if not BUSYBOX.exists():
        pytest.skip("busybox is missing: apt-get install busybox-static")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.add(BUSYBOX.resolve(), "bin/busybox")
        for name in PROGRAMS.split():
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name in ("tmp", "dev", "proc", "sys", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(folder)
    return target.getvalue()


@contextmanager
def with_busybox(engine: AbstractContextManager[Engine]) -> Iterator[Engine]:
    """Start an engine and give it the image."""
    root = busybox_root()
    with engine as daemon:
        name, _, tag = IMAGE.partition(":")
        daemon.import_image(name, tag, root)
        yield daemon
