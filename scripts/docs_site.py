"""Hooks of MkDocs: pages that stand elsewhere in the repository, or are read from the code.

Links of Markdown are written for the repository, where they are read most often. On the site those
to other pages lead there; those to files that are no pages become the name of the file.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

#: Pages that are files of the repository: where they are on the site, and where in the repository.
ELSEWHERE = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
}

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not in ``docs/``."""
    from mkdocs.structure.files import File

    made = {page: (ROOT / path).read_text() for page, path in ELSEWHERE.items()}
    made |= {"options.md": options_page(), "cli.md": cli_page()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links of the repository into links of the site."""
    place = page.file.src_uri
    return site_links(markdown, place)


def site_links(markdown: str, place: str) -> str:
    """Rewrite the links of a page.

    Args:
        markdown: The page.
        place: Where it is on the site, like ``move.md``.
    """
    home = (
        (ROOT / ELSEWHERE[place]).parent if place in ELSEWHERE else (ROOT / "docs" / place).parent
    )
    pages = {(ROOT / path).resolve(): page for page, path in ELSEWHERE.items()}

    def link(match: re.Match[str]) -> str:
        image, text, address = match.groups()
        if "://" in address or address.startswith(("#", "mailto:")):
            return match[0]
        path, hash_, anchor = address.partition("#")
        meant = (home / path).resolve()
        page = pages.get(meant)
        if page is None and meant.is_relative_to(ROOT / "docs"):
            page = meant.relative_to(ROOT / "docs").as_posix()
        if page is None:
            # Not on the site: said by its name.
            if not meant.exists():
                return match[0]
            name = meant.relative_to(ROOT).as_posix()
            return f"{text} (`{name}`)" if name not in text else text
        up = "../" * place.count("/")
        return f"{image}[{text}]({up}{page}{hash_}{anchor})"

    # Links have code in their text, so only fenced blocks are left out.
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


# ------------------------------------------------------------------------------ systems and options


def options_page() -> str:
    """List every system and format with its schemes, connections and options, from the code."""
    from tradewind.move.registry import FORMATS
    from tradewind.registry import own_systems

    text = (
        "# Options of every system\n\n"
        "Read from the code. An option of a source is `--set-from NAME=VALUE` on the command line, "
        "one of a target `--set-to NAME=VALUE`; in Airflow it is an argument of `Sql`, "
        "`MongoCollection`, `Http`, `Objects` or `Table`, or an entry of their `options`; in "
        "Python an argument of the class.\n\n"
        "| system | URIs | read | write | run work | `tradewind up` | Airflow connection "
        "| install |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    systems = sorted(own_systems().values(), key=lambda system: system.title.lower())
    for system in systems:
        schemes = ", ".join(f"`{scheme}://`" for scheme in (*system.schemes, *system.aliases))
        row = (
            f"[{system.title}](#{system.name})",
            schemes,
            _yes(system.source or system.store),
            _yes(system.target or system.store),
            _yes(system.backend),
            f"`{system.name}`" if system.local else "",
            ", ".join(f"`{kind}`" for kind in system.connection_types),
            f"`{system.install}`" if system.install else "",
        )
        text += f"| {' | '.join(row)} |\n"
    for system in systems:
        text += f"\n## {system.title} {{ #{system.name} }}\n\n"
        if system.default_connection:
            text += f"Without a connection's name: `{system.default_connection}`.\n"
        for what, path in (
            ("Source", system.source),
            ("Target", system.target),
            ("Store", system.store),
            ("Backend", system.backend),
        ):
            if path:
                text += _class(what, path)
    text += "\n# Formats\n\nOptions of a format are given as those of the source or target.\n"
    for name, path in FORMATS.items():
        text += f"\n## {name} {{ #format-{name} }}\n" + _class("Format", path)
    text += "\n# Objects\n\nWhat every store has as a source and as a target.\n"
    for name, what, path in (
        ("Objects as a source", "Source", "tradewind.move.objects.source:ObjectSource"),
        ("Objects as a target", "Target", "tradewind.move.objects.target:ObjectTarget"),
        ("Parts", "Parts", "tradewind.move.objects.target:Parts"),
    ):
        text += f"\n## {name}\n" + _class(what, path)
    return text


def _yes(value: object) -> str:
    return "yes" if value else ""


def _class(what: str, path: str) -> str:
    module, _, name = path.partition(":")
    made = getattr(importlib.import_module(module), name)
    described = argument_texts(inspect.getdoc(made) or "")
    rows = ""
    for parameter in inspect.signature(made).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = "required" if parameter.default is parameter.empty else f"`{parameter.default!r}`"
        if " at 0x" in default or len(default) > 60:
            default = ""
        meaning = described.get(parameter.name, "").replace("|", "\\|")
        rows += f"| `{parameter.name}` | {default} | {meaning} |\n"
    text = f"\n**{what}: `{name}`** of `{module}`\n"
    return text + (f"\n| option | default | meaning |\n| --- | --- | --- |\n{rows}" if rows else "")


def argument_texts(docstring: str) -> Mapping[str, str]:
    """Read what a docstring in Google's style says of each argument.

    Args:
        docstring: Without indentation.
    """
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", docstring, re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in section[1].splitlines() if section else ():
        begun = re.match(r" {4}(\w+): (.*)", line)
        if begun:
            name = begun[1]
            found[name] = begun[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return {name: text.replace("``", "`") for name, text in found.items()}


# ------------------------------------------------------------------------------------- command line


def cli_page() -> str:
    """Print the help of every command."""
    text = "# Command line\n\nThe help of every command, as `tradewind COMMAND --help` prints it.\n"
    for name, parser in commands():
        text += f"\n## tradewind {name}\n\n```text\n{parser.format_help().strip()}\n```\n"
    return text


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Give the parser of each command."""
    import os

    from tradewind.cli import COMMANDS

    os.environ["COLUMNS"] = "100"
    parser = argparse.ArgumentParser(prog="tradewind")
    subparsers = parser.add_subparsers()
    for register in COMMANDS:
        register(subparsers)
    yield from subparsers.choices.items()
