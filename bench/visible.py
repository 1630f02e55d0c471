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


@dataclass(frozen=True, slots=True)
class Visible:
    """For each event when it was made (epoch seconds), and how many seconds later it was visible."""

    made_s: Floats
    after_s: Floats

    def by_time(self, length_s: float) -> list[Floats]:
        """The latencies of what was made in each `length_s` seconds since the first event; the last takes the rest."""
        since_s = self.made_s - self.made_s.min()
        count = max(1, round(float(since_s.max()) / length_s))
        parts = np.minimum(since_s // length_s, count - 1)
        return [self.after_s[parts == part] for part in range(count)]


def visible_after(produced: Produced, polls: Mapping[int, Sequence[tuple[float, int]]]) -> Visible:
    """From the making of every event to the first poll that showed it.

    `polls`: for each partition, in order of time, when an answer had arrived and the next offset it gave: all offsets
    below were visible. Raises ValueError when an event was never seen.
    """
    made, after = [np.empty(0)], [np.empty(0)]
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
        made.append(np.repeat(produced.produced_s[mine], counts))
        after.append(times[first] - made[-1])
    return Visible(np.concatenate(made), np.concatenate(after))


def _within(counts: Ints) -> Ints:
    """0, 1, ... count-1 for each count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
