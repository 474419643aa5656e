"""The progress line of a move on a terminal."""

from __future__ import annotations

import shutil
from typing import TextIO

from tradewind.move.flow import Progress
from tradewind.move.progress import progress_text

__all__ = ["ProgressLine"]


class ProgressLine:
    """One line that is written over and over, and taken away at the end.

    How much there will be is not known before it has been read, so the bar runs instead of filling.

    Args:
        stream: A terminal.
        quiet: Write nothing.
    """

    WIDTH = 20
    MARK = 5

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._step = 0

    def show(self, progress: Progress) -> None:
        """Write how far it is."""
        if self._quiet:
            return
        room = self.WIDTH - self.MARK
        at = self._step % (2 * room)
        at = at if at <= room else 2 * room - at
        self._step += 1
        bar = "." * at + "=" * self.MARK + "." * (room - at)
        text = f"[{bar}] {progress_text(progress)}"
        self._stream.write(f"\r{text[: shutil.get_terminal_size().columns - 1]}\x1b[K")
        self._stream.flush()

    def close(self) -> None:
        """Take the line away."""
        if not self._quiet and self._step:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
