"""Install what the tests run beside Python: emulators of clouds, from npm and from Go's modules.

They go into .tools/, by exact versions: those of requirements/node/package.json and of
requirements/go.txt. Standard library only. Where Node.js or Go is missing, or an installation
fails, this says so and goes on: the tests that need the emulator are skipped, each saying so. Where
the environment says ``CI=true`` a failure is an error.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"


def main() -> int:
    """Install what is missing; the exit status is 1 where that failed and must not."""
    failed = [
        name
        for name, program, pins, install in (
            ("node", "npm", ROOT / "requirements" / "node" / "package.json", install_node),
            ("go", "go", ROOT / "requirements" / "go.txt", install_go),
        )
        if not provide(name, program, pins, install)
    ]
    return 1 if failed and os.environ.get("CI") == "true" else 0


def provide(name: str, program: str, pins: Path, install: object) -> bool:
    """Install by one tool, unless that is done; whether all that can be there is there."""
    assert callable(install)
    stamp = TOOLS / f".{name}-is-installed"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    if shutil.which(program) is None:
        print(
            f"The program {program!r} is missing, and the tests that need what it installs "
            f"({pins.relative_to(ROOT)}) will be skipped.",
            file=sys.stderr,
        )
        return True
    print(f"Setting up .tools/{name} from {pins.relative_to(ROOT)} ...", flush=True)
    began = time.monotonic()
    folder = TOOLS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        install(folder, pins)
    except subprocess.CalledProcessError as error:
        print(f"{error.stdout or ''}"[-4000:], file=sys.stderr)
        print(
            f"{' '.join(map(str, error.cmd))} ended with status {error.returncode}: the tests that "
            "need what it installs will be skipped.",
            file=sys.stderr,
        )
        shutil.rmtree(folder, ignore_errors=True)
        return False
    stamp.write_text(wanted)
    print(f".tools/{name} is ready after {time.monotonic() - began:.0f} s.", flush=True)
    return True


def install_node(folder: Path, pins: Path) -> None:
    """Install the packages of a package.json beside a copy of it."""
    shutil.copy(pins, folder)
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    run(["npm", "install", "--omit=dev", *quiet], cwd=folder)


def install_go(folder: Path, pins: Path) -> None:
    """Build the programs that are named, one a line; only they stay, not what they are made of."""
    building = folder / "building"
    places = {"GOBIN": folder / "bin", "GOPATH": building / "path", "GOCACHE": building / "cache"}
    environment = {name: str(place) for name, place in places.items()}
    environment["GOFLAGS"] = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()
    for pin in pins.read_text().split():
        run(["go", "install", pin], cwd=folder, **environment)
    shutil.rmtree(building)


def run(command: list[str], *, cwd: Path, **environment: str) -> None:
    """Run a program whose output matters only when it fails."""
    subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main())
