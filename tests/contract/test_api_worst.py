"""Trend, the worst services, high-risk events: against the events that are behind them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from analytics_service.domain.events import Event
from devstack.api import Stack
from tests.api_support import (
    NOW_S,
    Asking,
    api_app,
    api_settings,
    event,
    fresh_database,
    store_events,
    store_raw,
    truth,
)
from tests.databases import Database

HOUR = 3600
DAY = 86_400
HOUR_S = NOW_S // HOUR * HOUR
SERVICES = [f"s{number:02}" for number in range(12)]


def events_of_three_days() -> list[Event]:
    """Twelve services; each with its own failures and latencies, and one with a single terrible hour."""
    dice = random.Random(5)
    found = []
    for number, service in enumerate(SERVICES):
        for _ in range(300 + 40 * number):
            at_s = NOW_S - dice.random() * 3 * DAY
            found.append(
                event(
                    at_s,
                    service,
                    "error" if dice.random() < number / 40 else "info",
                    latency_ms=dice.lognormvariate(2 + (number * 5 % 12) / 4, 0.8),
                    risk_score=dice.choice([None, dice.random()]),
                )
            )
    # Its highest windows are the highest of all, its p99 over the day is not.
    found += [event(NOW_S - 7200, "s00", latency_ms=90_000.0)]
    found += [event(NOW_S - 5 * HOUR - n, "s00", latency_ms=1.0) for n in range(500)]
    found += [event(NOW_S - 600, "quiet")]
    return found


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return events_of_three_days()


@pytest.fixture(scope="module")
def filled(stack: Stack, migrated_template: str, events: list[Event]) -> Iterator[Database]:
    with fresh_database(stack, migrated_template) as database:
        store_events(database, events)
        store_raw(
            database, [one for one in events if one.timestamp_us >= (NOW_S - DAY) * 1_000_000]
        )
        yield database


@pytest.fixture(scope="module")
def api(filled: Database) -> Iterator[Asking]:
    with api_app(api_settings(filled.env)) as app:
        yield Asking(app.test_client())


def iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


RANGES = [
    ({}, HOUR_S - 24 * HOUR, HOUR_S + HOUR),  # rounded outwards to hours
    ({"from_": "-2d", "to": "-1d"}, HOUR_S - 48 * HOUR, HOUR_S - 23 * HOUR),
    ({"from_": "-90m"}, NOW_S // 60 * 60 - 90 * 60, NOW_S // 60 * 60 + 60),  # to minutes
]


@pytest.mark.parametrize(("query", "first_s", "end_s"), RANGES)
def test_top_error_services(
    api: Asking, events: list[Event], query: dict[str, Any], first_s: int, end_s: int
) -> None:
    expected = [
        (service, figures.total, figures.failed)
        for service, figures in truth(events, first_s, end_s).items()
        if figures.failed
    ]
    expected.sort(key=lambda row: (-row[2], -row[2] / row[1], row[0]))
    body = api.get("/top-error-services", limit=5, **query)
    assert (epoch(body["from"]), epoch(body["to"])) == (first_s, end_s)
    found = [
        (row["service"], row["total_requests"], row["failed_requests"]) for row in body["services"]
    ]
    assert found == expected[:5]
    assert body["count"] == len(found)
    for row in body["services"]:
        assert row["error_rate"] == pytest.approx(
            100 * row["failed_requests"] / row["total_requests"]
        )
    above = api.get("/top-error-services", limit=500, threshold=15, **query)["services"]
    assert [row["service"] for row in above] == [
        service for service, total, failed in expected if 100 * failed / total > 15
    ]


@pytest.mark.parametrize("limit", [1, 3, 12, 500])
@pytest.mark.parametrize(("query", "first_s", "end_s"), RANGES)
def test_slowest_services(
    api: Asking, events: list[Event], query: dict[str, Any], first_s: int, end_s: int, limit: int
) -> None:
    figures = truth(events, first_s, end_s)
    body = api.get("/slowest-services", limit=limit, **query)
    found = body["services"]
    slow = [name for name, known in figures.items() if known.latency_p99 is not None]
    assert "quiet" not in slow
    assert len(found) == body["count"] == min(limit, len(slow))
    for row in found:
        known = figures[row["service"]]
        assert row["latency_p99_ms"] == pytest.approx(known.latency_p99, rel=0.01)
        assert row["latency_p50_ms"] == pytest.approx(known.latency_p50, rel=0.01)
        assert (row["latency_max_ms"], row["total_requests"]) == (known.latency_max, known.total)
    p99s = [row["latency_p99_ms"] for row in found]
    assert p99s == sorted(p99s, reverse=True)
    # Nobody who was left out is slower than the last one listed, as far as 1 % can tell.
    listed = {row["service"] for row in found}
    left_out = [figures[name].latency_p99 or 0 for name in slow if name not in listed]
    assert max(left_out, default=0) <= p99s[-1] * 1.02


def test_the_threshold_of_the_slowest(api: Asking, events: list[Event]) -> None:
    figures = truth(events, *RANGES[0][1:])
    p99s = sorted(known.latency_p99 for known in figures.values() if known.latency_p99 is not None)
    limit_ms = (p99s[5] + p99s[6]) / 2
    found = api.get("/slowest-services", limit=500, threshold=f"{limit_ms:.6f}")["services"]
    assert {row["service"] for row in found} == {
        name for name, known in figures.items() if (known.latency_p99 or 0) > limit_ms
    }


def test_only_the_services_that_are_asked_for(api: Asking) -> None:
    for path in ("/top-error-services", "/slowest-services"):
        found = api.get(path, service="s03,s05,nobody", limit=500)["services"]
        assert {row["service"] for row in found} == {"s03", "s05"}


def test_performance_trend(api: Asking, events: list[Event]) -> None:
    rows: list[dict[str, Any]] = []
    query: dict[str, Any] = {"days": 2, "service": ["s04", "s09"], "limit": 30}
    while True:
        page = api.get("/performance-trend", **query)
        assert (page["days"], page["window"]) == (2, "1hour")
        assert page["count"] == len(page["trend"]) <= 30
        rows += page["trend"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    expected = [
        (iso(start), service, figures[service])
        for start in range(HOUR_S, HOUR_S - 49 * HOUR, -HOUR)
        for figures in [truth(events, start, start + HOUR)]
        for service in ("s04", "s09")
        if service in figures
    ]
    assert [(row["timestamp"], row["service"]) for row in rows] == [row[:2] for row in expected]
    for row, (start, _, figures_of_hour) in zip(rows, expected, strict=True):
        assert row["total_requests"] == figures_of_hour.total
        assert row["failed_requests"] == figures_of_hour.failed
        assert row["latency_p95_ms"] == pytest.approx(figures_of_hour.latency_p95, rel=0.01)
        assert row["latency_mean_ms"] == pytest.approx(figures_of_hour.latency_mean)
        over_s = min(NOW_S + 0.789 - epoch(start), HOUR)
        assert row["requests_per_second"] == pytest.approx(figures_of_hour.total / over_s)


def high_risk(events: list[Event], since_s: float, until_s: float, threshold: float) -> list[Event]:
    """The newest first."""
    found = [
        one
        for one in events
        if since_s * 1_000_000 <= one.timestamp_us < until_s * 1_000_000
        and (one.risk_score or 0) > threshold
    ]
    return sorted(found, key=lambda one: -one.timestamp_us)


@pytest.mark.parametrize(
    ("query", "since_s", "until_s", "threshold"),
    [
        ({}, NOW_S + 0.789 - DAY, NOW_S + 0.789, 0.8),
        ({"threshold": 0.95}, NOW_S + 0.789 - DAY, NOW_S + 0.789, 0.95),
        (
            {"threshold": 0.3},
            NOW_S + 0.789 - DAY,
            NOW_S + 0.789,
            0.3,
        ),  # windows do not tell of these
        ({"hours": 3}, NOW_S + 0.789 - 3 * HOUR, NOW_S + 0.789, 0.8),
        ({"from_": iso(HOUR_S - 7300), "to": iso(HOUR_S - 77)}, HOUR_S - 7300, HOUR_S - 77, 0.8),
        ({"hours": 2, "to": "-2h"}, NOW_S + 0.789 - 4 * HOUR, NOW_S + 0.789 - 2 * HOUR, 0.8),
    ],
)
def test_high_risk_events(
    api: Asking,
    events: list[Event],
    query: dict[str, Any],
    since_s: float,
    until_s: float,
    threshold: float,
) -> None:
    expected = high_risk(events, since_s, until_s, threshold)
    body = api.get("/high-risk-events", limit=1000, **query)
    assert body["threshold"] == threshold
    assert body["count"] == len(body["events"]) == min(len(expected), 1000)
    assert [(row["service"], row["risk_score"]) for row in body["events"]] == [
        (one.service, one.risk_score) for one in expected[:1000]
    ]
    few = api.get("/high-risk-events", limit=3, service="s05", **query)["events"]
    assert [row["risk_score"] for row in few] == [
        one.risk_score for one in expected if one.service == "s05"
    ][:3]


def test_high_risk_obeys_the_setting(database: Database, events: list[Event]) -> None:
    store_events(database, events)
    store_raw(database, [one for one in events if one.timestamp_us >= (NOW_S - DAY) * 1_000_000])
    # Set after everything was counted by another threshold: the windows' counts tell nothing.
    database.execute(
        "INSERT INTO system_config (key, value, updated_at) VALUES ('high_risk_threshold', '0.6', %s)",
        datetime.fromtimestamp(NOW_S, UTC),
    )
    with api_app(api_settings(database.env)) as app:
        body = Asking(app.test_client()).get("/high-risk-events", limit=1000)
    expected = high_risk(events, NOW_S + 0.789 - DAY, NOW_S + 0.789, 0.6)
    assert body["threshold"] == 0.6
    assert [row["risk_score"] for row in body["events"]] == [
        one.risk_score for one in expected[:1000]
    ]


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("/top-error-services", {"threshold": "101"}, "threshold"),
        ("/top-error-services", {"threshold": "nan"}, "threshold"),
        ("/slowest-services", {"limit": "0"}, "limit"),
        ("/high-risk-events", {"threshold": "1.1"}, "threshold"),
        ("/high-risk-events", {"hours": "2", "from_": "-1h"}, "hours"),
        ("/high-risk-events", {"from_": "now"}, "from"),
        ("/performance-trend", {"days": "0"}, "days"),
        ("/performance-trend", {"cursor": "x"}, "cursor"),
        ("/sla", {"objective": "100"}, "objective"),
        ("/sla", {"days": "1.5"}, "days"),
    ],
)
def test_what_cannot_be_used_is_named(
    api: Asking, path: str, query: dict[str, str], parameter: str
) -> None:
    body = api.get(path, expect=400, **query)
    assert [error["parameter"] for error in body["errors"]] == [parameter]
