"""Merging many stored rows at once gives what merging delta after delta gives."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.delta import Delta
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.sketches import DistinctCounter
from dashboard_api.merging import MERGED_COLUMNS, RowMerger

AT = datetime(2026, 3, 10, tzinfo=UTC)

latencies = st.none() | st.floats(0, 1e6) | st.sampled_from([0.0, 1.0, sys.float_info.max])
events = st.builds(
    Event,
    timestamp_us=st.just(0),
    service=st.just("a"),
    level=st.sampled_from(["info", "error"]),
    latency_ms=latencies,
    risk_score=st.none() | st.floats(0, 1),
    user_id=st.none() | st.integers(0, 3000).map(str),
    source_ip=st.none() | st.integers(0, 255).map("10.0.0.{}".format),
)


def stored(state: dict[str, Any]) -> list[Any]:
    """The values of MERGED_COLUMNS as the database hands them out."""
    values: list[Any] = []
    for name in MERGED_COLUMNS:
        value = state[name]
        if name.startswith("latency_bucket"):
            value = "{" + ",".join(map(str, value)) + "}"
        elif isinstance(value, bytes):
            value = memoryview(value)
        values.append(value)
    return values


def fold(batch: list[Event]) -> Delta:
    (delta,) = fold_events(batch, 0.8).values()
    return delta


def check_same(merged: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in ("users_sketch", "ips_sketch"):  # two forms of the same registers
        assert (merged.pop(name) is None) == (expected.pop(name) is None)
    for name in ("unique_users", "unique_ips"):
        assert merged.pop(name) == pytest.approx(expected.pop(name), rel=0.001)
    for name in ("latency_sum_ms", "latency_mean_ms", "risk_sum", "avg_risk_score"):
        sum_or_none = expected.pop(name)
        assert merged.pop(name) == (
            None if sum_or_none is None else pytest.approx(sum_or_none, rel=1e-9)
        )
    assert merged == expected


@given(st.lists(st.lists(events, min_size=1, max_size=8), min_size=1, max_size=6))
def test_rows_merge_as_deltas_do(batches: list[list[Event]]) -> None:
    merger, expected = RowMerger(), Delta()
    for batch in batches:
        state = fold(batch).to_state()
        merger.add(AT, stored(state))
        expected.merge_from(Delta.from_state(state))
    check_same(merger.result().to_state(), expected.to_state())


def test_more_rows_than_are_folded_at_once() -> None:
    merger, expected = RowMerger(), Delta()
    for number in range(200):
        batch = [
            Event(0, "a", "info", latency_ms=float(i * number), user_id=f"{number}-{i}")
            for i in range(50)
        ]
        state = fold(batch).to_state()
        merger.add(AT + timedelta(seconds=number % 7), stored(state))
        expected.merge_from(Delta.from_state(state))
    assert merger.result().users.estimate() == pytest.approx(10_000, rel=0.05)
    check_same(merger.result().to_state(), expected.to_state())
    assert merger.written_at == AT + timedelta(seconds=6)


def test_nothing_merged_is_nothing() -> None:
    merger = RowMerger()
    assert merger.result().to_state() == Delta().to_state()
    assert merger.written_at is None


def over(stored: bytes, counter: DistinctCounter) -> tuple[bytes, bytes | None]:
    """What a row with that sketch says once the counter was written over it."""
    whole, recent = counter.to_write()
    return whole or stored, recent


@pytest.mark.parametrize("more", [0, 1, 50, 400])
def test_those_that_a_stored_sketch_lacks_count_once(more: int) -> None:
    def of(first: int, end: int) -> Delta:
        numbers = range(first, end)
        return fold(
            [Event(0, "a", "info", user_id=f"{n}", source_ip=f"ip-{n // 2}") for n in numbers]
        )

    held = of(0, 1_000)
    row = held.to_state()
    held.was_written()
    held.merge_from(of(990, 1_000 + more))
    row["users_sketch"], row["users_recent"] = over(row["users_sketch"], held.users)
    row["ips_sketch"], row["ips_recent"] = over(row["ips_sketch"], held.ips)
    merger = RowMerger()
    merger.add(AT, stored(row))
    merger.add(AT, stored(of(0, 500).to_state()))
    assert merger.figures()["unique_users"] == pytest.approx(1_000 + more, rel=0.03)
    assert merger.figures()["unique_ips"] == pytest.approx((1_000 + more) / 2, rel=0.03)
    assert (row["users_recent"] is not None) == (more <= 50)
    assert (row["ips_recent"] is not None) == (more <= 50)
