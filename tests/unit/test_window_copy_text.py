"""Rows of windows as COPY text say what `Delta.to_state` does, which is held against brute force elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from analytics_service.adapters.timescale.copy_columns import fields
from analytics_service.adapters.timescale.window_copy_text import STATE_COLUMNS, window_lines
from analytics_service.domain.aggregation import Delta
from analytics_service.domain.events import Event
from analytics_service.domain.figures import Histograms, figure_columns
from analytics_service.domain.folding import fold_events
from analytics_service.domain.sketches import DistinctCounter
from tests.unit.copy_reading import read_rows
from tests.unit.test_aggregation import THRESHOLD, events_of_some_hours

ARRAYS = {"latency_buckets", "latency_bucket_counts"}
BYTES = {"users_sketch", "users_recent", "ips_sketch", "ips_recent"}
FLOATS = {
    "error_rate", "latency_min_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms",
    "latency_mean_ms", "avg_risk_score", "latency_sum_ms", "risk_sum",
}  # fmt: skip


def read(deltas: Sequence[Delta], over_own_rows: Sequence[bool] = ()) -> list[dict[str, Any]]:
    """The rows as the database would see them, by the names of their columns; none over its own unless it is said."""
    keys = [fields(pa.array(range(len(deltas))))]
    over = over_own_rows or [False] * len(deltas)
    text = bytes(window_lines(keys, deltas, over)).decode()
    found = read_rows(text)
    assert [row[0] for row in found] == [str(number) for number in range(len(deltas))]
    return [
        {name: value_of(name, text) for name, text in zip(STATE_COLUMNS, row[1:], strict=True)}
        for row in found
    ]


def value_of(name: str, text: str | None) -> object:
    if text is None:
        return None
    if name in ARRAYS:
        return [int(number) for number in text.strip("{}").split(",") if number]
    if name in BYTES:
        return bytes.fromhex(text.removeprefix("\\x"))
    return float(text) if name in FLOATS else int(text)


@given(events_of_some_hours)
def test_rows_say_what_their_states_do(events: list[Event]) -> None:
    deltas = [Delta(), *fold_events(events, THRESHOLD).values(), Delta()]
    assert read(deltas) == [delta.to_state() for delta in deltas]


def test_percentiles_of_many_values_at_the_edges_of_their_ranks() -> None:
    """1, 2, ..., n: the percentile is the ceil(percent / 100 * n)-th, in a bucket of its own while n is small."""
    deltas = []
    for count in (1, 2, 19, 20, 21, 99, 100, 101, 200):
        events = [Event(0, "a", "info", latency_ms=float(n)) for n in range(1, count + 1)]
        (delta,) = fold_events(events, THRESHOLD).values()
        deltas.append(delta)
    columns = figure_columns(deltas, Histograms(deltas))
    for percent in (50, 95, 99):
        exact = [-(-percent * delta.total // 100) for delta in deltas]
        assert columns[f"latency_p{percent}_ms"] == pytest.approx(exact, rel=0.01)
        assert columns[f"latency_p{percent}_ms"].tolist() == [
            delta.to_state()[f"latency_p{percent}_ms"] for delta in deltas
        ]


def test_what_no_event_carries_is_no_number() -> None:
    columns = figure_columns([Delta(total=3)], Histograms([Delta()]))
    missing = {name for name, values in columns.items() if np.isnan(values).any()}
    assert missing == {
        "latency_min_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms", "latency_mean_ms",
        "avg_risk_score",
    }  # fmt: skip


def test_a_sketch_that_the_row_keeps_is_not_in_its_line() -> None:
    numbers = range(1_000)
    held, small, fresh = (
        Delta(total=1, users=DistinctCounter(f"{name}{n}" for n in numbers[:size]))
        for name, size in (("a", 1_000), ("b", 10), ("c", 1_000))
    )
    for delta in (held, small):
        delta.to_state()
        delta.was_written()
        delta.merge_from(Delta(total=1, users=DistinctCounter(["one more"])))
    rows = read([held, small, fresh, held], [True, True, True, False])
    assert [row["users_sketch"] is None for row in rows] == [True, False, False, False]
    assert [row["users_recent"] is None for row in rows] == [False, True, True, True]
    assert DistinctCounter.deserialize(rows[0]["users_recent"]).estimate() == 1
    assert DistinctCounter.deserialize(rows[1]["users_sketch"]).estimate() == 11
    assert rows[0]["unique_users"] == pytest.approx(1_001, rel=0.03)
    assert rows[3] == held.to_state()
