"""Rules on recorded windows: looking only when something can change finds what looking at every tick finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.alerts import INACTIVE, AlertState, Observation, Reading, step
from analytics_service.domain.rule_trial import Episode, Rows, episodes_within, trial
from analytics_service.domain.rules import NO_DATA_POLICIES, OPERATORS, Rule

BEGIN_S = 1_769_904_000
HOUR_S = 3600
SECONDS = {"1min": 60, "5min": 300, "1hour": 3600}
SERVICES = ("api", "web")
Seen = tuple[float, str, str, str, str, float, float | None, str | None]


def rule(name: str = "r", **changes: Any) -> Rule:
    """Error rate above 5 percent, at once and until it is over, unless said otherwise."""
    fields: dict[str, Any] = {
        "rule_name": name,
        "metric_name": "error_rate",
        "operator": ">",
        "threshold": 5.0,
        "severity": "warning",
        "duration_seconds": 0,
        "keep_firing_seconds": 0,
    }
    return Rule(**fields | changes)


def rows_of(size: str, values: Mapping[int, float | None], requests: int = 100) -> Rows:
    """Windows of `api` by their number from the beginning."""
    return {
        "api": {
            BEGIN_S + SECONDS[size] * number: (requests, {"error_rate": value})
            for number, value in values.items()
        }
    }


def every_tick(a_rule: Rule, service: str, rows: Rows, first: int, last: int) -> Iterator[Seen]:
    """The transitions when every tenth second is looked at, each from `step` itself; slow and obvious."""
    seconds = SECONDS[a_rule.window_size]
    mine = rows.get(service, {})
    state = INACTIVE
    was_heard_of = a_rule.service == service
    for now in range(first, last + 1, 10):
        start = now - now % seconds - seconds
        if start < first:
            continue  # no window is over yet
        was_heard_of = was_heard_of or start in mine
        if not was_heard_of:
            continue
        requests, figures = mine.get(start, (0, {}))
        complete = Reading(figures[a_rule.metric_name], requests, start) if start in mine else None
        state, told = step(a_rule, state, Observation((), complete), float(now))
        for each in told:
            value = None if each.reading is None else each.reading.value
            yield (
                now, a_rule.rule_name, service, each.from_status, each.to_status, each.at_s, value, each.comment
            )  # fmt: skip


figures = st.one_of(
    st.none(),  # no such window
    st.tuples(
        st.sampled_from([1, 9, 100]),
        st.sampled_from([None, 0.0, 3.0, 5.0, 7.0, 7.0, 9.0]),
    ),
)


@st.composite
def recordings(draw: st.DrawFn) -> dict[str, Rows]:
    """Three hours of windows with stretches of the same, with and without gaps."""
    recorded: dict[str, Rows] = {}
    for size, seconds in SECONDS.items():
        rows: dict[str, dict[int, Any]] = {}
        for service in SERVICES:
            number, count = 0, 3 * HOUR_S // seconds
            while number < count:
                length = draw(st.integers(1, max(1, min(count, 15))))
                seen = draw(figures)
                for each in range(number, min(number + length, count)):
                    if seen is not None:
                        start = BEGIN_S + seconds * each
                        rows.setdefault(service, {})[start] = (seen[0], {"error_rate": seen[1]})
                number += length
        recorded[size] = rows
    return recorded


@st.composite
def rules(draw: st.DrawFn, name: str = "r") -> Rule:
    """Any rule about the error rate, also one whose resolve threshold makes no sense."""
    lengths = st.sampled_from([0, 1, 10, 15, 60, 61, 120, 299, 300, 301, 900, 4000])
    return rule(
        name,
        operator=draw(st.sampled_from(sorted(OPERATORS))),
        threshold=draw(st.sampled_from([3.0, 5.0])),
        resolve_threshold=draw(st.sampled_from([None, None, 1.0, 8.0])),
        service=draw(st.sampled_from(["*", "*", "api", "gone"])),
        window_size=draw(st.sampled_from(sorted(SECONDS))),
        duration_seconds=draw(lengths),
        keep_firing_seconds=draw(lengths),
        min_requests=draw(st.sampled_from([1, 10])),
        no_data_policy=draw(st.sampled_from(NO_DATA_POLICIES)),
    )


def flat(episode: Episode) -> list[tuple[str, str, float]]:
    """An episode's transitions, briefly."""
    return [(each.from_status, each.to_status, each.at_s) for each in episode.transitions]


@given(rules(), recordings(), st.integers(1, 3))
def test_the_same_episodes_as_with_every_tick(
    a_rule: Rule, recorded: dict[str, Rows], hours: int
) -> None:
    until = BEGIN_S + hours * HOUR_S - 7 * (hours % 2)
    rows = {
        service: {
            start: seen for start, seen in mine.items()
            if start + SECONDS[a_rule.window_size] <= until
        }
        for service, mine in recorded[a_rule.window_size].items()
    }  # fmt: skip
    for service in ("api", "gone") if a_rule.service == "*" else (a_rule.service,):
        expected: list[list[tuple[str, str, float]]] = [[]]
        for told in every_tick(a_rule, service, rows, BEGIN_S, until):
            expected[-1].append((told[3], told[4], told[5]))
            if told[4] == "resolved":
                expected.append([])
        found = episodes_within(a_rule, service, {a_rule.window_size: rows}, BEGIN_S, until)
        assert [flat(each) for each in found] == expected[:-1]


@given(st.tuples(rules("b"), rules("a"), rules("c")), recordings())
def test_the_same_trial_as_with_every_tick(
    some: tuple[Rule, ...], recorded: dict[str, Rows]
) -> None:
    wanted = {each.window_size for each in some}
    recorded = {size: rows for size, rows in recorded.items() if size in wanted}
    starts = [start for rows in recorded.values() for mine in rows.values() for start in mine]
    found = [
        (told.key[0], told.key[1], told.transition.from_status, told.transition.to_status,
         told.transition.at_s, told.transition.reading and told.transition.reading.value, told.transition.comment)
        for told in trial(some, recorded)
    ]  # fmt: skip
    if not starts:
        assert found == []
        return
    last = max(starts) + max(SECONDS[size] for size in wanted) + 900 - 1
    slow = [
        (told[0], place, told)
        for place, each in enumerate(some)
        for service in ([*SERVICES] if each.service == "*" else [each.service])
        for told in every_tick(each, service, recorded[each.window_size], min(starts), last)
    ]
    assert found == [told[1:] for _, _, told in sorted(slow, key=lambda each: each[:2])]


# Minutes after the beginning, windows of one minute:
#   0    1    2    3    4    5    6
#   |good|bad |bad |bad |good|good|
# A window is seen when it is over, one minute after it began.
@pytest.mark.parametrize(
    ("why", "a_rule", "until_min", "expected"),
    [
        ("at once", rule(), 6, [(2, 2, 5)]),
        ("after its duration", rule(duration_seconds=120), 6, [(2, 4, 5)]),
        ("it never fires", rule(duration_seconds=300), 6, []),
        ("it keeps firing", rule(keep_firing_seconds=60), 6, [(2, 2, 6)]),
        ("it still fires at the end", rule(keep_firing_seconds=61), 6, []),
        ("the range ends with it", rule(), 5, [(2, 2, 5)]),
        ("the range ends before", rule(), 4, []),
    ],
)
def test_what_has_fired_and_is_over(
    why: str, a_rule: Rule, until_min: int, expected: list[tuple[int, int, int]]
) -> None:
    rows = rows_of("1min", dict(enumerate([1.0, 9.0, 9.0, 9.0, 1.0, 1.0][:until_min])))
    found = episodes_within(
        a_rule, "api", {"1min": rows}, BEGIN_S, BEGIN_S + 60 * until_min
    )  # fmt: skip
    moments = [
        tuple((at_s - BEGIN_S) / 60 for at_s in (e.pending_since_s, e.active_since_s, e.resolved_at_s))
        for e in found
    ]  # fmt: skip
    assert moments == expected, why


def test_nothing_is_missed_before_the_first_window_of_a_size_is_over() -> None:
    """The hour of a service that is there all the while is not over for an hour: that is no lack of data."""
    absent = rule(window_size="1hour", no_data_policy="alert", service="*")
    named = rule("named", window_size="1hour", no_data_policy="alert", service="api")
    minute = rule("minute")
    recorded = {
        "1min": rows_of("1min", dict.fromkeys(range(180), 1.0)),
        "1hour": rows_of("1hour", dict.fromkeys(range(3), 1.0)),
    }
    for each in (absent, named):
        assert episodes_within(each, "api", recorded, BEGIN_S, BEGIN_S + 3 * HOUR_S) == []
    told = list(trial([absent, named, minute], recorded))
    # After the last hour there are none any more: an hour later, and five minutes.
    assert {each.transition.at_s for each in told} <= {BEGIN_S + 4.0 * HOUR_S + 300}


def test_it_looks_only_when_something_can_change(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counting(a_rule: Rule, state: AlertState, seen: Observation, now_s: float) -> Any:
        nonlocal looks
        looks += 1
        return step(a_rule, state, seen, now_s)

    monkeypatch.setattr("analytics_service.domain.evaluation.step", counting)
    day = 24 * HOUR_S
    # A day in which it fires after half an hour, and is not over until the end; then a day without data.
    rows = rows_of("1min", dict.fromkeys(range(24 * 60), 9.0))
    long = rule(duration_seconds=1800, no_data_policy="keep")
    episodes_within(long, "api", {"1min": rows}, BEGIN_S, BEGIN_S + 2 * day)
    assert 2 * 24 * 60 - 1 <= looks <= 2 * 24 * 60 + 10
