"""What is new in a window that moves over a log."""

from __future__ import annotations

import random

import pytest

from tradewind.systems.http.moving_log import new_lines


def read_through(windows, sections=()):
    cursor, seen = None, []
    for window in windows:
        for line in new_lines(window, cursor, sections):
            cursor = line.cursor
            seen.append(line.text)
    return seen


@pytest.mark.parametrize("step", [1, 3, 7, 19])
def test_what_overlaps_is_not_repeated(step: int):
    lines = [f"{number}" for number in range(200)]
    windows = [lines[max(0, end - 20) : end] for end in [*range(0, 200, step), 200]]
    assert read_through(windows) == lines


def test_a_cursor_in_the_middle_of_a_window_goes_on_there():
    lines = [str(number % 5) for number in range(30)]
    for stop in range(30):
        cursor = [line.cursor for line in new_lines(lines, None)][stop]
        assert [line.text for line in new_lines(lines, cursor)] == lines[stop + 1 :]


def test_a_gap_is_told():
    first = [f"a{number}" for number in range(20)]
    second = [f"b{number}" for number in range(20)]
    seen = read_through([first, second])
    assert seen[:20] == first
    assert "missing" in seen[20]
    assert seen[21:] == second


def test_sections_are_windows_of_their_own():
    sections = ("stdout: ", "\nstderr: ", "\nYARN Diagnostics: ")
    windows = [
        [],
        ["stdout: ", "o1", "\nstderr: ", "e1"],
        ["stdout: ", "o1", "o2", "\nstderr: ", "e1", "e2", "\nYARN Diagnostics: ", "d"],
        ["stdout: ", "o2", "stdout: ", "\nstderr: ", "e2", "e3", "\nYARN Diagnostics: ", "e"],
    ]
    seen = read_through(windows, sections)
    assert seen == ["o1", "e1", "o2", "e2", "d", "stdout: ", "e3", "e"]


def test_random_growth_of_lines_that_differ_is_followed_exactly():
    chance = random.Random(7)
    for _ in range(50):
        lines = [f"{number} {chance.random()}" for number in range(chance.randrange(1, 300))]
        size, end, windows = chance.randrange(5, 60), 0, []
        while end < len(lines):
            end = min(len(lines), end + chance.randrange(0, size))
            windows.append(lines[max(0, end - size) : end])
        assert read_through(windows) == lines


def test_cursors_stay_small():
    lines = [str(number) for number in range(9_000)]
    last = [line.cursor for line in new_lines(lines, None)][-1]
    assert len(last) < 30_000
    assert [line.text for line in new_lines([*lines[100:], "new"], last)] == ["new"]
