"""`TimeSeriesAggregator`: the library's way in, with the figures and rules of the service."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics_service import TimeSeriesAggregator

PACKAGES = Path(__file__).parents[2] / "python-services"
NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


class Ticking:
    """A clock that moves on by a minute with each look."""

    def __init__(self) -> None:
        self.now = NOON - timedelta(minutes=1)

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def test_calls_without_a_timestamp_are_one_window() -> None:
    aggregator = TimeSeriesAggregator(Ticking())
    for _ in range(1000):
        aggregator.add_log("test", None, "info", 50.0, 0.1)
    (row,) = aggregator.aggregate("1min")
    assert row == {
        "timestamp": NOON.replace(second=0),
        "service": "test",
        "total_requests": 1000,
        "successful_requests": 1000,
        "failed_requests": 0,
        "error_rate": 0.0,
        "latency_min_ms": 50.0,
        "latency_p50_ms": 50.0,
        "latency_p95_ms": 50.0,
        "latency_p99_ms": 50.0,
        "latency_max_ms": 50.0,
        "latency_mean_ms": 50.0,
        "unique_users": 0,
        "unique_ips": 0,
        "avg_risk_score": pytest.approx(0.1),
        "high_risk_count": 0,
        "aggregated_at": NOON + timedelta(minutes=1),
    }


def test_figures_of_mixed_entries() -> None:
    aggregator = TimeSeriesAggregator(Ticking())
    aggregator.add_log("a", "u1", "info", 10.0, 0.5)
    aggregator.add_log("a", 7, "ERROR", 30.0, 0.9)
    aggregator.add_log("a", "7", "fatal", None, None)
    aggregator.add_log("a", None, "warn", 20, 1)
    (row,) = aggregator.aggregate("1hour")
    assert row["total_requests"] == 4
    assert row["failed_requests"] == 2
    assert row["error_rate"] == 50.0
    assert row["latency_mean_ms"] == pytest.approx(20.0)
    assert row["latency_p50_ms"] == pytest.approx(20.0, rel=0.01)
    assert row["latency_max_ms"] == 30.0
    assert row["unique_users"] == 2
    assert row["avg_risk_score"] == pytest.approx(0.8)
    assert row["high_risk_count"] == 2


def test_rows_come_by_time_and_service_and_a_second_look_sees_more() -> None:
    aggregator = TimeSeriesAggregator(Ticking())
    for minute, service in ((7, "b"), (2, "b"), (7, "a"), (2, "a")):
        aggregator.add_log(
            service, None, "info", 1.0, None, timestamp=NOON + timedelta(minutes=minute)
        )

    def keys(window: str) -> list[tuple[str, str]]:
        rows = aggregator.aggregate(window)
        return [(row["timestamp"].strftime("%H:%M"), row["service"]) for row in rows]

    assert keys("1min") == [("12:02", "a"), ("12:02", "b"), ("12:07", "a"), ("12:07", "b")]
    assert keys("5min") == [("12:00", "a"), ("12:00", "b"), ("12:05", "a"), ("12:05", "b")]
    assert keys("1hour") == [("12:00", "a"), ("12:00", "b")]
    aggregator.add_log("a", None, "info", 1.0, None, timestamp=NOON)
    assert [row["total_requests"] for row in aggregator.aggregate("1hour")] == [3, 2]
    # rolling up has changed nothing
    assert [row["total_requests"] for row in aggregator.aggregate("1min")] == [1] * 5


def test_more_entries_than_are_folded_at_once() -> None:
    aggregator = TimeSeriesAggregator(Ticking())
    for i in range(25_000):
        aggregator.add_log("a", f"u{i % 300}", "info", float(i % 100), None)
    (row,) = aggregator.aggregate("1min")
    assert (row["total_requests"], row["unique_users"]) == (25_000, 300)
    assert (row["latency_min_ms"], row["latency_max_ms"]) == (0.0, 99.0)


@pytest.mark.parametrize(
    "timestamp",
    [
        NOON,
        NOON.astimezone(timezone(timedelta(hours=5))),
        NOON.astimezone(ZoneInfo("America/New_York")),
        NOON.replace(tzinfo=None),
        NOON.isoformat(),
        "2026-11-23T12:00:30",
        NOON.timestamp(),
        int(NOON.timestamp()),
        NOON.timestamp() * 1000,
        np.float64(NOON.timestamp()),
        np.int64(NOON.timestamp()),
    ],
)
def test_a_timestamp_may_be_given_as(timestamp: Any) -> None:
    aggregator = TimeSeriesAggregator(Ticking())
    aggregator.add_log("a", None, "info", None, None, timestamp=timestamp)
    assert [row["timestamp"] for row in aggregator.aggregate("1min")] == [NOON.replace(second=0)]


def test_any_age_is_accepted() -> None:
    aggregator = TimeSeriesAggregator(Ticking())
    for year in (1, 1969, 2000, 9999):
        moment = datetime(year, 6, 1, tzinfo=UTC)
        aggregator.add_log("a", None, "info", None, None, timestamp=moment)
    assert [row["timestamp"].year for row in aggregator.aggregate("1hour")] == [1, 1969, 2000, 9999]


def test_the_settings_of_zone_and_risk() -> None:
    aggregator = TimeSeriesAggregator(
        Ticking(), high_risk_threshold=0.2, default_tz=ZoneInfo("Europe/Berlin")
    )
    local = datetime.fromisoformat("2026-11-23T13:00:30")
    aggregator.add_log("a", None, "info", None, 0.3, timestamp=local)
    (row,) = aggregator.aggregate("1min")
    assert row["timestamp"] == NOON.replace(second=0)
    assert row["high_risk_count"] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"service": ""}, "service"),
        ({"service": None}, "service"),
        ({"service": "x" * 256}, "service"),
        ({"service": b"bytes"}, "service"),
        ({"service": "\0"}, "service"),
        ({"user_id": True}, "user_id"),
        ({"user_id": object()}, "user_id"),
        ({"level": "loud"}, "level"),
        ({"level": None}, "level"),
        ({"level": 3}, "level"),
        ({"latency_ms": -1.0}, "latency_ms"),
        ({"latency_ms": float("nan")}, "latency_ms"),
        ({"latency_ms": float("inf")}, "latency_ms"),
        ({"latency_ms": "5"}, "latency_ms"),
        ({"latency_ms": True}, "latency_ms"),
        ({"latency_ms": np.bool_(True)}, "latency_ms"),
        ({"latency_ms": 1j}, "latency_ms"),
        ({"risk_score": 1.01}, "risk_score"),
        ({"risk_score": np.float64("nan")}, "risk_score"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"timestamp": float("inf")}, "timestamp"),
        ({"timestamp": 1e300}, "timestamp"),
    ],
)
def test_a_bad_argument_is_named_and_counts_nothing(changes: dict[str, Any], field: str) -> None:
    aggregator = TimeSeriesAggregator(Ticking())
    arguments = {"service": "a", "user_id": "u", "level": "info", "latency_ms": 1, "risk_score": 0}
    arguments |= changes
    timestamp = arguments.pop("timestamp", None)
    with pytest.raises(ValueError, match=field):
        aggregator.add_log(*arguments.values(), timestamp=timestamp)  # type: ignore[arg-type]
    assert aggregator.aggregate("1min") == []


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(ValueError, match="1min, 5min, 1hour"):
        TimeSeriesAggregator().aggregate("1m")


def test_by_default_the_clock_is_the_systems() -> None:
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    aggregator = TimeSeriesAggregator()
    aggregator.add_log("a", None, "info", None, None)
    (row,) = aggregator.aggregate("1min")
    assert before <= row["timestamp"] <= row["aggregated_at"] <= datetime.now(UTC)


def test_importing_it_needs_nothing_of_the_service() -> None:
    # In a process of its own: no environment, and none of the heavy libraries come along.
    program = """
import sys
from analytics_service import TimeSeriesAggregator
agg = TimeSeriesAggregator()
for i in range(1000):
    agg.add_log('test', None, 'info', 50.0, 0.1)
metrics = agg.aggregate('1min')
heavy = {'faust', 'psycopg2', 'flask', 'kafka', 'aiokafka'} & set(sys.modules)
print(f'Aggregated {len(metrics)} metrics', sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Aggregated 1 metrics []\n"


def test_the_package_itself_imports_nothing_until_asked() -> None:
    program = "import sys, analytics_service; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
    import analytics_service

    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        analytics_service.nothing_of_the_kind  # noqa: B018  # looking it up is the point
