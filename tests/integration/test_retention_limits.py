"""Late events below a tier's `archived_before`: not written to that tier, and counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.whole_way import WholeWay

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize("windows", ["1min,5min,1hour", "1min,1hour"])
def test_nothing_is_written_below_a_tiers_limit(way: WholeWay, windows: str) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # hot from yesterday on, warm from three days ago, cold from five days ago
    limits = {"hot": 1, "warm": 3, "cold": 5}
    for tier, days in limits.items():
        way.database.execute(
            "UPDATE retention_tiers SET archived_before = %s WHERE tier = %s",
            today - timedelta(days=days),
            tier,
        )
    times = [
        today - timedelta(days=days) - before
        for days in limits.values()
        for before in (timedelta(0), MICROSECOND)
    ]
    way.send_values(
        json.dumps({"timestamp": at.isoformat(), "service": "s", "level": "info"}).encode()
        for at in times
    )
    worker = way.start(AGGREGATION_WINDOWS=windows)
    way.wait_settled()

    def stored(table: str) -> set[datetime]:
        return {row[0] for row in way.database.rows(f"SELECT timestamp FROM {table}")}  # noqa: S608  # fixed names

    def floor(at: datetime, seconds: int) -> datetime:
        return at - timedelta(seconds=at.timestamp() % seconds)

    assert stored("analytics_events") == {times[0]}
    assert stored("analytics_metrics_1min") == {floor(at, 60) for at in times[:3]}
    fives = {floor(at, 300) for at in times[:5]} if "5min" in windows else set()
    assert stored("analytics_metrics_5min") == fives
    assert stored("analytics_metrics_1hour") == {floor(at, 3600) for at in times[:5]}
    for tier, count in {"hot": 5, "warm": 3, "cold": 1}.items():
        worker.expect(count, "stacklens_events_below_tier_total", tier=tier)
    worker.expect(len(times), "stacklens_events_stored_total")
    assert way.database.rows("SELECT count(*) FROM analytics_dead_letters") == [(0,)]
