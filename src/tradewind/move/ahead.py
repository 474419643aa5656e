"""Read one batch ahead, so that a system and its reader work at the same time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

__all__ = ["ahead"]

_Piece = TypeVar("_Piece")
_LEAVE = 10.0


def ahead(pieces: Iterator[_Piece], *, name: str, depth: int = 1) -> Generator[_Piece, None, None]:
    """Read in a thread of its own, a few pieces ahead.

    The thread begins with the first piece that is asked for. Closing this generator ends it, and
    closes `pieces` if that is a generator, in that thread; it is waited for 10 seconds, as it may
    hang in a read of a network.

    Args:
        pieces: Where from.
        name: What is read, for the thread's name.
        depth: Pieces that wait; two more are in hand, one on each side.

    Yields:
        The pieces, in order. What reading raises is raised here.
    """
    ready: queue.Queue[tuple[_Piece | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: tuple[_Piece | None, BaseException | None]) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def read() -> None:
        try:
            try:
                for piece in pieces:
                    put((piece, None))
                    del piece
                    if stop.is_set():
                        break
            finally:
                if isinstance(pieces, Generator):
                    pieces.close()
        except BaseException as error:
            put((None, error))
        else:
            put((None, None))

    thread = threading.Thread(target=read, name=f"tradewind reads {name}", daemon=True)
    thread.start()
    try:
        while True:
            piece, error = ready.get()
            if error is not None:
                raise error
            if piece is None:
                return
            yield piece
            del piece
    finally:
        stop.set()
        thread.join(_LEAVE)
