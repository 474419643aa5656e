"""Install what the tests need from Debian's packages, or say what is missing.

Standard library only. What is there already is left alone; what is installed needs root or a
passwordless sudo. Without either it says which packages to install and goes on: the tests that
need them are skipped, each saying so. Where the environment says ``CI=true`` that is an error.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

#: Package, and what shows that it is there: a program, or a path, which may have a ``*`` in it.
PACKAGES = {
    "chromium": "chromium",
    "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "docker.io": "dockerd",
    "iproute2": "ip",
    "podman": "podman",
    # What podman starts containers by; docker.io brings one too.
    "runc": "runc",
    "busybox-static": "/bin/busybox",
    "openssh-server": "sshd",
    "default-jre-headless": "java",
    # To bring Livy and Hadoop's mini cluster, and to start the latter.
    "default-jdk-headless": "javac",
    "maven": "mvn",
    "postgresql": "/usr/lib/postgresql/*/bin/initdb",
    "pgbouncer": "pgbouncer",
    # For the example plugin of Slurm; munge is how its programs know each other.
    "slurm-wlm": "slurmctld",
    "munge": "munged",
    # The server's programs without the service that Debian's mariadb-server starts.
    "mariadb-server-core": "mariadbd",
    "mariadb-client-core": "mariadb",
    # To compile the client of MySQL and MariaDB.
    "gcc": "cc",
    "libc6-dev": "/usr/include/stdio.h",
    "libmariadb-dev": "mariadb_config",
    "pkg-config": "pkg-config",
}
# To build the decoders of packages/tradewind-native. Debian 12's own cargo is too old for them.
RELEASE = Path("/etc/os-release")
if RELEASE.exists() and 'VERSION_ID="12"' in RELEASE.read_text():
    PACKAGES |= {"cargo-web": "cargo", "rustc-web": "rustc"}
else:
    PACKAGES |= {"cargo": "cargo", "rustc": "rustc"}
if sys.base_prefix == "/usr":
    PACKAGES["python3-dev"] = f"{sysconfig.get_path('include')}/Python.h"

#: Where Debian's postgresql makes a cluster when it is installed, and starts it.
CLUSTERS = "/var/lib/postgresql/*/main"


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
    clusters = set(glob.glob(CLUSTERS))
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
    for cluster in set(glob.glob(CLUSTERS)) - clusters:
        drop_cluster(prefix, Path(cluster).parent.name)
    if "openssh-server" in missing and shutil.which("systemctl"):
        stop_service(prefix, "ssh.service", "ssh.socket")
    if "pgbouncer" in missing and shutil.which("systemctl"):
        stop_service(prefix, "pgbouncer.service")
    if "munge" in missing and shutil.which("systemctl"):
        stop_service(prefix, "munge.service")
    if "slurm-wlm" in missing and shutil.which("systemctl"):
        stop_service(prefix, "slurmctld.service", "slurmd.service")
    if "podman" in missing and shutil.which("systemctl"):
        stop_service(prefix, "podman.service", "podman.socket")
    return 0


def stop_service(prefix: list[str], *units: str) -> None:
    """Stop a service that an installation has just started: nobody asked for it on this machine."""
    command = [*prefix, "systemctl", "disable", "--now", *units]
    done = subprocess.run(command, capture_output=True, text=True)
    # Where systemd does not run (a container), nothing was started either.
    if done.returncode and os.path.isdir("/run/systemd/system"):
        print(f"{' '.join(command)}: {done.stderr.strip()}", file=sys.stderr)


def drop_cluster(prefix: list[str], version: str) -> None:
    """Remove the empty cluster that an installation of PostgreSQL has just made and started.

    The tests start clusters of their own, and nobody asked for a service on this machine.
    """
    command = [*prefix, "pg_dropcluster", "--stop", version, "main"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{' '.join(command)}: {done.stderr.strip()}", file=sys.stderr)


def present(shows: str) -> bool:
    """Whether a program (looked for in the system folders too) or a file is there."""
    if shows.startswith("/"):
        return bool(glob.glob(shows))
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
