"""Where a secret may have gone: spellings of it, and places that are searched for them."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from attack_report import Attack


def spellings(secrets: Iterable[str]) -> dict[bytes, str]:
    """Give what tells of secrets: each as it is, in a URI, and in base64 wherever that begins."""
    found: dict[bytes, str] = {}
    for secret in secrets:
        found[secret.encode()] = secret
        found[quote(secret, safe="").encode()] = secret
        for before in range(3):
            # Three bytes become four letters; those at the ends depend on what stands beside.
            coded = base64.b64encode(b":" * before + secret.encode())
            begin = (0, 2, 3)[before]
            found[coded[begin:].rstrip(b"=")[:-1]] = secret
    return found


def search(data: bytes, told: dict[bytes, str]) -> list[str]:
    return sorted({secret for spelled, secret in told.items() if spelled in data})


def search_files(folder: Path, told: dict[bytes, str]) -> dict[str, list[str]]:
    """Search all files below a folder, names included."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            if secrets := search(data + str(path).encode(), told):
                found[str(path.relative_to(folder))] = secrets
    return found


@contextmanager
def watched(
    attack: Attack, told: dict[bytes, str], label: str, folder: Path | None = None
) -> Iterator[None]:
    """Look at all processes' command lines again and again, and at files that others may read.

    Args:
        attack: Is told.
        told: As `spellings` gives it.
        label: What runs.
        folder: With files of the running; what has a secret there must be for its owner alone.
    """
    over = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = process.read_bytes()
                if search(line, told):
                    seen.add(f"a command line: {line[:200]!r}")
        for path in folder.rglob("*") if folder else ():
            with contextlib.suppress(OSError):
                readable = not path.is_symlink() and path.is_file() and path.stat().st_mode & 0o077
                if readable and search(path.read_bytes(), told):
                    seen.add(f"a file that others may read: {path.relative_to(folder)}")

    def watch() -> None:
        while not over.wait(0.02):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for line in sorted(seen):
            attack.fail(f"{label}: {line}")
