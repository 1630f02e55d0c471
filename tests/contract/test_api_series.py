"""`/metrics/series` against the events that are behind it."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from analytics_service.domain.events import Event
from devstack.api import Stack
from tests.api_support import (
    NOW_S,
    USER,
    Asking,
    api_app,
    api_settings,
    event,
    fresh_database,
    store_events,
    truth,
)
from tests.databases import Database

HOUR = 3600
DAY = 86_400
TODAY_S = NOW_S // DAY * DAY
SERVICES = ["auth", "checkout"]
METRICS = [
    "total_requests", "failed_requests", "error_rate", "latency_min_ms", "latency_p50_ms", "latency_p99_ms",
    "latency_max_ms", "latency_mean_ms", "unique_users", "unique_ips", "avg_risk_score", "high_risk_count",
]  # fmt: skip
NAMES = dict(
    zip(
        METRICS,
        [
            "total", "failed", "", "latency_min", "latency_p50", "latency_p99", "latency_max", "latency_mean",
            "users", "ips", "risk_mean", "high_risk",
        ],
        strict=True,
    )
)  # fmt: skip


def events_of_two_days() -> list[Event]:
    """Uneven traffic with holes; nothing from 03:00 to 05:00 today."""
    dice = random.Random(11)
    found = []
    for _ in range(6_000):
        at_s = NOW_S - dice.random() ** 2 * 2 * DAY
        if TODAY_S + 3 * HOUR <= at_s < TODAY_S + 5 * HOUR:
            continue
        found.append(
            event(
                at_s,
                dice.choices(SERVICES, [5, 1])[0],
                dice.choices(["info", "error"], [9, 1])[0],
                latency_ms=dice.choice([None, dice.lognormvariate(3, 1)]),
                risk_score=dice.choice([None, dice.random()]),
                user_id=f"u{dice.randrange(300)}",
                source_ip=f"10.0.0.{dice.randrange(50)}",
            )
        )
    return found


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return events_of_two_days()


@pytest.fixture(scope="module")
def api(stack: Stack, migrated_template: str, events: list[Event]) -> Iterator[Asking]:
    with fresh_database(stack, migrated_template) as database:
        store_events(database, events)
        with api_app(api_settings(database.env)) as app:
            yield Asking(app.test_client())


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def check_against_events(body: dict[str, Any], events: list[Event], services: list[str]) -> None:
    """Each point is what the events of its step give; a step without events is null throughout."""
    step = body["step_seconds"]
    starts = [epoch(text) for text in body["timestamps"]]
    assert starts == list(range(epoch(body["from"]), epoch(body["to"]), step))
    assert all(start % step == 0 for start in starts)
    assert [one["service"] for one in body["series"]] == sorted(services)
    for place, start in enumerate(starts):
        expected = truth(events, start, start + step)
        for one in body["series"]:
            assert list(one["points"]) == body["metrics"]
            found = {name: values[place] for name, values in one["points"].items()}
            figures = expected.get(one["service"])
            if figures is None:
                assert set(found.values()) == {None}
                continue
            for name in body["metrics"]:
                right = (
                    100 * figures.failed / figures.total
                    if name == "error_rate"
                    else getattr(figures, NAMES[name])
                )
                tolerance = 0.01 if "_p" in name else 1e-9
                if right is None:
                    assert found[name] is None
                else:
                    assert found[name] == pytest.approx(right, rel=tolerance, abs=1e-12)


@pytest.mark.parametrize(
    ("since", "until", "step", "window"),
    [
        ("-1h", "now", "1m", "1min"),  # 60 points of the finest windows
        ("-5h", "now", "5m", "5min"),  # 301 of them would be one too many
        ("-24h", "now", "5m", "5min"),
        ("-2d", "now", "15m", "5min"),
        ("2026-03-09T00:00Z", "2026-03-09T12:00Z", "5m", "5min"),
    ],
)
def test_the_resolution_follows_the_range(
    api: Asking, events: list[Event], since: str, until: str, step: str, window: str
) -> None:
    body = api.get("/metrics/series", from_=since, to=until, service=SERVICES, metric=METRICS)
    assert (body["step"], body["window"], body["count"]) == (step, window, 2)
    assert len(body["timestamps"]) <= 300
    check_against_events(body, events, SERVICES)


@pytest.mark.parametrize(
    ("step", "seconds", "window"),
    [
        ("1min", 60, "1min"),
        ("2m", 120, "1min"),
        ("7m", 420, "1min"),
        ("5min", 300, "5min"),
        ("10m", 600, "5min"),
        ("3600s", 3600, "1hour"),
        ("3h", 10_800, "1hour"),
        ("1d", DAY, "1day"),
        ("1day", DAY, "1day"),
        ("1w", 7 * DAY, "1day"),
    ],
)
def test_any_step_of_whole_minutes(
    api: Asking, events: list[Event], step: str, seconds: int, window: str
) -> None:
    body = api.get(
        "/metrics/series", from_="-30h", step=step, service="auth", metric=",".join(METRICS)
    )
    assert (body["step_seconds"], body["window"]) == (seconds, window)
    check_against_events(body, events, ["auth"])


def test_every_service_when_none_is_named(api: Asking, events: list[Event]) -> None:
    body = api.get("/metrics/series", from_="-30m", metric="total_requests")
    assert body["metrics"] == ["total_requests"]
    check_against_events(body, events, SERVICES)


def test_the_step_it_says_is_one_it_takes(api: Asking) -> None:
    body = api.get("/metrics/series", from_="-2d", service="auth")
    assert api.get("/metrics/series", from_="-2d", service="auth", step=body["step"]) == body


def test_a_range_before_everything(api: Asking) -> None:
    body = api.get("/metrics/series", from_="2020-01-01", to="2020-01-02")
    assert (body["series"], body["count"]) == ([], 0)
    assert len(body["timestamps"]) > 0


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"metric": "total"}, "metric"),
        ({"metric": "total_requests,"}, "metric"),
        ({"step": "30s"}, "step"),
        ({"step": "0m"}, "step"),
        ({"step": "1.5h"}, "step"),
        ({"step": "400d"}, "step"),
        ({"step": "1m", "from_": "-7d"}, "step"),  # 10,080 points
        ({"from_": "now"}, "from"),
    ],
)
def test_what_cannot_be_used_is_named(api: Asking, query: dict[str, str], parameter: str) -> None:
    body = api.get("/metrics/series", expect=400, **query)
    assert [error["parameter"] for error in body["errors"]] == [parameter]


def test_what_is_archived_makes_steps_longer_or_is_left_out(
    stack: Stack, migrated_template: str, events: list[Event]
) -> None:
    with fresh_database(stack, migrated_template) as database:
        store_events(database, events)
        archive(database, "warm", TODAY_S)
        archive(database, "cold", TODAY_S - DAY)
        with api_app(api_settings(database.env)) as app:
            asking = Asking(app.test_client())
            today = asking.get("/metrics/series", from_="-12h", to="-8h", service="auth", step="1m")
            assert today["window"] == "1min"
            yesterday = asking.get(
                "/metrics/series", from_="-16h", to="-14h", service="auth", metric=METRICS
            )
            assert (yesterday["step"], yesterday["window"]) == ("5m", "5min")
            check_against_events(yesterday, events, ["auth"])
            refused = asking.get(
                "/metrics/series", expect=400, from_="-16h", service="auth", step="1m"
            )
            assert "5min" in refused["detail"]
            gone = asking.get("/metrics/series", from_="-50d", to="-40d", service="auth")
            assert gone["from"] <= gone["to"]
            assert gone["series"] == []
            older = asking.get("/metrics/series", from_="-40d", service="auth", metric=METRICS)
            assert epoch(older["from"]) == TODAY_S - DAY
            check_against_events(older, events, ["auth"])


def archive(database: Database, tier: str, before_s: int) -> None:
    """As archiving does, but for the rows, which nobody may look at any more."""
    database.execute(
        "UPDATE retention_tiers SET archived_before = to_timestamp(%s) WHERE tier = %s",
        before_s,
        tier,
    )


def test_series_as_csv(api: Asking) -> None:
    query = {"from": "-10m", "service": "auth", "metric": "total_requests,latency_p50_ms"}
    body = api.client.get("/metrics/series", query_string=query, auth=USER).get_json()
    answer = api.client.get("/metrics/series", query_string={**query, "format": "csv"}, auth=USER)
    assert answer.content_type.startswith("text/csv")
    head, *lines = csv.reader(io.StringIO(answer.get_data(as_text=True), newline=""))
    assert head == ["timestamp", "service", "total_requests", "latency_p50_ms"]
    points = body["series"][0]["points"]
    assert lines == [
        [
            at,
            "auth",
            *("" if values[place] is None else str(values[place]) for values in points.values()),
        ]
        for place, at in enumerate(body["timestamps"])
    ]
