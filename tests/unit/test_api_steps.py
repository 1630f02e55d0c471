"""Into which steps a series is divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.windows import DAY, WINDOWS
from dashboard_api.steps import MOST_POINTS, POINTS, parse_step, plan_steps, step_text

LEVELS = [*WINDOWS, DAY]
KEPT: dict[str, int | None] = {"hot": None, "warm": None, "cold": None}
HOUR, DAY_S = 3600, 86_400
NOW_S = 1_773_146_096

anything = st.integers(1, 400 * DAY_S)


@pytest.mark.parametrize(
    ("length_s", "step_s", "window"),
    [
        (60, 60, "1min"),
        (4 * HOUR + 3540, 60, "1min"),
        (5 * HOUR, 300, "5min"),
        (24 * HOUR, 300, "5min"),
        (3 * DAY_S, 900, "5min"),
        (6 * DAY_S, 1800, "5min"),
        (7 * DAY_S, 3600, "1hour"),
        (30 * DAY_S, 10_800, "1hour"),
        (365 * DAY_S, 2 * DAY_S, "1day"),
    ],
)
def test_the_shortest_that_gives_few_enough_points(length_s: int, step_s: int, window: str) -> None:
    steps = plan_steps(NOW_S - length_s, NOW_S, LEVELS, KEPT)
    assert (steps.step_s, steps.window.name) == (step_s, window)


@given(
    length_s=anything,
    end_s=st.integers(0, 2**32),
    points=st.integers(2, 500),
    merging=st.booleans(),
)
def test_the_steps_cover_the_range_exactly(
    length_s: int, end_s: int, points: int, merging: bool
) -> None:
    start_s = end_s - length_s
    steps = plan_steps(start_s, end_s, LEVELS, KEPT, points=points, merging=merging)
    assert steps.start_s <= start_s < steps.start_s + steps.step_s
    assert steps.end_s - steps.step_s < end_s <= steps.end_s
    assert steps.start_s % steps.step_s == 0
    assert steps.step_s % steps.window.seconds == 0
    assert len(steps.starts_s) <= points or steps.step_s == (30 * DAY_S if merging else DAY_S)
    if not merging:
        assert steps.step_s == steps.window.seconds


@given(
    length_s=anything,
    warm_age_s=st.integers(0, 500 * DAY_S),
    cold_age_s=st.integers(0, 500 * DAY_S),
)
def test_no_step_is_made_of_what_is_gone(length_s: int, warm_age_s: int, cold_age_s: int) -> None:
    # Archiving cuts at the start of a day, and never keeps raw minutes longer than hours here.
    floors = {
        "warm": (NOW_S - min(warm_age_s, cold_age_s)) // DAY_S * DAY_S,
        "cold": (NOW_S - cold_age_s) // DAY_S * DAY_S,
    }
    steps = plan_steps(NOW_S - length_s, NOW_S, LEVELS, {**floors})
    assert steps.start_s >= floors[steps.window.tier]
    assert len(steps.starts_s) <= POINTS
    if NOW_S - length_s >= floors["cold"]:
        # Covered from the start on, but for a step of several days that begins before anything is kept.
        first = (NOW_S - length_s) // steps.step_s * steps.step_s
        assert steps.start_s == first if first >= floors["cold"] else first + steps.step_s


def test_steps_that_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        plan_steps(0, 60 * (MOST_POINTS + 1), LEVELS, KEPT, step_s=60)
    floors = {"warm": NOW_S - HOUR, "cold": None}
    with pytest.raises(ValueError, match="5min"):
        plan_steps(NOW_S - 2 * HOUR, NOW_S, LEVELS, floors, step_s=60)
    assert plan_steps(NOW_S - 2 * HOUR, NOW_S, LEVELS, floors, step_s=600).window.name == "5min"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("auto", None), ("1m", 60), ("60s", 60), ("1min", 60), ("5min", 300), ("90m", 5400), ("1hour", 3600),
     ("1h", 3600), ("1day", DAY_S), ("2d", 2 * DAY_S), ("1w", 7 * DAY_S)],
)  # fmt: skip
def test_texts_of_steps(text: str, seconds: int | None) -> None:
    assert parse_step(text) == seconds
    if seconds is not None:
        assert parse_step(step_text(seconds)) == seconds


@pytest.mark.parametrize(
    "text", ["", "0m", "1s", "90s", "1", "m", "-1m", "1.5h", "1M", "366d", "٣m", "9" * 9 + "m"]
)
def test_texts_that_are_no_steps(text: str) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        parse_step(text)
