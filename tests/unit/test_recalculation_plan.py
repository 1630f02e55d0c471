"""What a recalculation consists of, and where it goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.recalculation import Plan, grouped, plan_recalculation
from analytics_service.domain.windows import WINDOWS, window_named

MINUTE, FIVE, HOUR = WINDOWS
TEN = 10 * 3600


@pytest.mark.parametrize(
    ("start_s", "end_s", "rounded"),
    [
        (TEN, TEN + 3600, (TEN, TEN + 3600)),
        (TEN + 1, TEN + 2, (TEN, TEN + 3600)),
        (TEN + 3599, TEN + 3601, (TEN, TEN + 7200)),
        (-1, 0, (-3600, 0)),
    ],
)
def test_the_range_is_rounded_outwards_to_hours(
    start_s: int, end_s: int, rounded: tuple[int, int]
) -> None:
    plan = plan_recalculation(start_s, end_s, WINDOWS)
    assert (plan.start_s, plan.end_s) == rounded


@pytest.mark.parametrize(
    ("names", "sources"),
    [
        (("1min", "5min", "1hour"), [None, "1min", "5min"]),
        (("1min", "1hour"), [None, "1min"]),
        (("5min",), [None]),
        (("1hour",), [None]),
    ],
)
def test_the_finest_window_comes_from_raw_events_the_others_from_the_next_finer_one(
    names: tuple[str, ...], sources: list[str | None]
) -> None:
    plan = plan_recalculation(0, 3600, [window_named(name) for name in names])
    assert [step.window.name for step in plan.steps] == list(names)
    assert [step.source and step.source.name for step in plan.steps] == sources


def two_hours() -> Plan:
    return plan_recalculation(TEN, TEN + 7200, WINDOWS)


def test_batches_are_the_windows_of_all_steps() -> None:
    plan = two_hours()
    assert plan.batches == 120 + 24 + 2
    minutes, fives, hours = plan.steps
    assert plan.batches_before(minutes, TEN) == 0
    assert plan.batches_before(minutes, TEN + 120) == 2
    assert plan.batches_before(fives, TEN + 300) == 121
    assert plan.batches_before(hours, TEN + 7200) == plan.batches


@pytest.mark.parametrize(
    ("name", "position_s", "expected"),
    [
        (None, None, [("1min", TEN), ("5min", TEN), ("1hour", TEN)]),
        ("1min", TEN + 60, [("1min", TEN + 60), ("5min", TEN), ("1hour", TEN)]),
        ("1min", TEN + 7200, [("1min", TEN + 7200), ("5min", TEN), ("1hour", TEN)]),
        ("1hour", TEN + 3600, [("1hour", TEN + 3600)]),
        # a window that is not kept any more: everything from the beginning
        ("1week", TEN + 3600, [("1min", TEN), ("5min", TEN), ("1hour", TEN)]),
    ],
)
def test_it_goes_on_where_it_stood(
    name: str | None, position_s: int | None, expected: list[tuple[str, int]]
) -> None:
    left = two_hours().from_position(name, position_s)
    assert [(step.window.name, since_s) for step, since_s in left] == expected


@given(
    st.dictionaries(st.text(max_size=3), st.integers(0, 50), max_size=30),
    st.integers(1, 5),
    st.integers(1, 60),
)
def test_groups_hold_every_service_once_within_the_limits(
    sizes: dict[str, int], most_services: int, most_events: int
) -> None:
    groups = grouped(sizes, most_services, most_events)
    assert [service for group in groups for service in group] == sorted(sizes)
    for group in groups:
        assert 0 < len(group) <= most_services
        assert len(group) == 1 or sum(sizes[service] for service in group) <= most_events
