"""Where in a JSON document something stands: a small part of JSONPath.

``$`` is the document, ``.name`` or ``['any name']`` a member (a name with a dot or ``@`` in it
stands in brackets: ``$['@odata.nextLink']``), ``[2]`` or ``[-1]`` an element,
``[*]`` all elements. See https://www.rfc-editor.org/rfc/rfc9535; filters, slices and ``..`` are not
here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tradewind.errors import InputError

__all__ = ["MISSING", "JsonPath"]

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s*@?(),&|!<>=]+)|\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]"""
    r"""|\[(?P<index>-?\d+)\]|(?P<all>\[\*\]|\.\*)"""
)


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()
"""What `JsonPath.find` gives where nothing stands."""


@dataclass(frozen=True)
class JsonPath:
    """A compiled path.

    Args:
        text: Like ``$.data.items[*]``.

    Raises:
        InputError: The text is not a path of this kind.
    """

    text: str
    _steps: tuple[str | int | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = self.text.strip()
        position = 1
        steps: list[str | int | None] = []
        while text.startswith("$") and position < len(text):
            found = _STEP.match(text, position)
            if found is None:
                break
            if found["all"]:
                steps.append(None)
            elif found["index"]:
                steps.append(int(found["index"]))
            else:
                steps.append(found["name"] if found["quote"] is None else found["quoted"])
            position = found.end()
        if not text.startswith("$") or position < len(text):
            raise InputError(
                f"{self.text!r} is not a JSON path that is known here. Write it like $.data.items, "
                "$['a name'], $['@odata.nextLink'], $.pages[0].items or $.groups[*].items."
            )
        object.__setattr__(self, "_steps", tuple(steps))

    def find(self, document: Any) -> Any:
        """Give what stands there; `MISSING` where nothing does. ``[*]`` gives a list of all."""
        return _find(document, self._steps)

    def put(self, document: Any, value: Any) -> Any:
        """Set a member, making the objects on the way there.

        Args:
            document: Is not changed.
            value: What is to stand there.

        Returns:
            The document with the value in it.

        Raises:
            InputError: The path has more than names, or leads through what is no object.
        """
        return self._put(document, self._steps, value)

    def _put(self, document: Any, steps: tuple[str | int | None, ...], value: Any) -> Any:
        if not steps:
            return value
        if not isinstance(steps[0], str) or not isinstance(document, dict | None):
            raise InputError(
                f"{self.text} names no member that can be set. Give the path of a member of an "
                "object, like $.name or $.options.name."
            )
        inner = (document or {}).get(steps[0])
        return {**(document or {}), steps[0]: self._put(inner, steps[1:], value)}

    def records(self, document: Any) -> list[Any] | None:
        """Give the elements of the list that stands there, a single object as a list of it.

        Null is an empty list: so servers in Go write one.

        Returns:
            The elements, or None where there is neither.
        """
        found = self.find(document)
        if found is None:
            return []
        if isinstance(found, dict):
            return [found]
        if isinstance(found, list) and None in self._steps[:-1]:
            # Below each element of a list stands a list, or null for an empty one.
            return [one for one in found if one is not None]
        return found if isinstance(found, list) else None


def _find(document: Any, steps: tuple[str | int | None, ...]) -> Any:
    for position, step in enumerate(steps):
        if step is None:
            if not isinstance(document, list):
                return MISSING
            rest = steps[position + 1 :]
            found: list[Any] = []
            for one in document:
                part = _find(one, rest)
                if part is MISSING:
                    return MISSING
                # The elements of lists found below each element make one list.
                if rest and isinstance(part, list):
                    found.extend(part)
                else:
                    found.append(part)
            return found
        if isinstance(step, str):
            if not isinstance(document, dict) or step not in document:
                return MISSING
            document = document[step]
        elif isinstance(document, list) and -len(document) <= step < len(document):
            document = document[step]
        else:
            return MISSING
    return document
