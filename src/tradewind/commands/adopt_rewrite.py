"""Rewrite imports of official operators. All other bytes of the file stay."""

from __future__ import annotations

import ast
import codecs
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

import libcst
from libcst.helpers import get_full_name_for_node

from tradewind.commands.adopt_file import Use, parsed
from tradewind.errors import InputError

__all__ = ["rewritten"]

_OURS = libcst.Attribute(libcst.Name("tradewind"), libcst.Name("airflow"))
_WIDTH = 88  # of new lines, as formatters have it
_LINE = "its import shares a line with other code: give it a line of its own"
_COMMENTS = "comments stand between the names of its import: import it alone"

_Key = tuple[str, str, str]  # module, name there, name in the file


@dataclass(frozen=True)
class _Edit:
    """A part of a file that is written anew: lines from 0, places in characters."""

    first: int
    start: int
    last: int
    end: int
    text: str
    lines: tuple[str, ...]  # to stand below, each with its indentation and without its end


class _AwkwardError(Exception):
    """Names of an import cannot be taken apart as they stand."""


def rewritten(source: bytes, tree: ast.Module, uses: list[Use]) -> bytes:
    """Switch the imports of operators that nothing speaks against.

    Only the text of these imports is given to libcst and written anew, so all else stays.

    Args:
        source: The file's bytes.
        tree: The same as Python parses it.
        uses: Its operators. One whose import cannot be written anew without moving a comment is
            left, and its `Use.left` says so.

    Returns:
        The file with other imports.

    Raises:
        InputError: The file cannot be taken apart.
    """
    mark = codecs.BOM_UTF8 if source.startswith(codecs.BOM_UTF8) else b""
    try:
        # Bytes have the same ends of lines as Python's grammar; those of texts are more.
        pieces = source[len(mark) :].splitlines(keepends=True)
        top = iter([piece.rstrip(b"\r\n") + b"\n" for piece in pieces[:2]])
        encoding = "utf-8" if mark else tokenize.detect_encoding(lambda: next(top, b""))[0]
        lines = [piece.decode(encoding) for piece in pieces]
    except (SyntaxError, UnicodeError) as error:
        raise InputError(str(error)) from error
    edits = _edits(lines, tree, uses)
    for edit in sorted(edits, key=lambda one: (one.first, one.start), reverse=True):
        _apply(edit, lines)
    result = mark + "".join(lines).encode(encoding)
    ours = {use.local: f"tradewind.airflow.{use.official.ours}" for use in uses if not use.left}
    meant = [(local, ours.get(local, path)) for local, path in _imported(tree)]
    if _imported(parsed(result)) != sorted(meant):
        raise InputError("its imports would come to bind other names")
    return result


def _edits(lines: list[str], tree: ast.Module, uses: list[Use]) -> list[_Edit]:
    """Write the imports anew; a use that one of them stands against is left in all of them."""
    while True:
        ours = {
            (use.official.module, use.official.name, use.local): use.official.ours
            for use in uses
            if not use.left
        }
        modules = {key[0] for key in ours}
        edits = []
        before = len(ours)
        for node in _imports(tree):
            names = [(node.module or "", one.name, one.asname or one.name) for one in node.names]
            if node.level or node.module not in modules or not any(one in ours for one in names):
                continue
            try:
                edits.append(_edit(node, lines, ours))
            except _AwkwardError as error:
                for use in uses:
                    key = (use.official.module, use.official.name, use.local)
                    if key in names and ours.pop(key, ""):
                        use.leave(node.lineno, str(error))
        if len(ours) == before:
            return edits


def _imports(tree: ast.Module) -> list[ast.ImportFrom]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def _imported(tree: ast.Module) -> list[tuple[str, str]]:
    """List what imports bind, and to what."""
    return sorted(
        (alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}")
        for node in _imports(tree)
        for alias in node.names
    )


def _edit(node: ast.ImportFrom, lines: list[str], ours: dict[_Key, str]) -> _Edit:
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    start = _place(lines[first], node.col_offset)
    end = _place(lines[last], node.end_col_offset or 0)
    text = "".join(lines[first : last + 1])
    text = text[start : len(text) - (len(lines[last]) - end)]
    try:
        module = libcst.parse_module(text)
    except (libcst.ParserSyntaxError, ValueError) as error:
        raise _AwkwardError("its import cannot be taken apart: import it alone") from error
    line = module.body[0]
    statement = line.body[0] if isinstance(line, libcst.SimpleStatementLine) else None
    if not isinstance(statement, libcst.ImportFrom) or module.code != text:
        raise _AwkwardError("its import cannot be taken apart: import it alone")
    names = _names(statement)
    named = [one for one in names if _key(statement, one) in ours]
    below: list[str] = []
    if len(named) == len(names):
        renamed = [_renamed(statement, one, ours) for one in names]
        new = statement.with_changes(module=_OURS, names=renamed)
    else:
        indent, rest = lines[first][:start], lines[last][end:].strip()
        if indent.strip() or (rest and not rest.startswith("#")):
            raise _AwkwardError(_LINE)
        new, added = _split(statement, ours)
        below = [f"{indent}{one}" for one in _import_lines(added, _WIDTH - len(indent))]
    code = module.with_changes(body=[line.with_changes(body=[new])]).code
    return _Edit(first, start, last, end, code, tuple(below))


def _place(line: str, offset: int) -> int:
    """Turn Python's offset, in bytes of UTF-8, into one in characters."""
    return len(line.encode()[:offset].decode())


def _apply(edit: _Edit, lines: list[str]) -> None:
    tail = lines[edit.last][edit.end :]
    ending = tail[len(tail.rstrip("\r\n")) :]
    newline = ending or "\n"
    text = lines[edit.first][: edit.start] + edit.text + tail
    if edit.lines:
        body = newline.join(edit.lines)
        text += f"{body}{newline}" if ending else f"{newline}{body}"
    lines[edit.first : edit.last + 1] = [text]


def _names(node: libcst.ImportFrom) -> Sequence[libcst.ImportAlias]:
    return () if isinstance(node.names, libcst.ImportStar) else node.names


def _key(node: libcst.ImportFrom, alias: libcst.ImportAlias) -> _Key:
    module = get_full_name_for_node(node.module) if node.module else None
    return module or "", alias.evaluated_name, alias.evaluated_alias or alias.evaluated_name


def _renamed(
    node: libcst.ImportFrom, alias: libcst.ImportAlias, ours: dict[_Key, str]
) -> libcst.ImportAlias:
    """Call it as Tradewind does; the file goes on to call it as it did."""
    _, name, local = key = _key(node, alias)
    if ours[key] == name:
        return alias
    if alias.asname is not None:
        return alias.with_changes(name=libcst.Name(ours[key]))
    return alias.with_changes(name=libcst.Name(ours[key]), asname=libcst.AsName(libcst.Name(local)))


def _split(
    node: libcst.ImportFrom, ours: dict[_Key, str]
) -> tuple[libcst.ImportFrom, list[tuple[str, str]]]:
    """Take names out of an import, each with the comment that stands behind it.

    Raises:
        _AwkwardError: A comment would lose its place.
    """
    kept: list[libcst.ImportAlias] = []
    added = []
    for alias in _names(node):
        if _key(node, alias) not in ours:
            kept.append(alias)
            continue
        space = _after(alias)
        comment = ""
        if isinstance(space, libcst.ParenthesizedWhitespace):
            if any(line.comment for line in space.empty_lines):
                raise _AwkwardError(_COMMENTS)
            if space.first_line.comment:
                comment = space.first_line.comment.value
        new = _renamed(node, alias, ours).with_changes(comma=libcst.MaybeSentinel.DEFAULT)
        added.append((libcst.Module([]).code_for_node(new), comment))
    last = _names(node)[-1]
    if kept[-1] is not last:
        kept[-1] = _as_last(kept[-1], last, node)
    return node.with_changes(names=kept), added


def _import_lines(names: list[tuple[str, str]], width: int) -> list[str]:
    """Import names together as far as a line goes; one with a comment by itself."""
    start = "from tradewind.airflow import "
    found: list[str] = []
    open_end = False
    for name, comment in names:
        if comment:
            found.append(f"{start}{name}  {comment}")
        elif open_end and len(f"{found[-1]}, {name}") <= width:
            found[-1] += f", {name}"
        else:
            found.append(f"{start}{name}")
        open_end = not comment
    return found


def _as_last(
    alias: libcst.ImportAlias, last: libcst.ImportAlias, node: libcst.ImportFrom
) -> libcst.ImportAlias:
    """Put a name where another was the last: what stood before the closing bracket stays there."""
    before, space = _after(alias), _after(last)
    if isinstance(before, libcst.ParenthesizedWhitespace):
        if any(line.comment for line in before.empty_lines):
            raise _AwkwardError(_COMMENTS)
        if isinstance(space, libcst.ParenthesizedWhitespace):
            return alias.with_changes(
                comma=libcst.Comma(
                    whitespace_after=before.with_changes(
                        empty_lines=space.empty_lines,
                        indent=space.indent,
                        last_line=space.last_line,
                    )
                )
            )
        if before.first_line.comment:
            raise _AwkwardError(_COMMENTS)
    closing = node.rpar.whitespace_before if node.rpar else None
    if isinstance(closing, libcst.ParenthesizedWhitespace) and (
        closing.first_line.comment or any(line.comment for line in closing.empty_lines)
    ):
        raise _AwkwardError(_COMMENTS)
    if space is None:
        return alias.with_changes(comma=libcst.MaybeSentinel.DEFAULT)
    if isinstance(space, libcst.ParenthesizedWhitespace):
        # The comment on the last name goes with it.
        nothing = libcst.SimpleWhitespace("")
        first = space.first_line.with_changes(comment=None, whitespace=nothing)
        space = space.with_changes(first_line=first)
    return alias.with_changes(comma=libcst.Comma(whitespace_after=space))


def _after(alias: libcst.ImportAlias) -> libcst.BaseParenthesizableWhitespace | None:
    return alias.comma.whitespace_after if isinstance(alias.comma, libcst.Comma) else None
