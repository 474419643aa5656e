"""The folders that local systems keep their data in: layout, marker, lock and key pair.

``DATA/credentials.json`` holds the key pair; ``DATA/<system>/`` is one system's own, with
``tradewind.json`` saying whose it is and ``lock`` held (flock(2)) while the system runs. Only the
user who starts it may look into it; so it is with the data folder where that is made here.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.system import Credentials

__all__ = ["claim_folder", "credentials_of"]

_log = logging.getLogger(__name__)

_LAYOUT = 1
_LOCK_PATIENCE_SECONDS = 5.0
_held: set[Path] = set()
"""The folders that this process has systems in."""


def credentials_of(data: Path) -> Credentials:
    """Read the key pair of a data folder, or make it.

    Args:
        data: The data folder; made when it is not there.

    Returns:
        The key pair.

    Raises:
        SetupError: The folder or the file is unusable.
    """
    _make_folder("tradewind up", data)
    path = data / "credentials.json"
    try:
        if not path.exists():
            made = {
                # Swift replaces the access key in a request's path, and in that of a copy twice: no
                # bucket or object may have it in its name. Capitals are not in a bucket's.
                "access_key_id": f"TRADEWIND{secrets.token_hex(6).upper()}",
                # Without the characters that need escaping in URLs, CSV or a shell.
                "secret_access_key": secrets.token_hex(20),
            }
            _write_new(path, json.dumps(made), mode=0o600)
        read = json.loads(path.read_text())
        return Credentials(str(read["access_key_id"]), str(read["secret_access_key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"tradewind up: {path} is not the key pair that was written there. "
            "Remove it to have a new one, or choose another folder with --data."
        ) from error
    except OSError as error:
        raise SetupError(
            f"tradewind up: cannot use {path}: {error.strerror}. "
            "Make it readable and its folder writable, or choose another with --data."
        ) from error


@contextlib.contextmanager
def claim_folder(system: str, data: Path) -> Iterator[tuple[Path, int]]:
    """Make one system's folder ready and hold it alone.

    Args:
        system: Name of the system.
        data: The data folder; the system's own is made in it.

    Yields:
        The system's folder, and the descriptor of its lock, for children to inherit: the folder
        stays claimed until the last of them is gone, also when this process is killed.

    Raises:
        SetupError: The folder is a file, cannot be written, holds something else, or is in use.
    """
    folder = data / system
    _make_folder(system, folder)
    lock = _open_lock(system, folder)
    try:
        _take_lock(system, folder, lock)
        _held.add(folder)
        try:
            _check_marker(system, folder)
            _make_private(folder)
            yield folder, lock
        finally:
            _held.discard(folder)
    finally:
        os.close(lock)


def _make_folder(system: str, folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise SetupError(
            f"{system}: the data folder {folder} is not a folder, a file is in its place. "
            "Remove that file, or choose another folder with --data."
        ) from error
    except OSError as error:
        raise SetupError(
            f"{system}: cannot make the data folder {folder}: {error.strerror}. "
            "Make its parent writable, or choose another folder with --data."
        ) from error


def _make_private(folder: Path) -> None:
    """Close a system's folder to other users: data, logs and sockets are in it."""
    try:
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        _log.warning("%s is open to other users of this machine: %s", folder, error.strerror)


def _open_lock(system: str, folder: Path) -> int:
    try:
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SetupError(
            f"{system}: cannot write to its data folder {folder}: {error.strerror}. "
            "Make it writable, or choose another folder with --data."
        ) from error


def _take_lock(system: str, folder: Path, lock: int) -> None:
    # Processes of an `up` that was killed a moment ago need a moment to die.
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            # What this process itself has stopped may still be dying: a server's sessions are
            # processes of their own, which notice its death some time after.
            own = holder == str(os.getpid()) and folder not in _held
            alive = holder.isdigit() and not own and _is_running(int(holder))
            if alive or time.monotonic() > deadline:
                who = f" (process {holder})" if alive else ""
                raise SetupError(
                    f"{system}: the data folder {folder} is in use by another `tradewind up`{who}. "
                    "Stop that one, or choose another folder with --data."
                ) from error
            time.sleep(0.05)
        except OSError as error:
            raise SetupError(
                f"{system}: cannot lock the data folder {folder}: {error.strerror}. "
                "Choose a folder on a local disk with --data."
            ) from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise SetupError(
            f"{system}: cannot write to its data folder {folder}: {error.strerror}. "
            "Make room there, or choose another folder with --data."
        ) from error


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _check_marker(system: str, folder: Path) -> None:
    marker = folder / "tradewind.json"
    expected = {"system": system, "layout": _LAYOUT}
    try:
        if marker.exists():
            if json.loads(marker.read_text()) == expected:
                return
        elif set(os.listdir(folder)) <= {"lock"}:
            _write_new(marker, json.dumps(expected))
            return
    except ValueError:
        pass
    except OSError as error:
        raise SetupError(
            f"{system}: cannot use its data folder {folder}: {error.strerror}. "
            "Make it readable and writable, or choose another folder with --data."
        ) from error
    raise SetupError(
        f"{system}: the data folder {folder} holds something else than data of this system "
        f"(its {marker.name} does not say so). Empty it, or choose another folder with --data."
    )


def _write_new(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all; one that another process wrote meanwhile stays."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.chmod(name, mode)
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
