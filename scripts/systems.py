"""Install what the tests need from Debian's packages, or say what is missing.

Standard library only. What is there already is left alone; what is installed needs root or a
passwordless sudo. Without either it says which packages to install and goes on: the tests that
need them are skipped, each saying so. Where the environment says ``CI=true`` that is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

#: Package, and the program that shows that it is there.
PACKAGES = {
    "chromium": "chromium",
    "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "docker.io": "dockerd",
    "iproute2": "ip",
}


def main() -> int:
    """Install what is missing; the exit status is 1 where that is impossible and must not be."""
    missing = [package for package, shows in PACKAGES.items() if not present(shows)]
    if not missing:
        return 0
    listed = " ".join(missing)
    prefix = how_to_be_root()
    if shutil.which("apt-get") is None or prefix is None:
        print(
            f"These systems are missing, and the tests that need them will be skipped: {listed}.\n"
            f"To run them all: sudo apt-get install --no-install-recommends {listed}",
            file=sys.stderr,
        )
        return 1 if os.environ.get("CI") == "true" else 0
    print(f"Installing from Debian's packages: {listed} ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = [*prefix, "apt-get", "update", "-qq"]
    install = [*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    for command in (update, install):
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            print(done.stdout[-4000:], file=sys.stderr)
            print(f"{' '.join(command)} ended with status {done.returncode}.", file=sys.stderr)
            return 1
    return 0


def present(shows: str) -> bool:
    """Whether a program (looked for in the system folders too) or a file is there."""
    if shows.startswith("/"):
        return os.path.exists(shows)
    return shutil.which(shows, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def how_to_be_root() -> list[str] | None:
    """What to put before a command that needs root; None where there is no way without asking."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and not subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode
    ):
        return ["sudo", "-n"]
    return None


if __name__ == "__main__":
    sys.exit(main())
