"""Transfer data from a source to a target in bounded memory, whole or not at all."""

from __future__ import annotations

import dataclasses
import resource
import sys
import threading
import time
from collections.abc import Callable

from tradewind.backoff import Backoff
from tradewind.errors import InputError, RetryError, SourceChangedError
from tradewind.move.flow import Flow, Progress, Transform
from tradewind.move.receipt import Receipt
from tradewind.move.source import Source
from tradewind.move.target import Target
from tradewind.owner import Owner

__all__ = ["transfer"]

_READINGS = 10
"""How often a source is read from its beginning that is replaced while it is read."""
_PAUSE = 0.2


def transfer(
    source: Source,
    target: Target,
    owner: Owner,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    transform: Transform | None = None,
) -> Receipt:
    """Move all that a source has to a target: visible at once and whole, or not at all.

    Memory: what the source reads ahead (see its class), one batch being encoded, and the parts
    that the target has on their way (see its class); independent of the number of rows.

    Args:
        source: Where from.
        target: Where to.
        owner: The task run that this is an effect of. What its earlier attempts left unfinished is
            removed; the same move by the same owner gives the same result.
        progress: Is told about once a second how far it is; called in this thread.
        stop: Ends the move with `CancelledError` soon after it is set, from any thread.
        transform: Changes each batch on its way. Where the source is replaced as a whole while it
            is read (a prefix that is published anew), all is read again from the beginning, and
            this is called anew.

    Returns:
        What was done.

    Raises:
        TradewindError: As `Source.batches` and `Target.publish`; nothing is visible then.
        InputError: A record or value is larger than the memory that this process may take.
        RetryError: The target counts other rows than the source gave.
    """
    began = time.monotonic()
    source.refuse_target(target)
    for reading in range(1, _READINGS + 1):
        flow = Flow(source, progress=progress, stop=stop, transform=transform)
        source.owner = owner
        try:
            stored = target.publish(flow, owner)
            if not flow.touched:
                source.discard(owner)
            break
        except (MemoryError, RuntimeError) as error:  # Arrow's and numpy's are MemoryErrors, too
            names = f"From {source.describe()} to {target.describe()}"
            if isinstance(error, RuntimeError):
                if "start new thread" not in str(error):
                    raise
                raise RetryError(
                    f"{names}: this process may not start another thread. Either nothing of it is "
                    "visible, or all. Raise the limit (ulimit -u, the container's pids), give it "
                    "more memory, or run less beside it."
                ) from None
            said = " ".join(str(error).split()) or "no more could be had"
            raise InputError(
                f"{names}: this process may not take the memory that a record of these data, or a "
                f"value, needs ({said[:200]}). Either nothing of it is visible, or all. Give it "
                "more (ulimit -v, the container's limit), or cut the record or value. A lower "
                "limit of the source, max_record_bytes or max_row_bytes, refuses such a record by "
                "its place. A page of an API has page_bytes."
            ) from None
        except SourceChangedError:
            # Nothing of it is visible: so what stands now can be read as if it were the first time.
            if reading == _READINGS:
                raise
            Backoff(first=_PAUSE, stop=stop).rest(reading)
        finally:
            source.stop = None  # an event cannot be pickled, and a task's source can
            source.owner = None
    if None not in (flow.rows, stored.rows) and flow.rows != stored.rows:
        # Redundant check: targets that count verify before they publish.
        raise RetryError(
            f"{target.describe()} counts {stored.rows} rows, {source.describe()} gave {flow.rows}. "
            "Look at the target before trying again."
        )
    rows = flow.rows if flow.rows is not None else stored.rows
    sizes = [stored_object.bytes for stored_object in stored.objects]
    return Receipt(
        source=source.describe(),
        target=target.describe(),
        owner=str(owner),
        rows=rows,
        bytes=sum(size for size in sizes if size is not None),
        seconds=round(time.monotonic() - began, 3),
        peak_memory=peak_memory(),
        stored=dataclasses.replace(stored, notes=(*stored.notes, *source.notes)),
        earlier=not flow.touched,
        core=source.core,
    )


def peak_memory() -> int:
    """Tell the most memory that this process has ever held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
