"""Which parts of multipart uploads are of no use any more."""

from __future__ import annotations

import pytest

from tradewind.systems.s3.swift_parts import orphaned


@pytest.mark.parametrize(
    ("names", "upload_of", "expected"),
    [
        ([], {}, []),
        (["key/up/1", "key/up/2"], {"key": "up"}, []),
        (["key/up/1", "key/old/1"], {"key": "up"}, ["key/old/1"]),
        (["key/up/1"], {}, ["key/up/1"]),
        (["key/up", "key/up/1"], {}, []),
        (["a/1/up", "a/1/up/1", "a/1/old/1"], {}, ["a/1/old/1"]),
        (["up/1", "strange"], {}, []),
    ],
    ids=["nothing", "in-use", "replaced", "no-object", "unfinished", "numbers-in-keys", "others"],
)
def test_orphaned(names: list[str], upload_of: dict[str, str], expected: list[str]) -> None:
    assert orphaned(names, upload_of) == expected
