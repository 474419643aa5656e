"""Build the decoders in Rust and install them into an environment, or say what is missing.

    python3 scripts/native.py .venv
    python3 scripts/native.py .venv --wheel dist

Standard library only. pip brings the tool that builds (maturin), cargo the libraries; both from
wherever they are set up to find packages on this machine. Without a cargo that is new enough, or
where the build fails, this says so and goes on: Tradewind runs without them, and their tests are
skipped. Where the environment says ``CI=true`` that is an error.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "packages" / "tradewind-native"
OLDEST = (1, 85)
HINT = (
    "To build them: sudo apt-get install cargo-web rustc-web (on Debian 12), "
    "cargo rustc (on Debian 13), or Rust 1.85 or newer from elsewhere; then run this again."
)


def main() -> int:
    """Build and install; the exit status is 1 where that failed and must not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the environment")
    parser.add_argument(
        "--wheel", type=Path, help="make a wheel in this folder, and install nothing"
    )
    arguments = parser.parse_args()
    failed = 1 if arguments.wheel or os.environ.get("CI") == "true" else 0
    folder = ROOT / arguments.folder
    stamp = folder / ".native-is-installed"
    wanted = fingerprint()
    if not arguments.wheel and stamp.exists() and stamp.read_text() == wanted:
        return 0
    found = cargo()
    if found is None or found < OLDEST:
        version = "missing" if found is None else ".".join(map(str, found))
        print(
            "The decoders in Rust are left out, and their tests will be skipped: "
            f"cargo is {version}, and they need 1.85.\n{HINT}",
            file=sys.stderr,
        )
        return failed
    began = time.monotonic()
    print("Building packages/tradewind-native ...", flush=True)
    python = folder / "bin" / "python"
    try:
        if arguments.wheel:
            make_wheel(python, ROOT / arguments.wheel)
            return 0
        run(python, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", PACKAGE)
    except subprocess.CalledProcessError as error:
        print(f"{error.stdout or ''}"[-4000:], file=sys.stderr)
        print(
            f"{' '.join(map(str, error.cmd[:6]))} ... ended with status {error.returncode}: the "
            "decoders in Rust are left out, and their tests will be skipped. Mend that and run "
            "this again.",
            file=sys.stderr,
        )
        return failed
    stamp.write_text(wanted)
    print(f"They are ready after {time.monotonic() - began:.0f} s.", flush=True)
    return 0


def make_wheel(python: Path, folder: Path) -> None:
    """Make a wheel that any Linux of this processor takes (glibc 2.17): zig links it."""
    maturin = re.search(r'"(maturin==[^"]+)"', (PACKAGE / "pyproject.toml").read_text())
    assert maturin is not None
    with tempfile.TemporaryDirectory() as scratch:
        run(python, "-m", "venv", scratch)
        tools = Path(scratch, "bin", "python")
        # maturin looks for zig by the first python3 on PATH.
        os.environ["PATH"] = f"{tools.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        run(tools, "-m", "pip", "install", "-q", maturin[1], "ziglang==0.15.2")
        build = (tools, "-m", "maturin", "build", "--release", "--zig")
        run(*build, "--compatibility", "manylinux2014", "--out", folder, folder=PACKAGE)


def cargo() -> tuple[int, ...] | None:
    """Tell the version of cargo, None where there is none."""
    if shutil.which("cargo") is None or shutil.which("rustc") is None:
        return None
    done = subprocess.run(["cargo", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"cargo (\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def fingerprint() -> str:
    """What the package is built from."""
    digest = hashlib.sha256(sys.version.encode())
    files = [*PACKAGE.glob("*.toml"), *PACKAGE.glob("src/**/*.rs")]
    for file in sorted(files):
        digest.update(f"{file.relative_to(PACKAGE)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def run(*command: str | Path, folder: Path = ROOT) -> None:
    """Run a command, and keep what it says for the case that it fails."""
    subprocess.run(
        command,
        check=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    sys.exit(main())
