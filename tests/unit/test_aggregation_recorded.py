"""Every window of recorded requests against figures computed elsewhere."""

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.decoding import decode_batch
from analytics_service.domain.events import EventRules
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import window_named

DATA = Path(__file__).parents[3] / "shared" / "data"
EVENTS = DATA / "nezha_tt_requests.ndjson.gz"
TRUTH = DATA / "nezha_tt_requests.truth.json.gz"

pytestmark = pytest.mark.skipif(
    not (EVENTS.exists() and TRUTH.exists()), reason=f"needs the recordings in {DATA}"
)


@pytest.fixture(scope="module")
def cells() -> dict[Cell, Delta]:
    """The 1-minute cells of the whole recording, folded in batches as they would arrive."""
    values = gzip.decompress(EVENTS.read_bytes()).splitlines()
    rules = EventRules(UTC, 0, 10**18)
    total: dict[Cell, Delta] = {}
    for start in range(0, len(values), 10_000):
        batch = decode_batch(values[start : start + 10_000], rules, 1_795_435_200_000_000)
        assert not batch.rejected
        for cell, delta in fold_events(batch.events, 0.8).items():
            total.setdefault(cell, Delta()).merge_from(delta)
    return total


@pytest.fixture(scope="module")
def truth() -> Mapping[str, list[dict[str, Any]]]:
    windows: dict[str, list[dict[str, Any]]] = json.loads(gzip.decompress(TRUTH.read_bytes()))[
        "windows"
    ]
    return windows


@pytest.mark.parametrize(("name", "known_as"), [("1min", "1m"), ("5min", "5m"), ("1hour", "1h")])
def test_every_window_is_right(
    name: str,
    known_as: str,
    cells: dict[Cell, Delta],
    truth: Mapping[str, list[dict[str, Any]]],
) -> None:
    rolled = roll_up(cells, window_named(name))
    expected = {
        (row["service"], int(datetime.fromisoformat(row["start"]).timestamp())): row
        for row in truth[known_as]
    }
    assert rolled.keys() == expected.keys()
    for cell, row in expected.items():
        state = rolled[cell].to_state()
        latency = row["latency_ms"]
        exact = ("total_requests", "failed_requests", "latency_count", "unique_users", "unique_ips")
        assert [state[column] for column in exact] == [
            row[field]
            for field in ("total", "errors", "latency_count", "distinct_users", "distinct_ips")
        ]
        assert (state["latency_min_ms"], state["latency_max_ms"]) == (
            latency["min"],
            latency["max"],
        )
        assert state["latency_mean_ms"] == pytest.approx(latency["mean"], rel=1e-9)
        assert state["avg_risk_score"] == row["avg_risk"]
        for percent in ("p50", "p95", "p99"):
            assert state[f"latency_{percent}_ms"] == pytest.approx(latency[percent], rel=0.01)
