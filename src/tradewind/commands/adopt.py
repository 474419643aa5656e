"""``tradewind adopt``: which operators of DAG files can be switched, and what would differ."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tradewind.errors import InputError, MissingExtraError

__all__ = ["register_adopt"]

_EPILOG = """\
examples:
  tradewind adopt dags                 what could be switched, and what would differ
  tradewind adopt dags --write         switch it
  tradewind adopt dags --check         for CI: ends with 1 where something could be switched

Files are read, never run. Only imports change. What is not certain is left alone, and told.
"""


@dataclass
class _File:
    """What was found in one file.

    Args:
        path: The file.
        uses: Official operators that it imports.
        left: What it uses in other ways, and is left alone.
        before: Its bytes.
        after: Its bytes when switched; the same as `before` where nothing is.
        problem: Why it could not be read, or written.
        note: Why it was not looked into, where that is no fault.
    """

    path: Path
    uses: list[Any] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    before: bytes = b""
    after: bytes = b""
    problem: str = ""
    note: str = ""

    @property
    def switched(self) -> list[Any]:
        return [use for use in self.uses if not use.left] if not self.problem else []

    @property
    def alone(self) -> list[Any]:
        found = [*self.left, *(one for use in self.uses for one in use.left)]
        return sorted(found, key=lambda one: one.line)


def register_adopt(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``adopt``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "adopt",
        help="show which official operators of DAG files can be switched to Tradewind's",
        description="Show which official operators of DAG files can be switched to Tradewind's "
        "by another import, the difference in each file, and what would differ when they run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="DAGS_FOLDER", help="a folder, or a file"
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write the files anew, each at once")
    mode.add_argument(
        "--check", action="store_true", help="exit with 1 where something could be switched"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        import libcst  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("libcst", extra="adopt", purpose="adopt") from error
    for path in arguments.paths:
        if not path.exists():
            raise InputError(f"adopt: there is no {path}. Name a folder of DAG files, or a file.")
    files = []
    seen: set[Path] = set()
    for found in (one for path in arguments.paths for one in _files(path)):
        where = Path(os.path.abspath(found.path))
        if where not in seen:
            seen.add(where)
            if not found.problem and not found.note:
                _read(found)
                if arguments.write and found.switched:
                    _write(found)
            files.append(found)
    try:
        if arguments.json:
            json.dump(_as_json(files, written=arguments.write), sys.stdout, indent=1)
            print()
        else:
            _print(files, sys.stdout, written=arguments.write)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    problems = any(one.problem for one in files)
    return int(problems or (arguments.check and any(one.switched for one in files)))


# -------------------------------------------------------------------------------------------- files


def _files(path: Path) -> Iterator[_File]:
    """Find the files of a folder; links within it are told, and not followed."""
    try:
        if not path.is_dir():
            yield _File(path)
            return
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        yield _File(path, problem=f"cannot be read: {error.strerror}")
        return
    for entry in entries:
        one = Path(entry.path)
        if entry.is_symlink():
            if one.is_dir() or one.suffix == ".py":
                yield _File(one, note=f"a link to {os.readlink(one)}, not followed")
        elif entry.is_dir():
            if entry.name.startswith("."):
                yield _File(one, note="a hidden folder, not looked into")
            elif entry.name != "__pycache__":
                yield from _files(one)
        elif one.suffix in (".py", ".ipynb"):
            yield _File(one)
        elif one.suffix == ".zip":
            yield _File(one, note="an archive, not looked into")


def _read(found: _File) -> None:
    from tradewind.commands.adopt_file import concerns, examine, parsed
    from tradewind.commands.adopt_rewrite import rewritten

    try:
        if not stat.S_ISREG(found.path.stat().st_mode):
            found.problem = "no regular file"
            return
        found.before = found.after = found.path.read_bytes()
    except OSError as error:
        found.problem = f"cannot be read: {error.strerror}"
        return
    if not concerns(found.before):
        return
    if found.path.suffix == ".ipynb":
        found.note = "a notebook that names official operators: switch it by hand"
        return
    try:
        tree = parsed(found.before)
        found.uses, found.left = examine(tree)
        if found.switched:
            found.after = rewritten(found.before, tree, found.uses)
    except InputError as error:
        found.problem = f"cannot be parsed, left as it is: {error}"


def _write(found: _File) -> None:
    """Put the new file in the place of the old one at once, with its mode."""
    import tempfile

    path = found.path.resolve()
    try:
        was = path.stat()
        if not os.access(path, os.W_OK) or os.geteuid() not in (0, was.st_uid):
            found.problem = "may not be written, or belongs to another: left as it is"
            return
        if was.st_nlink > 1:
            found.problem = "has several names (hard links), left as it is"
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with open(handle, "wb") as file:
                file.write(found.after)
                file.flush()
                os.fsync(file.fileno())
            if os.geteuid() == 0:
                os.chown(name, was.st_uid, was.st_gid)
            os.chmod(name, stat.S_IMODE(was.st_mode))
            if path.read_bytes() != found.before:
                found.problem = "was changed by another meanwhile, left as it is"
            else:
                os.replace(name, path)
                return
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        found.problem = f"cannot be written, left as it is: {error.strerror}"


# ------------------------------------------------------------------------------------------- report


def _diff(found: _File) -> str:
    """Show what changes, as ``diff -u`` does."""
    import difflib

    name = _plain(found.path.as_posix().lstrip("/"))
    lines = difflib.unified_diff(
        _text_lines(found.before), _text_lines(found.after), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _text_lines(source: bytes) -> list[str]:
    lines = source.decode(errors="backslashreplace").split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        del lines[-1]
    return lines


def _general(files: list[_File]) -> dict[str, list[tuple[str, str, str]]]:
    """Collect what differs whatever the parameters are, by operators that can be switched."""
    from tradewind.commands.adopt_file import is_general

    found: dict[str, list[tuple[str, str, str]]] = {}
    for file in files:
        for use in file.switched:
            rows = [row for row in use.official.rows() if is_general(row, use.official)]
            found.setdefault(use.official.name, rows)
    return found


def _print(files: list[_File], out: TextIO, *, written: bool) -> None:
    for file in files:
        if not (file.uses or file.left or file.problem or file.note):
            continue
        print(_plain(str(file.path)), file=out)
        for told in (file.problem, file.note):
            if told:
                print(f"  {_plain(told)}", file=out)
        for use in file.switched:
            verb = "switched" if written else "can be switched"
            print(f"  {use.official.name}: {verb}, {_lines(use.calls)}", file=out)
            for (what, official, here), lines in use.differs.items():
                print(f"    {what} ({_lines(lines)})", file=out)
                print(f"      official: {official or 'not there'}", file=out)
                print(f"      here: {here}", file=out)
            for note in use.notes:
                print(f"    {note}", file=out)
        for one in file.alone:
            print(f"  {one.name}: left alone, line {one.line}: {_plain(one.reason)}", file=out)
        if file.switched:
            print(f"\n{_diff(file)}", file=out, end="")
        print(file=out)
    for operator, rows in _general(files).items():
        print(f"{operator}, whatever its parameters", file=out)
        for what, official, here in rows:
            print(f"  {what or 'always'}", file=out)
            print(f"    official: {official or 'not there'}", file=out)
            print(f"    here: {here}", file=out)
        print(file=out)
    print(_summary(files, written=written), file=out)


def _summary(files: list[_File], *, written: bool) -> str:
    read = sum(not one.problem and not one.note for one in files)
    switched = sum(bool(one.switched) for one in files)
    alone = sum(bool(one.alone) for one in files)
    problems = sum(bool(one.problem) for one in files)
    verb = "switched" if written else "can be switched"
    text = f"Files read: {read}, {verb}: {switched}, with something left alone: {alone}."
    if problems:
        text += f" Not read or written, as told above: {problems}."
    if switched and not written:
        text += " Write them anew with --write."
    return text


def _lines(lines: list[int]) -> str:
    return ("line " if len(lines) == 1 else "lines ") + ", ".join(map(str, lines))


def _plain(text: str) -> str:
    """Keep what files and their names hold from moving the terminal's cursor."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _as_json(files: list[_File], *, written: bool) -> dict[str, Any]:
    def row(one: tuple[str, str, str]) -> dict[str, str]:
        return dict(zip(("what", "official", "here"), one, strict=True))

    return {
        "files": [
            {
                "path": str(file.path),
                "problem": file.problem or None,
                "note": file.note or None,
                "switched": [
                    {
                        "official": use.official.path,
                        "here": f"tradewind.airflow.{use.official.ours}",
                        "imports": use.imports,
                        "calls": use.calls,
                        "differs": [
                            {**row(one), "lines": lines} for one, lines in use.differs.items()
                        ],
                        "notes": use.notes,
                    }
                    for use in file.switched
                ],
                "left": [
                    {"line": one.line, "name": one.name, "reason": one.reason} for one in file.alone
                ],
                "diff": _diff(file) if file.switched else "",
            }
            for file in files
            if file.uses or file.left or file.problem or file.note
        ],
        "general": {name: [row(one) for one in rows] for name, rows in _general(files).items()},
        "written": written,
        "read": sum(not one.problem and not one.note for one in files),
    }
