"""Which results can become an XCom. Checked before the job is removed."""

from __future__ import annotations

import json
from typing import Any

from tradewind.errors import InputError

__all__ = ["check_line", "check_result"]

#: Airflow's own serialisation calls itself several times a level.
_DEEPEST = 100
#: By these it tells what is an object of some class; see `airflow.sdk.serde`. It refuses to store
#: the first two, and reads what has both of the others as an object.
_RESERVED = ({"__classname__"}, {"__id__"}, {"__type", "__var"})


def check_result(text: str) -> None:
    """Refuse what Airflow would refuse on each attempt.

    Args:
        text: What the work has written into its result file.

    Raises:
        InputError: It is JSON with a number that JSON does not have, with half a character, with
            a field that Airflow keeps for itself, or deeper than 100 levels; or it has a zero
            character. What is no JSON is text, and is fine.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        if "\0" in text:
            raise _zero("The result has a zero character") from None
        return
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        for inner in level:
            _refuse_reserved(inner)
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            break
    else:
        raise _too_deep()
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        written.encode()
    except UnicodeEncodeError:
        raise InputError(
            "The result is JSON with half a character (a lone surrogate), which is no text. Write "
            "whole characters."
        ) from None
    except ValueError:
        # Like 1e999.
        raise _no_number("a number beyond what a double can hold") from None
    # Without the backslashes that are text, what is left of them begins an escape.
    if r"\u0000" in written.replace(r"\\", ""):
        raise _zero("The result is JSON with a zero character (\\u0000)")


def check_line(text: str) -> None:
    """Refuse what was taken of a log as the result, where Airflow would on each attempt.

    Args:
        text: It.

    Raises:
        InputError: It has a zero character.
    """
    if "\0" in text:
        raise _zero(
            "The log, which is the result, has a zero character", ", set do_xcom_push=False"
        )


def _zero(found: str, way: str = "") -> InputError:
    return InputError(
        f"{found}, which PostgreSQL, Airflow's usual metadata database, cannot keep as an XCom. "
        f"Leave it out{way}, or write the result to a store and hand back where it stands."
    )


def _inside(value: Any) -> list[Any]:
    found = list(value.values()) if isinstance(value, dict) else value
    return (
        [each for each in found if isinstance(each, (dict, list))]
        if (isinstance(found, list))
        else []
    )


def _refuse(name: str) -> Any:
    raise _no_number(name)


def _refuse_reserved(value: Any) -> None:
    for names in _RESERVED:
        if isinstance(value, dict) and names <= value.keys():
            named = " and ".join(f'"{name}"' for name in sorted(names))
            raise InputError(
                f"The result is JSON with an object that has {named}, by which Airflow tells "
                "objects of classes from data: it does not take it as an XCom. Rename the field, "
                "or hand the JSON back inside a text."
            )


def _no_number(name: str) -> InputError:
    return InputError(
        f"The result is JSON with {name}, which JSON does not have and Airflow does not take as "
        "an XCom. Write null or text in its place."
    )


def _too_deep() -> InputError:
    return InputError(
        f"The result is JSON of more than {_DEEPEST} levels, which is more than Airflow takes as "
        "an XCom. Write it to a store, and hand back where it stands."
    )
