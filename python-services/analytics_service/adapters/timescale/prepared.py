"""What a flush sends to the database, made before the database is asked.

Formatting and folding take about as long as the database takes to store the result, so the next flush is prepared while
the one before it is under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics_service.adapters.timescale.copy_text import event_lines
from analytics_service.domain.aggregation import Cell, Delta, fold_events, roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.windows import Window
from analytics_service.ingest.work import Work

# Pieces that fit the processor's caches, and let the server parse one while the next is sent.
_COPY_CHUNK = 5_000
_FOLD_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """Raw rows as COPY text, and the deltas of each window by its name.

    `times_us` are the events' timestamps in epoch microseconds: what is archived is known only in the transaction.
    """

    raw_rows: int
    times_us: NDArray[np.int64]
    chunks: Sequence[bytes]
    cells: Mapping[str, Mapping[Cell, Delta]]


def prepare(work: Work, windows: Sequence[Window], high_risk_threshold: float) -> Prepared:
    """Format and fold all events of `work`."""
    events = work.all_events()
    times_us = np.fromiter((event.timestamp_us for event in events), np.int64, len(events))
    minutes = _fold(events, high_risk_threshold)
    cells = {window.name: roll_up(minutes, window) for window in windows}
    return Prepared(len(events), times_us, copy_chunks(work), cells)


def copy_chunks(work: Work, first_us: int | None = None) -> list[bytes]:
    """The raw rows of `work` as COPY text; with `first_us` only events at or after it (epoch microseconds)."""
    incarnation = work.session.incarnation
    chunks = []
    for part in work.parts:
        events: Sequence[Event] = list(
            part.events
        )  # at once: any look at forgotten ones decodes them all
        offsets = part.offsets
        if first_us is not None:
            kept = [
                pair
                for pair in zip(events, offsets, strict=True)
                if pair[0].timestamp_us >= first_us
            ]
            events, offsets = [event for event, _ in kept], [offset for _, offset in kept]
        for at in range(0, len(events), _COPY_CHUNK):
            chunk = slice(at, at + _COPY_CHUNK)
            text = event_lines(
                events[chunk], offsets[chunk], incarnation, part.partition, careful=part.careful
            )
            chunks.append(text.encode())
    return chunks


def _fold(events: Sequence[Event], high_risk_threshold: float) -> dict[Cell, Delta]:
    """The 1min deltas of all events."""
    minutes = fold_events(events[:_FOLD_CHUNK], high_risk_threshold)
    for at in range(_FOLD_CHUNK, len(events), _FOLD_CHUNK):
        for cell, delta in fold_events(events[at : at + _FOLD_CHUNK], high_risk_threshold).items():
            if cell in minutes:
                minutes[cell].merge_from(delta)
            else:
                minutes[cell] = delta
    return minutes
