"""What a flush sends to the database, made before the database is asked.

Formatting and folding take about as long as the database takes to store the result, so the next flush is prepared while
the one before it is under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics_service.adapters.timescale.event_copy_text import event_lines
from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.folding import fold_columns
from analytics_service.domain.windows import Window
from analytics_service.ingest.work import Work


@dataclass(frozen=True, slots=True)
class Prepared:
    """Raw rows as COPY text, and the deltas of each window by its name.

    `times_us` are the events' timestamps in epoch microseconds: what is archived is known only in the transaction.
    """

    raw_rows: int
    times_us: NDArray[np.int64]
    chunks: Sequence[memoryview]
    cells: Mapping[str, Mapping[Cell, Delta]]


def prepare(work: Work, windows: Sequence[Window], high_risk_threshold: float) -> Prepared:
    """Format and fold all events of `work`."""
    events = work.all_events()
    minutes = fold_columns(events, high_risk_threshold)
    cells = {window.name: roll_up(minutes, window) for window in windows}
    return Prepared(len(events), events.times_us, copy_chunks(work), cells)


def copy_chunks(work: Work, first_us: int | None = None) -> list[memoryview]:
    """The raw rows of `work` as COPY text; with `first_us` only events at or after it (epoch microseconds)."""
    chunks = []
    for part in work.parts:
        # At once: any look at forgotten ones decodes them all.
        events, offsets = part.events.columns, np.asarray(part.offsets, dtype=np.int64)
        if first_us is not None:
            kept = np.flatnonzero(events.times_us >= first_us)
            events, offsets = events.take(kept), offsets[kept]
        if len(events):
            incarnation = work.session.incarnation
            chunks.append(
                event_lines(events, offsets, incarnation, part.partition, plain=part.plain)
            )
    return chunks
