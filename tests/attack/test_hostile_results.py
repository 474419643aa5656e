"""Work hands back what nobody asked for: bytes, depths, odd numbers, links, pipes, folders.

What is text, and what Airflow can keep as an XCom, arrives exactly; anything else ends the task
with one error in words. Nobody waits for a pipe, nothing outside the job is read, nothing is left.
"""

from __future__ import annotations

import base64
import json
import math
import random
import uuid
from pathlib import Path
from typing import Any

import pytest
from attack_report import LONG, Attack
from attack_runners import PLACES, Runner
from attack_workers import Workers

PROMISE = "A result arrives exactly, or ends the task once, in words"
HOW = "work that hands back bytes, depths, numbers, links, pipes and folders"
LIMIT = 40_000
#: What is a shell's to make; each one must be refused.
SPECIAL = {
    "a link to a secret": "ln -s SECRET $TRADEWIND_RESULT",
    "a link to itself": "ln -s $TRADEWIND_RESULT $TRADEWIND_RESULT",
    "a link to nothing": "ln -s /nowhere/at/all $TRADEWIND_RESULT",
    "a link to an endless file": "ln -s /dev/zero $TRADEWIND_RESULT",
    "a link to a folder": "ln -s / $TRADEWIND_RESULT",
    "a folder": "mkdir -p $TRADEWIND_RESULT/inner",
    "a pipe": "mkfifo $TRADEWIND_RESULT",
    "a device": "mknod $TRADEWIND_RESULT c 1 5 || mkfifo $TRADEWIND_RESULT",
    "a file too large": f"head -c {LIMIT + 1} /dev/zero | tr '\\0' x > $TRADEWIND_RESULT",
    "a file far too large": "head -c 50000000 /dev/zero | tr '\\0' 1 > $TRADEWIND_RESULT",
    "a file of holes": "truncate -s 5G $TRADEWIND_RESULT",
}
#: A link and a file that take turns until they are removed; the file may be read, and the secret
#: never.
SWAPPED = (
    "( n=0; while [ $n -lt 300 ]; do n=$((n + 1)); ln -sf SECRET $TRADEWIND_RESULT.a; "
    "mv -f $TRADEWIND_RESULT.a $TRADEWIND_RESULT; echo fine > $TRADEWIND_RESULT.b; "
    "mv -f $TRADEWIND_RESULT.b $TRADEWIND_RESULT; [ -e $TRADEWIND_RESULT ] || exit; done "
    ") > /dev/null 2>&1 & "
    "until [ -e $TRADEWIND_RESULT ]; do sleep 0.01; done"
)
SCALARS: tuple[Any, ...] = (None, True, 0, -1, 2**53 + 1, 2**64, 1.5, 1e308, "", "é\U0001f600", "x")


def document(chance: random.Random, depth: int) -> Any:
    if depth == 0 or chance.random() < 0.2:
        return chance.choice(SCALARS)
    inner = [document(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    if chance.random() < 0.5:
        return inner
    names = ("", "a", "__type", "__classname__", "__var", "__id__", "é", "$ref")
    return {chance.choice(names): value for value in inner}


def content(chance: random.Random) -> tuple[str, bytes]:
    """Make what a file can have, and what it is called."""
    what = chance.choice(
        ("bytes", "text", "JSON", "broken JSON", "number", "half a character", "depth", "ends")
    )
    if what == "bytes":
        return what, chance.randbytes(chance.choice((1, 7, 300, 20_000)))
    if what == "text":
        letters = "aZ \t\r\n\0\x1b\x7f\"'{}[],:\\é\u2028\ufeff\U0001f600"
        return what, "".join(chance.choices(letters, k=chance.randint(0, 60))).encode()
    whole = json.dumps(document(chance, 5), ensure_ascii=chance.random() < 0.5).encode()
    if what == "JSON":
        return what, whole
    if what == "broken JSON":
        at = chance.randrange(len(whole))
        return what, whole[:at] + chance.choice((b"", b"\xff", b",", b"\0")) + whole[at + 1 :]
    if what == "number":
        odd = ("NaN", "-Infinity", "1e999", "1" * 5_000, "0x10", "01", "1.", "-0", "-1e-999")
        return what, f'{{"loss": [{chance.choice(odd)}]}}'.encode()
    if what == "half a character":
        half = chance.choice(("\\ud800", "\\udfff", "\\ud83d\\ude00", "\\ude00\\ud83d"))
        return what, chance.choice(('"{}"', '{{"{}": 1}}', '["a{}"]')).format(half).encode()
    if what == "depth":
        depth = chance.choice((50, 99, 100, 101, 150, 1_000, 9_000))
        begin, end = chance.choice((("[", "]"), ('{"a":', "}")))
        return what, f"{begin * depth}1{end * depth}".encode()
    return what, chance.choice((b"\n", b"\r\n", b"", b"\xef\xbb\xbf1", b"null\n", b" 1 ", b"\0"))


def may_be_refused(found: bytes) -> bool:
    """Whether there is a reason; everything else has to arrive."""
    try:
        text = found.decode()
    except UnicodeDecodeError:
        return True
    refused = []

    def number(word: str) -> float:
        refused.append(word)
        return 0.0

    def floating(word: str) -> float:
        if math.isinf(float(word)):
            refused.append(word)
        return float(word)

    try:
        value = json.loads(text, parse_constant=number, parse_float=floating)
        written = json.dumps(value, ensure_ascii=False)
        written.encode()
    except (RecursionError, UnicodeEncodeError):
        return True
    except ValueError as error:
        return "integer string" in str(error) or "\0" in text
    reserved = any(f'"{name}"' in text for name in ("__classname__", "__id__", "__var"))
    # PostgreSQL cannot keep a zero character.
    reserved |= "\\u0000" in written.replace("\\\\", "")
    return bool(refused) or reserved or text.count("[") + text.count("{") > 100


def kept(text: str) -> bool:
    """Whether Airflow can keep it as an XCom that reads the same."""
    from airflow.sdk.serde import deserialize, serialize

    try:
        value = json.loads(text)
    except ValueError:
        value = text.rstrip("\n")
    stored = json.dumps(serialize(value), allow_nan=False, ensure_ascii=False).encode()
    return bool(deserialize(json.loads(stored)) == value)


SYSTEMS = ("process", "ssh", "docker", "rest")
COUNTS = [
    pytest.param(name, count, id=f"{name}-{what}", marks=[*PLACES[name][1], *marks])
    for what, count, marks in (("some", 8, []), ("many", 60, LONG))
    for name in SYSTEMS
]


@pytest.mark.parametrize(("runner", "count"), COUNTS, indirect=["runner"])
def test_a_result_arrives_or_is_refused(
    supervisors: Workers, runner: Runner, tmp_path: Path, count: int
):
    attack = Attack(PROMISE, HOW, runner.on)
    turning = check(supervisors, runner, tmp_path, attack, count)
    left = list(runner.left())
    if "root" in runner.options:
        # Work that goes on writing into its folder while that is removed may leave it.
        left = [one for one in left if not any(name in one for name in turning)]
    attack.check(not left, f"left behind: {left}")
    attack.finish()


def check(
    supervisors: Workers, runner: Runner, folder: Path, attack: Attack, count: int
) -> list[str]:
    """Give the work that may leave its folder: what it has started writes while it is removed."""
    turning: list[str] = []
    secret = f"secret-{uuid.uuid4().hex}"
    (folder / "secret").write_text(secret)
    specials = list(SPECIAL) if runner.action != "rest" else []
    for number in attack.rounds(count):
        chance = attack.chance
        name = f"r{number}x{uuid.uuid4().hex[:6]}"
        (folder / name).mkdir()
        found: bytes | None = None
        if specials and number % 2:
            what = specials[number // 2 % len(specials)]
            make = SPECIAL[what]
        elif specials and number % 10 == 0:
            what, make, found = "a link and a file in turns", SWAPPED, b"fine\n"
        else:
            what, found = content(chance)
            make = f"echo {base64.b64encode(found).decode()} | base64 -d > $TRADEWIND_RESULT"
        make = make.replace("SECRET", str(folder / "secret"))
        given = {
            "run": name,
            "script": f"echo x >> {folder / name / 'ran'}; {make}",
            "memory": str(folder / name / "memory"),
            "log": str(folder / name / "log"),
            "limit": LIMIT,
            **runner.options,
        }
        told = supervisors.run(runner.action, **given)
        if make.startswith("( n=0"):
            turning.append(name)
            for _ in range(50):
                # It was a link while it was read; the next attempt may find the file.
                if told.get("error") == "RetryError":
                    told = supervisors.run(runner.action, **given)
        attack.note(what)
        label = f"{number}: {what} ({found!r:.80}): {told!r:.300}"
        attack.check(secret not in json.dumps(told), f"{label}: it has read what is not its own")
        ran = (folder / name / "ran").read_text()
        attack.check(ran == "x\n", f"{label}: it ran {len(ran) // 2} times")
        if "answer" in told:
            if found is None:
                attack.fail(f"{label}: it was taken")
            else:
                answer = told["answer"]
                attack.check((answer or "").encode() == found, f"{label}: another one arrived")
                try:
                    attack.check(kept(answer or ""), f"{label}: an XCom is another one")
                except Exception as error:
                    attack.fail(f"{label}: no XCom can hold it: {error!r:.200}")
        else:
            good = told.get("error") == "InputError" and len(told["message"]) > 40
            attack.check(good, f"{label}: no error in words")
            turns = what == "a link and a file in turns"
            reason = found is None or turns or may_be_refused(found)
            attack.check(reason, f"{label}: it was refused for no reason")
    return turning
