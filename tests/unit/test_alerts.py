"""The life of an alert: commented tables, and Hypothesis against a slow and obvious reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics_service.domain.alerts import (
    INACTIVE,
    NO_DATA_S,
    AlertState,
    Observation,
    Reading,
    acknowledge,
    close,
    judge,
    step,
)
from analytics_service.domain.rules import Rule

NOTHING = Observation((), None)


def rule(**changes: Any) -> Rule:
    """Error rate above 5 percent, at once and until it is over, unless said otherwise."""
    return Rule(
        **{
            "rule_name": "r",
            "metric_name": "error_rate",
            "operator": ">",
            "threshold": 5.0,
            "severity": "warning",
            "duration_seconds": 0,
            "keep_firing_seconds": 0,
            **changes,
        }
    )


def seen(
    live: float | None, complete: float | None = None, *, requests: int = 100, before: int = 100
) -> Observation:
    """A running window and the one before it; None: there is no such row."""
    return Observation(
        () if live is None else (Reading(live, requests, 60),),
        None if complete is None else Reading(complete, before, 0),
    )


def statuses(a_rule: Rule, series: Sequence[tuple[float, Observation]]) -> list[str]:
    """The status after each observation."""
    state = INACTIVE
    found: list[str] = []
    for now_s, observation in series:
        state, _ = step(a_rule, state, observation, now_s)
        found.append(state.status)
    return found


@pytest.mark.parametrize(
    ("a_rule", "observation", "is_open", "verdict"),
    [
        # Either window is enough.
        (rule(), seen(6, 1), False, "violated"),
        (rule(), seen(1, 6), False, "violated"),
        (rule(), seen(None, 6), False, "violated"),
        (rule(), seen(6, None), False, "violated"),
        (rule(), seen(1, 5), False, "clear"),
        (rule(), NOTHING, False, "no_data"),
        # A window in which nothing carries the metric is no data for it, whatever it holds.
        (rule(), Observation((Reading(None, 9, 60),), Reading(None, 9, 0)), False, "no_data"),
        (rule(), Observation((Reading(None, 9, 60),), Reading(9.0, 9, 0)), False, "violated"),
        # The window that has just ended counts until it is complete, and so does the next one.
        (
            rule(),
            Observation((Reading(1, 9, 120), Reading(9, 9, 60)), Reading(1, 9, 0)),
            False,
            "violated",
        ),
        # Too few requests violate nothing, in either window, and are no lack of data.
        (rule(min_requests=10), seen(50, 1, requests=9), False, "clear"),
        (rule(min_requests=10), seen(50, 50, requests=9, before=9), False, "clear"),
        (rule(min_requests=10), seen(50, 1, requests=10), False, "violated"),
        # A running window's count is always low at first.
        (rule(metric_name="total_requests", operator="<"), seen(1, 50), False, "clear"),
        (rule(metric_name="total_requests", operator="<"), seen(50, 1), False, "violated"),
        (rule(metric_name="total_requests", operator="<"), seen(1, None), False, "no_data"),
        (rule(metric_name="total_requests", operator="=="), seen(5, 9), False, "clear"),
        (rule(metric_name="total_requests", operator=">"), seen(9, 1), False, "violated"),
        (rule(operator="<"), seen(1, 9), False, "violated"),
        # Once it is open, the resolve threshold decides.
        (rule(resolve_threshold=2.0), seen(3), False, "clear"),
        (rule(resolve_threshold=2.0), seen(3), True, "violated"),
        (rule(resolve_threshold=2.0), seen(2), True, "clear"),
        # The other operators.
        (rule(operator=">="), seen(5), False, "violated"),
        (rule(operator="<="), seen(5), False, "violated"),
        (rule(operator="=="), seen(5), False, "violated"),
        (rule(operator="<"), seen(5), False, "clear"),
    ],
)
def test_judging(a_rule: Rule, observation: Observation, is_open: bool, verdict: str) -> None:
    assert judge(a_rule, observation, is_open=is_open).verdict == verdict


def test_the_window_that_violates_is_the_one_recorded() -> None:
    assert judge(rule(), seen(1, 6), is_open=False).reading == Reading(6, 100, 0)
    assert judge(rule(), seen(7, 6), is_open=False).reading == Reading(7, 100, 60)


@pytest.mark.parametrize(
    ("why", "a_rule", "series", "expected"),
    [
        ("at once", rule(), [(0, 9), (1, 1)], ["active", "inactive"]),
        (
            "after its duration",
            rule(duration_seconds=2),
            [(0, 9), (1, 9), (2, 9)],
            ["pending", "pending", "active"],
        ),
        (
            "a pause while pending begins anew",
            rule(duration_seconds=2),
            [(0, 9), (1, 1), (2, 9), (3, 9), (4, 9)],
            ["pending", "inactive", "pending", "pending", "active"],
        ),
        (
            "it keeps firing until it was clear for long enough",
            rule(keep_firing_seconds=3),
            [(0, 9), (1, 1), (2, 1), (3, 1), (4, 1)],
            ["active", "active", "active", "active", "inactive"],
        ),
        (
            "a flare-up in between begins that anew",
            rule(keep_firing_seconds=2),
            [(0, 9), (1, 1), (2, 9), (3, 1), (4, 1), (5, 1)],
            ["active", "active", "active", "active", "active", "inactive"],
        ),
        (
            "between the two thresholds nothing changes",
            rule(resolve_threshold=2.0),
            [(0, 3), (1, 6), (2, 3), (3, 2), (4, 3)],
            ["inactive", "active", "active", "inactive", "inactive"],
        ),
        (
            "an evaluator that was away counts the time, not the looks",
            rule(duration_seconds=60),
            [(0, 9), (61, 9)],
            ["pending", "active"],
        ),
    ],
)
def test_the_course_of_an_alert(
    why: str, a_rule: Rule, series: list[tuple[float, float]], expected: list[str]
) -> None:
    assert statuses(a_rule, [(now, seen(value)) for now, value in series]) == expected, why


@pytest.mark.parametrize(
    ("policy", "before_limit", "at_limit"),
    [
        ("resolve", "active", "inactive"),
        ("keep", "active", "active"),
        ("alert", "active", "active"),
    ],
)
def test_without_data_an_active_alert_waits_for_its_policy(
    policy: str, before_limit: str, at_limit: str
) -> None:
    series = [(0.0, seen(9)), (1.0, NOTHING), (NO_DATA_S, NOTHING), (NO_DATA_S + 1, NOTHING)]
    found = statuses(rule(no_data_policy=policy), series)
    assert found == ["active", "active", before_limit, at_limit]


def test_absence_can_be_the_alert_and_honours_the_duration() -> None:
    absent = rule(no_data_policy="alert", duration_seconds=60)
    series = [(0.0, seen(1)), (1.0, NOTHING), (301.0, NOTHING), (360.0, NOTHING), (361.0, NOTHING)]
    assert statuses(absent, [*series, (362.0, seen(1))]) == [
        "inactive", "inactive", "pending", "pending", "active", "inactive",
    ]  # fmt: skip


def test_data_that_come_back_in_time_leave_everything_as_it_was() -> None:
    series = [
        (0.0, seen(9)),
        (1.0, NOTHING),
        (300.0, NOTHING),
        (300.5, seen(9)),
        (400.0, NOTHING),
        (600.0, NOTHING),
    ]
    assert statuses(rule(), series) == ["active"] * 6


def test_a_pending_alert_is_not_forgotten_while_data_are_missing() -> None:
    waiting = rule(duration_seconds=10)
    series = [(0.0, seen(9)), (5.0, NOTHING), (12.0, seen(9))]
    assert statuses(waiting, series) == ["pending", "pending", "active"]
    assert statuses(waiting, [(0.0, seen(9)), (1.0, NOTHING), (301.0, NOTHING)])[-1] == "inactive"


@pytest.mark.parametrize("policy", ["resolve", "keep"])
def test_a_pending_alert_is_forgotten_when_data_are_missing_for_long(policy: str) -> None:
    """Two bad events a day apart are no minute of trouble; an alert that is open is another matter."""
    waiting = rule(duration_seconds=60, no_data_policy=policy)
    day = 86_400.0
    series = [(0.0, seen(9)), (1.0, NOTHING), (300.9, NOTHING), (301.0, NOTHING), (day, seen(9))]
    assert statuses(waiting, series) == ["pending", "pending", "pending", "inactive", "pending"]
    state = INACTIVE
    for now_s, observation in [*series, (day + 60, seen(9))]:
        state, told = step(waiting, state, observation, now_s)
    assert [(t.to_status, t.at_s) for t in told] == [("pending", day), ("active", day + 60)]


def test_what_is_told() -> None:
    a_rule = rule(duration_seconds=2, keep_firing_seconds=1)
    state, told = step(a_rule, INACTIVE, seen(9), 10.0)
    assert told == ()
    state, told = step(a_rule, state, seen(8), 12.0)
    assert [(t.from_status, t.to_status, t.at_s) for t in told] == [
        ("inactive", "pending", 10.0),
        ("pending", "active", 12.0),
    ]
    assert (state.pending_since_s, state.active_since_s) == (10.0, 12.0)
    state, told = acknowledge(state, 13.0, "mine")
    assert [(t.from_status, t.to_status, t.comment) for t in told] == [
        ("active", "acknowledged", "mine")
    ]
    assert acknowledge(state, 14.0, "again") == (state, ())
    state, told = step(a_rule, state, seen(1), 15.0)
    assert (state.status, told) == ("acknowledged", ())
    state, told = step(a_rule, state, seen(1), 16.0)
    assert [(t.from_status, t.to_status, t.at_s) for t in told] == [
        ("acknowledged", "resolved", 16.0)
    ]
    assert state == INACTIVE


def test_closing_by_hand() -> None:
    active, _ = step(rule(), INACTIVE, seen(9), 1.0)
    closed, told = close(active, 2.0, "a deployment")
    assert [(t.from_status, t.to_status, t.comment) for t in told] == [
        ("active", "resolved", "a deployment")
    ]
    assert closed == INACTIVE
    pending = AlertState("pending", pending_since_s=1.0)
    assert close(pending, 2.0, None) == (INACTIVE, ())
    assert acknowledge(pending, 2.0, None) == (pending, ())


VALUES = st.sampled_from([None, 0.0, 2.0, 3.0, 5.0, 6.0])
SERIES = st.lists(st.tuples(st.integers(1, 200), VALUES), max_size=40)


@given(
    SERIES,
    st.sampled_from([0, 60, 150]),
    st.sampled_from([0, 60, 150]),
    st.sampled_from([None, 2.0]),
    st.sampled_from(["resolve", "keep", "alert"]),
)
@example([(1, 6.0), (1, None), (200, None), (200, None), (1, 6.0)], 60, 0, None, "keep")
def test_as_the_slow_reference_says(
    steps: list[tuple[int, float | None]],
    duration: int,
    keep_firing: int,
    resolve_threshold: float | None,
    policy: str,
) -> None:
    a_rule = rule(
        duration_seconds=duration,
        keep_firing_seconds=keep_firing,
        resolve_threshold=resolve_threshold,
        no_data_policy=policy,
    )
    times, now = [], 0
    for pause, _ in steps:
        now += pause
        times.append(now)
    values = [value for _, value in steps]
    found = statuses(a_rule, [(float(t), seen(v)) for t, v in zip(times, values, strict=True)])
    limits = (5.0, 5.0 if resolve_threshold is None else resolve_threshold)
    assert found == reference(times, values, limits, duration, keep_firing, policy)


def reference(
    times: list[int],
    values: list[float | None],
    limits: tuple[float, float],
    duration: int,
    keep_firing: int,
    policy: str,
) -> list[str]:
    """The status at each look, by looking back over everything seen so far, every time anew."""
    found: list[str] = []
    begun = 0  # what lies before the last resolution is of no interest any more
    for place, now in enumerate(times):
        was_open = bool(found) and found[-1] == "active"
        # Only what is open is kept.
        without = "resolve" if policy == "keep" and not was_open else policy
        views = [
            view(times, values, at, limits[1] if was_open else limits[0], without)
            for at in range(place + 1)
        ]
        if views[place] == "hold":
            found.append(found[-1] if found else "inactive")
            continue
        if views[place] == "end":
            begun = place + 1
            found.append("inactive")
            continue
        run = place
        while run > begun and views[run - 1] in (views[place], "hold"):
            run -= 1
        while views[run] == "hold":
            run += 1
        held = now - times[run]
        if views[place] == "bad":
            # The look at which it became pending or was open counts, not earlier ones by another limit.
            found.append("active" if was_open or held >= duration else "pending")
        elif was_open and held < keep_firing:
            found.append("active")
        else:
            begun = place + 1
            found.append("inactive")
    return found


def view(times: list[int], values: list[float | None], at: int, limit: float, policy: str) -> str:
    """What one look says: bad, good, hold (nothing known), or end (too long without data)."""
    value = values[at]
    if value is not None:
        return "bad" if value > limit else "good"
    first = at
    while first > 0 and values[first - 1] is None:
        first -= 1
    if policy == "keep" or times[at] - times[first] < NO_DATA_S:
        return "hold"
    return "bad" if policy == "alert" else "end"
