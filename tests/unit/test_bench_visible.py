"""From produce times and polled offsets to latencies."""

from __future__ import annotations

import numpy as np
import pytest

from bench.visible import Produced, visible_after


def produced(*batches: tuple[int, int, int, float]) -> Produced:
    """Batches as (partition, first offset, events, seconds)."""
    partition, first, count, made = zip(*batches, strict=True)
    return Produced(np.array(partition), np.array(first), np.array(count), np.array(made))


def test_an_event_is_visible_at_the_first_poll_beyond_its_offset() -> None:
    # partition 0:   t=10.0  offsets 0-1 made     t=10.1  offset 2 made
    #                t=10.2  polled: next is 1    t=10.5  polled: next is 3
    polls = {0: [(10.2, 1), (10.5, 3)]}
    latencies = visible_after(produced((0, 0, 2, 10.0), (0, 2, 1, 10.1)), polls)
    assert latencies.tolist() == pytest.approx([0.2, 0.5, 0.4])


def test_partitions_are_independent() -> None:
    polls = {0: [(5.0, 1)], 3: [(7.0, 100), (9.0, 101)]}
    latencies = visible_after(produced((0, 0, 1, 4.0), (3, 99, 2, 6.5)), polls)
    assert sorted(latencies.tolist()) == pytest.approx([0.5, 1.0, 2.5])


@pytest.mark.parametrize("polls", [{}, {0: []}, {0: [(5.0, 1)]}])
def test_an_event_never_seen_is_an_error(polls: dict[int, list[tuple[float, int]]]) -> None:
    with pytest.raises(ValueError, match="partition 0 were never seen"):
        visible_after(produced((0, 0, 2, 4.0)), polls)
