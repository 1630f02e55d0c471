"""From produce times and polled offsets to latencies."""

from __future__ import annotations

import numpy as np
import pytest

from bench.visible import Produced, Visible, visible_after


def produced(*batches: tuple[int, int, int, float]) -> Produced:
    """Batches as (partition, first offset, events, seconds)."""
    partition, first, count, made = zip(*batches, strict=True)
    return Produced(np.array(partition), np.array(first), np.array(count), np.array(made))


def test_an_event_is_visible_at_the_first_poll_beyond_its_offset() -> None:
    # partition 0:   t=10.0  offsets 0-1 made     t=10.1  offset 2 made
    #                t=10.2  polled: next is 1    t=10.5  polled: next is 3
    polls = {0: [(10.2, 1), (10.5, 3)]}
    visible = visible_after(produced((0, 0, 2, 10.0), (0, 2, 1, 10.1)), polls)
    assert visible.after_s.tolist() == pytest.approx([0.2, 0.5, 0.4])
    assert visible.made_s.tolist() == [10.0, 10.0, 10.1]


def test_partitions_are_independent() -> None:
    polls = {0: [(5.0, 1)], 3: [(7.0, 100), (9.0, 101)]}
    visible = visible_after(produced((0, 0, 1, 4.0), (3, 99, 2, 6.5)), polls)
    assert sorted(visible.after_s.tolist()) == pytest.approx([0.5, 1.0, 2.5])


@pytest.mark.parametrize(
    ("length_s", "expected"),
    [
        (10.0, [[1.0, 2.0, 5.0], [3.0], [4.0]]),
        (16.0, [[1.0, 2.0, 3.0, 5.0], [4.0]]),
        (100.0, [[1.0, 2.0, 3.0, 4.0, 5.0]]),
    ],
)
def test_parts_follow_the_time_of_making_whatever_the_partition(
    length_s: float, expected: list[list[float]]
) -> None:
    # 0 to 31 s: three parts of 10 s, the last one a second longer; two of 16 s
    made, after = np.array([0.0, 9.9, 10.0, 31.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    parts = Visible(100 + made, after).by_time(length_s)
    assert [sorted(part.tolist()) for part in parts] == expected


@pytest.mark.parametrize("polls", [{}, {0: []}, {0: [(5.0, 1)]}])
def test_an_event_never_seen_is_an_error(polls: dict[int, list[tuple[float, int]]]) -> None:
    with pytest.raises(ValueError, match="partition 0 were never seen"):
        visible_after(produced((0, 0, 2, 4.0)), polls)
