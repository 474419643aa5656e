"""Build a Python environment from a file of exact pins: fast with uv, or else with pip.

    python3 scripts/environment.py .venv requirements/demo.txt --editable
    python3 scripts/environment.py .venv-clients requirements/clients.txt
    python3 scripts/environment.py .venv requirements/mysql.txt --compiles-mysqlclient

Uses the standard library only, since it runs before anything is installed. An environment that is
already right is left alone, which costs no time. Packages come from wherever pip is set up to find
them on this machine; nothing here names an address.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The distributions of this project, each a folder with a pyproject.toml.
PROJECTS = (ROOT, ROOT / "packages" / "sagemaker-local")
#: Systems as strangers write them; the tests use them installed.
PLUGINS = tuple(path.parent for path in sorted(ROOT.glob("examples/plugins/*/pyproject.toml")))
OLDEST = (3, 11)


def main() -> int:
    """Build the environment asked for; the exit status is 0 when it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("requirements", type=Path)
    parser.add_argument(
        "--editable", action="store_true", help="install this project's distributions as well"
    )
    parser.add_argument(
        "--plugins", action="store_true", help="install the example plugins as well"
    )
    parser.add_argument(
        "--compiles-mysqlclient",
        action="store_true",
        help="leave it out, with a message, where the client of MySQL cannot be compiled",
    )
    arguments = parser.parse_args()
    if sys.version_info < OLDEST:
        print(
            f"Tradewind needs Python {OLDEST[0]}.{OLDEST[1]} or newer, and {sys.executable} is "
            f"{sys.version.split()[0]}. Name a newer one: make PYTHON=python3.12 ...",
            file=sys.stderr,
        )
        return 2
    folder = ROOT / arguments.folder
    stamp = folder / f".{arguments.requirements.stem}-is-installed"
    projects = (PROJECTS if arguments.editable else ()) + (PLUGINS if arguments.plugins else ())
    wanted = fingerprint(ROOT / arguments.requirements, projects)
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    if arguments.compiles_mysqlclient and (missing := missing_for_mysqlclient()):
        print(
            f"{arguments.requirements} is left out, and the tests that need it will be skipped: "
            "the client of MySQL is compiled when it is installed.\n"
            f"To run them too: sudo apt-get install {' '.join(missing)}",
            file=sys.stderr,
        )
        return 1 if os.environ.get("CI") == "true" else 0
    began = time.monotonic()
    print(f"Setting up {arguments.folder} from {arguments.requirements} ...", flush=True)
    try:
        create(folder)
        install(folder, ROOT / arguments.requirements, projects)
    except subprocess.CalledProcessError as error:
        print(
            f"{arguments.folder} could not be set up: {' '.join(map(str, error.cmd[:6]))} "
            f"... ended with status {error.returncode}; what it says stands above. "
            "Mend that and run this again; what is already installed is kept.",
            file=sys.stderr,
        )
        return 1
    stamp.write_text(wanted)
    print(f"{arguments.folder} is ready after {time.monotonic() - began:.0f} s.", flush=True)
    return 0


def missing_for_mysqlclient() -> list[str]:
    """Debian's packages that compiling mysqlclient lacks here."""
    missing = []
    names = ("mysqlclient", "mariadb", "libmariadb")
    if shutil.which("pkg-config") is None:
        missing += ["pkg-config", "libmariadb-dev"]
    elif not any(
        subprocess.run(["pkg-config", "--exists", name], check=False).returncode == 0
        for name in names
    ):
        missing.append("libmariadb-dev")
    if not any(shutil.which(name) for name in (os.environ.get("CC") or "cc", "gcc", "clang")):
        missing += ["gcc", "libc6-dev"]
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("python3-dev")
    return missing


def fingerprint(requirements: Path, projects: tuple[Path, ...]) -> str:
    """What the environment was built from: pins, project, interpreter."""
    digest = hashlib.sha256(requirements.read_bytes())
    for project in projects:
        digest.update((project / "pyproject.toml").read_bytes())
    digest.update(f"{ROOT}\n{sys.version}".encode())
    return digest.hexdigest()


def create(folder: Path) -> None:
    """Make the bare environment, unless it is there and works."""
    python = folder / "bin" / "python"
    works = (
        python.exists()
        and not subprocess.run(
            [python, "-m", "pip", "--version"], capture_output=True, check=False
        ).returncode
    )
    if works:
        return
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        sys.exit(
            "This Python cannot make environments (no ensurepip). On Debian and Ubuntu install "
            "the package python3-venv."
        )
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)


def install(folder: Path, requirements: Path, projects: tuple[Path, ...]) -> None:
    """Install the pins, and this project's distributions without looking for anything else."""
    python = folder / "bin" / "python"
    editable: list[str | Path] = ["--no-deps"]
    for project in projects:
        editable += ["--editable", project]
    pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    installers = [[*pip, "install"]]
    # uv does in seconds what takes pip minutes, but a machine may be set up for pip alone.
    if not subprocess.run(
        [*pip, "install", "-r", ROOT / "requirements" / "uv.txt"], check=False
    ).returncode:
        uv: list[str | Path] = [
            folder / "bin" / "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
        ]
        installers.insert(0, uv)
    for last, installer in enumerate(installers, 1 - len(installers)):
        environment = {**os.environ, **(uv_settings(python) if installer[1:2] == ["pip"] else {})}
        try:
            subprocess.run([*installer, "-r", requirements], check=True, env=environment)
            if projects:
                subprocess.run([*installer, *editable], check=True, env=environment)
            return
        except subprocess.CalledProcessError:
            if last == 0:
                raise
            print("uv could not; trying again with pip ...", flush=True)


def uv_settings(python: Path) -> dict[str, str]:
    """Where pip is set up to find packages, in the words of uv, which reads no pip.conf."""
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        # ":env:.index-url" and "install.index-url" say the same as "global.index-url".
        found.setdefault(key.rpartition(".")[2], value.strip().strip("'\""))
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "cert": "SSL_CERT_FILE",
    }
    return {
        variable: found[name]
        for name, variable in names.items()
        if name in found and variable not in os.environ
    }


if __name__ == "__main__":
    sys.exit(main())
