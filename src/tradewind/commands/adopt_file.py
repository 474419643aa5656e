"""What can be switched in one DAG file. The file is parsed, never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from tradewind.commands.adopt_arguments import Arguments, default_arguments, told_value
from tradewind.commands.adopt_operators import DECORATORS, NAMES_OF_ROW, OFFICIAL, Official
from tradewind.commands.adopt_table import Row
from tradewind.errors import InputError

__all__ = ["Left", "Use", "concerns", "examine", "is_general", "parsed"]

_BY_PATH = {one.path: one for one in OFFICIAL}
_BY_MODULE: dict[str, dict[str, Official]] = {}
for _one in OFFICIAL:
    _BY_MODULE.setdefault(_one.module, {})[_one.name] = _one
_CONCERNS = re.compile(
    rb"\b(?:%s)\b|@\s*\w+\s*\.\s*(?:%s)\b"
    % ("|".join(one.name for one in OFFICIAL).encode(), "|".join(DECORATORS).encode())
)
_TASK = {"airflow.decorators", "airflow.sdk"}
_UNREAD = "default_args are not written out in this file: look at what they hold"
_DEFAULTS = {"replace": "False", "polling_interval": "0"}
"""Of rows that are about a value: it is in use also where it is not written."""


@dataclass(frozen=True)
class Left:
    """Something that is left as it is.

    Args:
        line: Where it stands, from 1.
        name: The official operator or decorator.
        reason: Why, and what a person can do.
    """

    line: int
    name: str
    reason: str


@dataclass
class Use:
    """How a file uses an official operator under one name.

    Args:
        official: The operator.
        local: What the file calls it.
        imports: Lines of its imports.
        calls: Lines where it is called.
        left: Why it is left alone; nothing where it can be switched.
        differs: What would differ for parameters in use, each with lines of the calls.
        notes: What a person should know besides.
    """

    official: Official
    local: str
    imports: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    differs: dict[Row, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def leave(self, line: int, reason: str) -> None:
        """Note why it is left alone."""
        found = Left(line, self.official.name, reason)
        if found not in self.left:
            self.left.append(found)


def concerns(source: bytes) -> bool:
    """Say whether a file's text names anything that Tradewind has too.

    Args:
        source: The file's bytes.

    Returns:
        False where there is nothing to examine.
    """
    return b"airflow" in source and _CONCERNS.search(source) is not None


def parsed(source: bytes) -> ast.Module:
    """Parse a file as Python does.

    Args:
        source: The file's bytes.

    Returns:
        The tree.

    Raises:
        InputError: It is no Python that can be parsed here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise InputError(f"{where}{error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(str(error) or type(error).__name__) from error


def examine(tree: ast.Module) -> tuple[list[Use], list[Left]]:
    """Tell how a file uses official operators.

    Args:
        tree: The file.

    Returns:
        The uses of names that imports of the operators bind, and what is used in other ways, which
        is always left alone.
    """
    uses: dict[str, Use] = {}
    others: list[Left] = []
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not node.level:
            _read_import(node, uses)
    others += _other_ways(nodes)
    if uses:
        parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
        _leave_rebound(nodes, uses)
        defaults = default_arguments(nodes)
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in uses:
                _read_use(node, parents, uses[node.id], *defaults)
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value in uses
                and not _is_annotation(node, parents)
            ):
                uses[node.value].leave(
                    node.lineno, "its name stands in a text: others may take it from here"
                )
    for use in uses.values():
        if use.official.by_hand:
            use.leave(use.imports[0], use.official.by_hand)
        elif not use.calls and not use.left:
            use.leave(
                use.imports[0],
                "it is imported and not called here: others may take it from this file",
            )
    return list(uses.values()), others


def _read_import(node: ast.ImportFrom, uses: dict[str, Use]) -> None:
    known = _BY_MODULE.get(node.module or "", {})
    for alias in node.names:
        if alias.name in known:
            local = alias.asname or alias.name
            use = uses.setdefault(local, Use(known[alias.name], local))
            use.imports.append(node.lineno)
            if use.official is not known[alias.name]:
                use.leave(node.lineno, f"{local} is several operators in this file")


# ---------------------------------------------------------------------- what is no plain import


def _other_ways(nodes: list[ast.AST]) -> Iterator[Left]:
    """Find operators that are used by way of their module, by ``*``, or by name in a text."""
    modules: dict[str, str] = {}
    tasks: set[str] = set()
    stars: dict[str, Official] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                if alias.name == "*":
                    stars |= _BY_MODULE.get(node.module or "", {})
                if alias.name == "task" and node.module in _TASK:
                    tasks.add(alias.asname or alias.name)
    for node in nodes:
        if isinstance(node, ast.Attribute):
            found = _BY_PATH.get(_resolved(node, modules))
            if found is not None:
                yield Left(
                    node.lineno, found.name, f"used by way of its module: import {found.name} alone"
                )
        elif isinstance(node, ast.Name) and node.id in stars and isinstance(node.ctx, ast.Load):
            yield Left(node.lineno, node.id, "imported by *: import it by its name")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in _BY_PATH:
                found = _BY_PATH[node.value]
                yield Left(
                    node.lineno, found.name, f"a text: write tradewind.airflow.{found.ours} there"
                )
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                one = decorator
                while isinstance(one, ast.Call | ast.Attribute):
                    if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name):
                        if one.value.id in tasks and one.attr in DECORATORS:
                            yield Left(one.lineno, f"@task.{one.attr}", DECORATORS[one.attr])
                        break
                    one = one.func if isinstance(one, ast.Call) else one.value


def _resolved(node: ast.expr, modules: dict[str, str]) -> str:
    """Spell ``a.b.c`` with the names of modules that it stands for."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    dotted = [node.id, *reversed(parts)]
    for length in range(len(dotted) - 1, 0, -1):
        found = modules.get(".".join(dotted[:length]))
        if found is not None:
            return ".".join([found, *dotted[length:]])
    return ""


# --------------------------------------------------------------------------------- uses of a name


def _leave_rebound(nodes: list[ast.AST], uses: dict[str, Use]) -> None:
    """Leave names alone that something else binds too: which is meant where is not certain."""
    for node in nodes:
        names: list[str | None] = []
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names = [node.id]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.arg):
            names = [node.arg]
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            names = [node.name]
        elif isinstance(node, ast.MatchMapping):
            names = [node.rest]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            level = node.level if isinstance(node, ast.ImportFrom) else 0
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                if level or alias.name not in _BY_MODULE.get(module, {}):
                    names.append(local)
        for name in names:
            if name in uses:
                line = getattr(node, "lineno", 1)
                uses[name].leave(line, f"{name} is bound here too: which is meant is not certain")


def _read_use(
    node: ast.Name,
    parents: dict[ast.AST, ast.AST],
    use: Use,
    defaults: Arguments,
    unread: bool,
) -> None:
    parent = parents[node]
    if isinstance(parent, ast.Call) and parent.func is node:
        _read_call(use, [parent], defaults, unread)
    elif isinstance(parent, ast.Attribute) and parent.attr == "partial":
        call = parents[parent]
        expand = parents.get(call)
        expanded = parents.get(expand) if expand is not None else None
        if not isinstance(call, ast.Call):
            use.leave(node.lineno, "its partial is used as a value: look at it")
        elif (
            isinstance(expand, ast.Attribute)
            and expand.attr == "expand"
            and isinstance(expanded, ast.Call)
        ):
            _read_call(use, [call, expanded], defaults, unread)
        else:
            use.leave(
                node.lineno, "what its partial is expanded by cannot be told: no .expand() follows"
            )
    elif isinstance(parent, ast.ClassDef) and node in parent.bases:
        more = ""
        if use.official.ours == "MongoToS3Operator":
            more = "; one that overrides transform alone works with Tradewind's too"
        use.leave(node.lineno, f"class {parent.name} is made from it: look at what it uses{more}")
    elif not _is_annotation(node, parents):
        use.leave(node.lineno, "it is used as a value, not called: look at it")


def _is_annotation(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    while node in parents:
        parent = parents[node]
        if isinstance(parent, ast.AnnAssign | ast.arg) and node is parent.annotation:
            return True
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and node is parent.returns:
            return True
        node = parent
    return False


def _read_call(use: Use, calls: list[ast.Call], defaults: Arguments, unread: bool) -> None:
    """Check one call; of ``partial().expand()`` there are two."""
    line = calls[0].lineno
    use.calls.append(line)
    given: dict[str, ast.expr] = {}
    for number, call in enumerate(calls):
        if call.args:
            use.leave(line, "arguments without names: write their names")
        for keyword in call.keywords:
            if keyword.arg is None:
                use.leave(keyword.lineno, "what ** holds cannot be told: write the parameters out")
            else:
                # The values of a mapped parameter come later.
                mapped = ast.Name("mapped", ctx=ast.Load())
                given[keyword.arg] = mapped if number else keyword.value
    arguments = {**use.official.reached_by(defaults), **given}
    for reason in use.official.refusals(given, arguments):
        use.leave(line, reason)
    if unread and _UNREAD not in use.notes:
        use.notes.append(_UNREAD)
    for row in use.official.rows():
        if _in_use(row, arguments, use.official):
            use.differs.setdefault(row, []).append(line)


def _in_use(row: Row, arguments: Arguments, official: Official) -> bool:
    """Say whether a row of the table is about a parameter that a call uses."""
    if row[0].startswith("CSV without"):
        return official.loses_row_numbers(arguments)
    if row[0].startswith("without "):
        return False
    for name, more, value in NAMES_OF_ROW.findall(row[0]):
        for given, node in arguments.items():
            if given == name or (more and given.startswith(name)):
                told = told_value(node)
                if not value or told is None or repr(told.value) == value.replace('"', "'"):
                    return True
        if official.has(name) and name not in arguments and _DEFAULTS.get(name) == value:
            return True
    return False


def is_general(row: Row, official: Official) -> bool:
    """Say whether a row is about an operator whatever its parameters are.

    Args:
        row: A row of the table.
        official: The operator.

    Returns:
        False where the row is told with the calls that it is about.
    """
    about = row[0]
    if about.startswith(("CSV without", "without ")):
        return False
    names = [(name, more) for name, more, _ in NAMES_OF_ROW.findall(about)]
    return not any(official.has(name, more=bool(more)) for name, more in names)
