"""Find a secret in a text, however whoever wrote the text has spelled it.

Libraries and servers tell what they were given percent-encoded, as JSON, as Python, as HTML or XML,
in base64 beside other things, or several of these at once. So a secret is looked for by a pattern
that takes each of its letters in each of these spellings, and by its base64 at each of the three
places where one can begin (RFC 4648, section 4).
"""

from __future__ import annotations

import base64
import json
import re
import string
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from html.entities import codepoint2name

__all__ = ["HIDDEN", "hidden", "remember", "remember_fields"]

HIDDEN = "***"
"""Stands for what is not shown."""

_SHORTEST = 4
#: Remembered are tokens and keys, which are long; nothing else is like them by chance.
_LONG_ENOUGH = 8
_PIECE, _WHOLE = 200, 10_000
_LEAST_CODED = 8
_ESCAPED = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_BACKSLASH = r"(?:\\|%(?:25)*5[cC]|&(?:amp;)*#(?:0*92|[xX]0*5[cC]);)"
_IN_BASE64 = {"+": r"(?:\+|-|%2[Bb])", "/": r"(?:\\*/|_|%2[Ff])"}
_BASE64 = frozenset(string.ascii_letters + string.digits + "+/=_-%\\")

_remembered: deque[Callable[[], Iterable[object]]] = deque(maxlen=64)
_lock = threading.Lock()


def remember(secrets: Callable[[], Iterable[object]]) -> None:
    """Let tokens and keys be hidden from now on in every text of this process that is redacted.

    Not for what people choose, like passwords: a password may be a word that other texts have, too.

    Args:
        secrets: Gives them as they are then, since tokens are renewed; what is no text, or shorter
            than 8 letters, is passed over. The last 64 are kept.
    """
    with _lock:
        _remembered.append(secrets)


def remember_fields(thing: object, *names: str) -> None:
    """Remember what an object has in these of its fields, as long as it lives; see `remember`.

    Args:
        thing: Credentials of a client library, which renews them.
        names: Fields that it may have. No property is asked: it could renew them just for that.
    """
    found = weakref.ref(thing)

    def fields() -> Iterable[object]:
        alive = getattr(found(), "__dict__", {})
        return [alive.get(name) for name in names]

    remember(fields)


def hidden(text: str, secrets: Iterable[str] = ()) -> str:
    """Put ``***`` where a secret stands, or one that is remembered.

    Args:
        text: The text.
        secrets: Those of under 4 characters are hidden only where they stand alone, as in
            ``:ab@``, ``"ab"`` and ``=ab``: elsewhere they would take words apart.
    """
    with _lock:
        sources = list(_remembered)
    known = {one for source in sources for one in source() if isinstance(one, str)}
    wanted = {one for one in known if len(one) >= _LONG_ENOUGH}
    wanted |= {form for one in secrets for form in (one, one.strip()) if form}
    found = [_patterns(one) for one in sorted(wanted, key=len, reverse=True)]
    # The whole ones first: a piece of one secret may stand in the middle of another one.
    for step, hide in ((0, _without), (1, _without_coded), (2, _without)):
        for anchor, pattern in (one for steps in found for one in steps[step]):
            if anchor in text:
                text = hide(text, pattern)
    return text


def _without(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(HIDDEN, text)


def _without_coded(text: str, core: re.Pattern[str]) -> str:
    """Hide all of the base64 that has this in it."""
    pieces, at = [], 0
    for found in core.finditer(text):
        if found.start() < at:
            continue
        begin, end = found.span()
        while begin > at and text[begin - 1] in _BASE64:
            begin -= 1
        while end < len(text) and text[end] in _BASE64:
            end += 1
        pieces += [text[at:begin], HIDDEN]
        at = end
    return "".join((*pieces, text[at:]))


#: A pattern, and what has to be in a text for it to be there, which is quick to see.
_Anchored = tuple[str, re.Pattern[str]]


@lru_cache(maxsize=512)
def _patterns(secret: str) -> tuple[list[_Anchored], list[_Anchored], list[_Anchored]]:
    """Give patterns of a secret, of what base64 has of it, and of its pieces."""
    if len(secret) < _SHORTEST:
        around = (
            ("(?<=:)", "(?=@)"), ('(?<=")', '(?=")'), ("(?<=')", "(?=')"),
            ("(?<==)", r"(?=[&;\s\"']|$)"),
        )  # fmt: skip
        spelled = _spelled(secret)[1].pattern
        return [("", re.compile(before + spelled + after)) for before, after in around], [], []
    # A text may end in the middle of a long one.
    pieces = _pieces(secret)
    cores = {core for one in pieces for core in _cores(one)}
    coded = [
        (_anchor(core), re.compile("".join(_IN_BASE64.get(one, one) for one in core)))
        for core in sorted(cores, key=len, reverse=True)
    ]
    whole = [_spelled(secret)] if len(secret) <= _WHOLE else []
    return whole, coded, [_spelled(one) for one in pieces if one != secret or not whole]


def _spelled(text: str) -> _Anchored:
    return _anchor(text), re.compile("".join(map(_letter, text)))


def _anchor(text: str) -> str:
    """Give the longest piece of a text that is spelled in one way only."""
    return max(re.findall("[A-Za-z0-9]+", text), key=len, default="")


def _pieces(secret: str) -> list[str]:
    count = max(1, len(secret) // _PIECE)
    size = -(-len(secret) // count)
    return [secret[at : at + size] for at in range(0, len(secret), size)]


def _letter(letter: str) -> str:
    """Give a pattern of one letter in all its spellings."""
    if letter.isascii() and letter.isalnum():
        return letter
    if letter == "\\":
        return _BACKSLASH + "+"
    raw, code = letter.encode("utf-8", "surrogatepass"), ord(letter)
    pairs = letter.encode("utf-16-be", "surrogatepass").hex()
    units = [pairs[at : at + 4] for at in range(0, len(pairs), 4)]
    escaped = [
        "".join(rf"\\*x{byte:02x}" for byte in raw),
        "".join(rf"\\*u{unit}" for unit in units),
        f"U{code:08x}",
        *([f"x{code:02x}"] if code < 256 else []),
        *([_ESCAPED[letter]] if letter in _ESCAPED else []),
    ]
    name = "apos" if letter == "'" else codepoint2name.get(code)
    entities = rf"#0*{code}|#[xX]0*(?i:{code:x})" + (f"|{name}" if name else "")
    forms = [
        re.escape(letter),
        "(?i:" + "".join(rf"%(?:25)*{byte:02x}" for byte in raw) + ")",
        rf"&(?:amp;)*(?:{entities});",
    ]
    if letter.isspace():
        forms.append(r"\+|\s+")
    if not letter.isascii():
        # Read as another character set, or not at all.
        forms += [re.escape(raw.decode("latin-1")), "[\ufffd?]{1,4}"]
    # What has escaped it, others may have spelled in a way of their own.
    return f"(?:{_BACKSLASH}*(?:{'|'.join(forms)})|{_BACKSLASH}+(?i:{'|'.join(escaped)}))"


def _cores(secret: str) -> set[str]:
    """Give what base64 has of a secret, whatever stands before and behind it."""
    found = set()
    for form in {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}:
        raw = form.encode("utf-8", "surrogatepass")
        for before in range(3):
            # Three bytes become four letters; those at the ends depend on what stands beside.
            coded = base64.b64encode(b":" * before + raw).decode()
            core = coded[(0, 2, 3)[before] :].rstrip("=")[:-1]
            if len(core) >= _LEAST_CODED:
                found.add(core)
    return found
