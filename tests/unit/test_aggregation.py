"""Folding and rolling up against brute force, and the laws of merging."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import WINDOWS, Window, window_named
from tests.unit.domain_strategies import NOW_US

THRESHOLD = 0.8
MINUTE_US = 60_000_000
COLUMNS = {
    *("total_requests", "successful_requests", "failed_requests", "error_rate"),
    *("latency_min_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms"),
    *("latency_mean_ms", "unique_users", "unique_ips", "avg_risk_score", "high_risk_count"),
    *("latency_count", "latency_sum_ms", "latency_buckets", "latency_bucket_counts"),
    *("risk_count", "risk_sum", "users_sketch", "users_recent", "ips_sketch", "ips_recent"),
}
SKETCHES = ("users_sketch", "ips_sketch")
SUMS = ("latency_sum_ms", "latency_mean_ms", "risk_sum", "avg_risk_score")

events_of_some_hours = st.lists(
    st.builds(
        Event,
        timestamp_us=st.integers(NOW_US - 3 * 3600 * 10**6, NOW_US).map(
            lambda us: us - us % 20_000_000  # so that minutes are shared and their edges hit
        ),
        service=st.sampled_from(["a", "b", "\u00e9"]),
        level=st.sampled_from(["debug", "info", "warning", "error", "critical"]),
        latency_ms=st.one_of(
            st.none(), st.floats(0, 1e6), st.sampled_from([0.0, 5e-324, 1e-300, 1e300, 1.7e308])
        ),
        risk_score=st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 0.8, 1.0])),
        user_id=st.one_of(st.none(), st.sampled_from(["", "u1", "u2", "u3"])),
        source_ip=st.one_of(st.none(), st.sampled_from(["10.0.0.1", "10.0.0.2", "::1"])),
    ),
    max_size=60,
)


def brute_force(events: Iterable[Event], window: Window) -> dict[Cell, dict[str, Any]]:
    """The figures of every window, the plain way."""
    grouped: defaultdict[Cell, list[Event]] = defaultdict(list)
    for event in events:
        seconds = event.timestamp_us // 1_000_000
        grouped[event.service, seconds // window.seconds * window.seconds].append(event)
    return {cell: figures_of(members) for cell, members in grouped.items()}


def figures_of(events: list[Event]) -> dict[str, Any]:
    latencies = sorted(e.latency_ms for e in events if e.latency_ms is not None)
    risks = [e.risk_score for e in events if e.risk_score is not None]
    failed = sum(e.level in ("error", "critical") for e in events)

    def rank(percent: int) -> float | None:
        return latencies[(percent * len(latencies) + 99) // 100 - 1] if latencies else None

    # halves first: a sum of the largest floats overflows
    mean = sum(v / len(latencies) for v in latencies) if latencies else None
    return {
        "total_requests": len(events),
        "successful_requests": len(events) - failed,
        "failed_requests": failed,
        "error_rate": failed / len(events) * 100,
        "latency_min_ms": latencies[0] if latencies else None,
        "latency_p50_ms": rank(50),
        "latency_p95_ms": rank(95),
        "latency_p99_ms": rank(99),
        "latency_max_ms": latencies[-1] if latencies else None,
        "latency_mean_ms": mean,
        "unique_users": len({e.user_id for e in events} - {None}),
        "unique_ips": len({e.source_ip for e in events} - {None}),
        "avg_risk_score": math.fsum(risks) / len(risks) if risks else None,
        "high_risk_count": sum(risk > THRESHOLD for risk in risks),
        "latency_count": len(latencies),
        "risk_count": len(risks),
        "risk_sum": math.fsum(risks),
    }


def assert_figures(state: dict[str, Any], expected: dict[str, Any]) -> None:
    saturated = state["latency_sum_ms"] == 1.7976931348623157e308
    for name, value in expected.items():
        found = state[name]
        if value is None:
            assert found is None, name
        elif name in ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms"):
            assert math.isclose(found, value, rel_tol=0.01, abs_tol=5e-324), (name, found, value)
        elif name == "latency_mean_ms" and saturated:
            # a sum beyond the largest float: too low, but a number between the extremes
            assert state["latency_min_ms"] <= found <= value * (1 + 1e-9)
        elif isinstance(value, float) and name not in ("latency_min_ms", "latency_max_ms"):
            assert math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-300), (name, found, value)
        else:
            assert found == value, name


def assert_same_deltas(one: dict[Cell, Delta], two: dict[Cell, Delta]) -> None:
    """Equal in everything but the last digits of sums and of estimates."""
    assert one.keys() == two.keys()
    for cell, delta in one.items():
        left, right = delta.to_state(), two[cell].to_state()
        for name in COLUMNS - set(SKETCHES) - set(SUMS):
            assert left[name] == right[name], name
        for name in SUMS:
            if left[name] is None:
                assert right[name] is None
            else:
                assert math.isclose(left[name], right[name], rel_tol=1e-9, abs_tol=1e-300), name


def merged(parts: Iterable[dict[Cell, Delta]]) -> dict[Cell, Delta]:
    total: dict[Cell, Delta] = {}
    for part in parts:
        for cell, delta in part.items():
            total.setdefault(cell, Delta()).merge_from(delta)
    return total


@settings(max_examples=200)
@given(events_of_some_hours)
def test_every_window_has_the_figures_of_its_events(events: list[Event]) -> None:
    cells = fold_events(events, THRESHOLD)
    for window in WINDOWS:
        rolled = roll_up(cells, window)
        expected = brute_force(events, window)
        assert rolled.keys() == expected.keys()
        for cell, delta in rolled.items():
            assert_figures(delta.to_state(), expected[cell])


@settings(max_examples=100)
@given(
    events_of_some_hours, st.randoms(use_true_random=False), st.integers(0, 60), st.integers(0, 60)
)
def test_merging_is_associative_and_commutative_and_equals_one_pass(
    events: list[Event], random: Any, cut: int, other_cut: int
) -> None:
    first, second = sorted((cut, other_cut))
    shuffled = list(events)
    random.shuffle(shuffled)

    def parts() -> list[dict[Cell, Delta]]:
        pieces = (shuffled[:first], shuffled[first:second], shuffled[second:])
        return [fold_events(piece, THRESHOLD) for piece in pieces]

    one, two, three = parts()
    left = merged([merged([one, two]), three])
    one, two, three = parts()
    right = merged([one, merged([two, three])])
    one, two, three = parts()
    backwards = merged([three, two, one])
    whole = fold_events(events, THRESHOLD)
    for other in (left, right, backwards):
        assert_same_deltas(whole, other)


@settings(max_examples=100)
@given(events_of_some_hours)
def test_rolling_up_twice_is_rolling_up_once(events: list[Event]) -> None:
    cells = fold_events(events, THRESHOLD)
    one_min, five_min, one_hour = (window_named(name) for name in ("1min", "5min", "1hour"))
    assert_same_deltas(roll_up(cells, one_hour), roll_up(roll_up(cells, five_min), one_hour))
    assert_same_deltas(cells, roll_up(cells, one_min))


@settings(max_examples=100)
@given(events_of_some_hours, events_of_some_hours)
def test_state_survives_storage_and_merges_there(stored: list[Event], more: list[Event]) -> None:
    kept = {
        cell: Delta.from_state(delta.to_state())
        for cell, delta in fold_events(stored, THRESHOLD).items()
    }
    assert_same_deltas(fold_events(stored, THRESHOLD), kept)
    total = merged([kept, fold_events(more, THRESHOLD)])
    assert_same_deltas(fold_events([*stored, *more], THRESHOLD), total)


@settings(max_examples=50)
@given(events_of_some_hours)
def test_rolling_up_leaves_the_cells_as_they_are(events: list[Event]) -> None:
    cells = fold_events(events, THRESHOLD)
    for window in reversed(WINDOWS):
        roll_up(cells, window)
    assert_same_deltas(cells, fold_events(events, THRESHOLD))


def test_merging_into_a_copy_leaves_the_original() -> None:
    cell = ("a", 0)
    delta = fold_events([an_event(user_id="u", latency_ms=1.0, risk_score=0.9)], THRESHOLD)[cell]
    twin = delta.copy()
    twin.merge_from(fold_events([an_event(user_id="v", latency_ms=2.0)], THRESHOLD)[cell])
    assert (
        delta.total,
        delta.latency_max,
        len(delta.latencies.numbers),
        delta.users.estimate(),
    ) == (
        1,
        1.0,
        1,
        1,
    )
    assert (twin.total, twin.latency_max, len(twin.latencies.numbers), twin.users.estimate()) == (
        2,
        2.0,
        2,
        2,
    )


def an_event(timestamp_us: int = 0, **fields: Any) -> Event:
    return Event(**{"timestamp_us": timestamp_us, "service": "a", "level": "info", **fields})


@pytest.mark.parametrize(
    ("offset_us", "start"),
    [
        # an event at the end belongs to the next window
        (-1, -60),
        (0, 0),
        (MINUTE_US - 1, 0),
        (MINUTE_US, 60),
        (10 * MINUTE_US + 1, 600),
    ],
)
def test_cells_are_half_open_minutes(offset_us: int, start: int) -> None:
    assert list(fold_events([an_event(offset_us)], THRESHOLD)) == [("a", start)]


def test_events_far_apart_in_time_are_no_trouble() -> None:
    years = [-62_135_596_800_000_000, 0, 253_402_300_799_000_000]
    cells = fold_events([an_event(us, service=s) for us in years for s in "ab"], THRESHOLD)
    assert sorted(cells) == sorted((s, us // MINUTE_US * 60) for us in years for s in "ab")


def test_no_events_are_no_cells() -> None:
    assert fold_events([], THRESHOLD) == {}
    assert roll_up({}, WINDOWS[1]) == {}


def test_the_state_has_every_column_and_plain_types() -> None:
    events = [an_event(latency_ms=5.0, risk_score=0.9, user_id="u", source_ip="::1"), an_event()]
    (delta,) = fold_events(events, THRESHOLD).values()
    state = delta.to_state()
    assert state.keys() == COLUMNS
    flat = [*state.values(), *state["latency_buckets"], *state["latency_bucket_counts"]]
    assert [name for name, value in state.items() if value is None] == [
        "users_recent",
        "ips_recent",
    ]
    assert {type(value) for value in flat} == {int, float, list, bytes, type(None)}
    assert state["latency_buckets"] == sorted(state["latency_buckets"])


def test_figures_that_no_event_carries_are_null_and_not_zero() -> None:
    (delta,) = fold_events([an_event()], THRESHOLD).values()
    state = delta.to_state()
    nulls = {name for name, value in state.items() if value is None}
    assert nulls == {
        *("latency_min_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms"),
        *("latency_mean_ms", "avg_risk_score", "users_sketch", "ips_sketch"),
        *("users_recent", "ips_recent"),
    }
    assert state["latency_buckets"] == state["latency_bucket_counts"] == []
    assert state["latency_sum_ms"] == state["risk_sum"] == 0.0


def test_a_row_without_histogram_is_read_back() -> None:
    (delta,) = fold_events([an_event()], THRESHOLD).values()
    row = {**delta.to_state(), "latency_buckets": None, "latency_bucket_counts": None}
    assert Delta.from_state(row).to_state() == delta.to_state()


def test_sums_beyond_the_largest_float_stay_finite() -> None:
    events = [an_event(latency_ms=1.7e308) for _ in range(5)]
    (folded,) = fold_events(events, THRESHOLD).values()
    together = Delta()
    for _ in range(3):
        together.merge_from(folded)
    for delta in (folded, together):
        state = delta.to_state()
        assert state["latency_sum_ms"] == 1.7976931348623157e308
        assert state["latency_mean_ms"] == state["latency_p99_ms"] == 1.7e308


def test_risk_is_high_above_the_threshold_only() -> None:
    events = [an_event(risk_score=risk) for risk in (0.5, 0.8, math.nextafter(0.8, 1), 1.0)]
    (delta,) = fold_events(events, 0.8).values()
    assert delta.high_risk == 2
    (delta,) = fold_events(events, 0.4).values()
    assert delta.high_risk == 4
