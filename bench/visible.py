"""From noted produce times and polled offsets to the time each event took to be visible. Nothing but arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.events import Floats, Ints


@dataclass(frozen=True, slots=True)
class Produced:
    """Record batches: for each its partition, first offset, number of events and epoch time of making."""

    partition: Ints
    first_offset: Ints
    count: Ints
    produced_s: Floats


def visible_after(produced: Produced, polls: Mapping[int, Sequence[tuple[float, int]]]) -> Floats:
    """Seconds from the making of every event to the first poll that showed it.

    `polls`: for each partition, in order of time, when an answer had arrived and the next offset it gave: all offsets
    below were visible. Raises ValueError when an event was never seen.
    """
    latencies = []
    for partition in np.unique(produced.partition).tolist():
        mine = produced.partition == partition
        counts = produced.count[mine]
        offsets = np.repeat(produced.first_offset[mine], counts) + _within(counts)
        seen = polls.get(partition, ())
        times = np.array([at for at, _ in seen])
        next_offsets = np.array([offset for _, offset in seen], dtype=np.int64)
        # The first poll whose next offset is above the event's own.
        first = np.searchsorted(next_offsets, offsets, side="right")
        if len(offsets) and (not len(times) or int(first.max()) >= len(times)):
            raise ValueError(f"events of partition {partition} were never seen")
        latencies.append(times[first] - np.repeat(produced.produced_s[mine], counts))
    return np.concatenate(latencies) if latencies else np.array([])


def _within(counts: Ints) -> Ints:
    """0, 1, ... count-1 for each count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
