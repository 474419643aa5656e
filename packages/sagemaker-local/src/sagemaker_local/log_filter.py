"""The filter patterns of CloudWatch Logs, as far as they are for unstructured lines.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html: terms that
must all occur, ?terms of which one must occur, -terms that must not, "quoted phrases", and one
%regular expression%. Case counts.
"""

from __future__ import annotations

import re

from sagemaker_local.api_errors import InvalidParameter

__all__ = ["LogFilter"]

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')


class LogFilter:
    """Tells which lines a pattern finds.

    Args:
        pattern: As FilterLogEvents takes it; empty finds every line.

    Raises:
        InvalidParameter: It is no such pattern, or one for structured lines.
    """

    def __init__(self, pattern: str) -> None:
        self._all: list[str] = []
        self._any: list[str] = []
        self._none: list[str] = []
        self._regex: re.Pattern[str] | None = None
        text = pattern.strip()
        if text[:1] in ("{", "["):
            raise InvalidParameter(
                "Invalid filter pattern: patterns for JSON and space-delimited lines are not "
                "offered by the local SageMaker, terms and %regex% are."
            )
        if len(text) > 2 and text[0] == text[-1] == "%":
            try:
                self._regex = re.compile(text[1:-1])
            except re.error as error:
                raise InvalidParameter(f"Invalid filter pattern: {error}") from None
            return
        place = 0
        while place < len(text):
            match = _TERM.match(text, place)
            if match is None:
                raise InvalidParameter(f"Invalid filter pattern: {pattern!r}")
            quoted = match[2]
            term = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3]
            {"": self._all, "?": self._any, "-": self._none}[match[1]].append(term)
            place = match.end()

    def matches(self, line: str) -> bool:
        """Tell whether the pattern finds a line."""
        if self._regex is not None:
            return self._regex.search(line) is not None
        return (
            all(term in line for term in self._all)
            and not any(term in line for term in self._none)
            and (not self._any or any(term in line for term in self._any))
        )
