"""The decomposition of a range into stored windows, against a plain minute-by-minute account."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics_service.domain.windows import WINDOWS, Window
from dashboard_api.ranges import Plan, plan_range

HOUR = 3600
ALL_KEPT: dict[str, int | None] = {"warm": None, "cold": None}
LENGTH_S = {"1min": 60, "5min": 300, "1hour": 3600}
TIER = {"1min": "warm", "5min": "cold", "1hour": "cold"}


def pieces(plan: Plan) -> list[tuple[str, int, int]]:
    return [(piece.window.name, piece.start_s, piece.end_s) for piece in plan.pieces]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # whole hours stay whole
        (0, 2 * HOUR, [("1hour", 0, 7200)]),
        # minutes and five minutes at both edges
        (
            HOUR - 420,
            2 * HOUR + 360,
            [
                ("1min", 3180, 3300),
                ("5min", 3300, 3600),
                ("1hour", 3600, 7200),
                ("5min", 7200, 7500),
                ("1min", 7500, 7560),
            ],
        ),
        # rounded outwards to the minute
        (59, 61, [("1min", 0, 120)]),
        (-1, 1, [("1min", -60, 60)]),
        # a range inside one five minutes
        (3660, 3780, [("1min", 3660, 3780)]),
    ],
)
def test_examples_with_everything_kept(
    start: int, end: int, expected: list[tuple[str, int, int]]
) -> None:
    assert pieces(plan_range(start, end, WINDOWS, ALL_KEPT)) == expected


@pytest.mark.parametrize(
    ("start", "end", "warm", "cold", "expected"),
    [
        # minutes are gone before 4000: the beginning is rounded to five minutes, the end is not
        (3700, 6960, 4000, None, [("5min", 3600, 6900), ("1min", 6900, 6960)]),
        # minutes begin to be kept within the last five minutes
        (3600, 3780, 3700, None, [("5min", 3600, 3900)]),
        # minutes are gone up to beyond the end: both edges rounded to five minutes
        (3700, 4100, 9000, None, [("5min", 3600, 4200)]),
        # nothing before 3700 is kept: the plan begins with the first whole five minutes after it
        (0, 7200, None, 3700, [("1min", 0, 3900), ("5min", 3900, 7200)]),
        (0, 7200, 5000, 3700, [("5min", 3900, 7200)]),
        # all of it is gone
        (0, 3600, 90000, 90000, []),
    ],
)
def test_examples_with_something_archived(
    start: int, end: int, warm: int | None, cold: int | None, expected: list[tuple[str, int, int]]
) -> None:
    plan = plan_range(start, end, WINDOWS, {"warm": warm, "cold": cold})
    assert pieces(plan) == expected


def test_the_resolution_is_the_finest_window_used() -> None:
    assert plan_range(0, 7260, WINDOWS, ALL_KEPT).resolution == "1min"
    assert plan_range(0, 7200, WINDOWS, ALL_KEPT).resolution == "1hour"
    assert plan_range(0, 60, WINDOWS, {"warm": 900, "cold": 900}).resolution is None


seconds = st.integers(-5 * HOUR, 5 * HOUR)
kept = st.one_of(st.none(), st.integers(-6 * HOUR, 6 * HOUR))


@given(
    start=seconds,
    length=st.integers(1, 8 * HOUR),
    warm=kept,
    cold=kept,
    names=st.sets(st.sampled_from(sorted(LENGTH_S)), min_size=1),
)
@example(start=3540, length=61, warm=3600, cold=0, names={"1min", "5min", "1hour"})
def test_a_plan_reads_every_minute_once_and_only_what_is_there(
    start: int, length: int, warm: int | None, cold: int | None, names: set[str]
) -> None:
    end = start + length
    windows = [window for window in WINDOWS if window.name in names]
    since = {"warm": warm, "cold": cold}
    plan = plan_range(start, end, windows, since)

    minutes: list[int] = []
    for name, first, last in pieces(plan):
        assert name in names
        assert first % LENGTH_S[name] == last % LENGTH_S[name] == 0
        assert first >= _limit(since, name), "a window that was dropped, in part or whole"
        minutes += range(first, last, 60)
    assert minutes == list(range(plan.start_s, plan.end_s, 60)), "a gap, an overlap or disorder"

    wanted = set(range(start - start % 60, end, 60))
    can_be_had = {minute for minute in wanted if _covering(minute, windows, since)}
    assert can_be_had <= set(minutes), "something that is stored was left out"
    # what was not asked for shares the finest stored window of a minute that was
    forced = {_finest(minute, windows, since) for minute in can_be_had}
    for minute in set(minutes) - wanted:
        assert any((length, minute // length) in forced for length in LENGTH_S.values())


@given(start=seconds, length=st.integers(1, 8 * HOUR), warm=kept, cold=kept)
def test_a_plan_reads_as_few_windows_as_possible(
    start: int, length: int, warm: int | None, cold: int | None
) -> None:
    since = {"warm": warm, "cold": cold}
    plan = plan_range(start, start + length, WINDOWS, since)
    used = sum((last - first) // LENGTH_S[name] for name, first, last in pieces(plan))
    assert used == _fewest(plan.start_s, plan.end_s, since)


def _limit(since: Mapping[str, int | None], name: str) -> float:
    limit = since[TIER[name]]
    return float("-inf") if limit is None else limit


def _covering(minute: int, windows: list[Window], since: Mapping[str, int | None]) -> list[Window]:
    return [w for w in windows if minute - minute % LENGTH_S[w.name] >= _limit(since, w.name)]


def _finest(minute: int, windows: list[Window], since: Mapping[str, int | None]) -> tuple[int, int]:
    """Length and number of the finest stored window that holds a minute."""
    length = min(LENGTH_S[window.name] for window in _covering(minute, windows, since))
    return length, minute // length


def _fewest(start: int, end: int, since: Mapping[str, int | None]) -> int:
    """The fewest stored windows that exactly tile [start, end), by dynamic programming."""
    best: dict[int, int] = {start: 0}
    for at in range(start, end, 60):
        if at not in best:
            continue
        for name, length in LENGTH_S.items():
            if at % length == 0 and at >= _limit(since, name) and at + length <= end:
                best[at + length] = min(best.get(at + length, 10**9), best[at] + 1)
    return best[end]
