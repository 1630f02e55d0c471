"""`/sla` against the events that are behind it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime

import pytest

from analytics_service.adapters.timescale.daily import build_days
from analytics_service.domain.events import Event
from analytics_service.domain.windows import window_named
from devstack.api import Stack
from tests.api_support import (
    NOW_S,
    Asking,
    api_app,
    api_settings,
    event,
    fresh_database,
    store_events,
)
from tests.reference.service_levels import Request, burn_rate, counts

MINUTE, HOUR, DAY = 60, 3600, 86_400
SERVICES = ["burning", "calm", "gone", "slowly", "worn"]


def down(at_s: float, step_s: int) -> int:
    return int(at_s // step_s * step_s)


# From when on each window counts: rounded down to minutes, five minutes or hours by its length.
STARTS = {
    "5m": down(NOW_S - 5 * MINUTE, MINUTE),
    "30m": down(NOW_S - 30 * MINUTE, MINUTE),
    "1h": down(NOW_S - HOUR, MINUTE),
    "6h": down(NOW_S - 6 * HOUR, 5 * MINUTE),
    "3d": down(NOW_S - 3 * DAY, HOUR),
}


def events_of_ten_days() -> list[Event]:
    dice = random.Random(3)
    found = []

    def some(service: str, number: int, first_s: float, end_s: float, share: float) -> None:
        for _ in range(number):
            level = dice.choice(["error", "critical"]) if dice.random() < share else "info"
            found.append(event(first_s + dice.random() * (end_s - first_s), service, level))

    some("calm", 2000, NOW_S - 10 * DAY, NOW_S, 0.0005)
    some("burning", 1000, NOW_S - 10 * DAY, NOW_S - HOUR, 0.001)
    some("burning", 400, NOW_S - HOUR, NOW_S, 0.1)
    some("slowly", 3000, NOW_S - 3 * DAY, NOW_S, 0.004)
    some("worn", 1000, NOW_S - 9 * DAY, NOW_S - 8 * DAY, 0.2)
    some("worn", 1000, NOW_S - 8 * DAY, NOW_S, 0.0)
    some("gone", 50, NOW_S - 5 * DAY, NOW_S - 4 * DAY, 0.1)
    return found


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    return [Request(one.timestamp_us / 1e6, one.service, one.level) for one in events_of_ten_days()]


@pytest.fixture(scope="module", params=["hours", "days"])
def api(request: pytest.FixtureRequest, stack: Stack, migrated_template: str) -> Iterator[Asking]:
    """Days from hours, and from the daily level."""
    with fresh_database(stack, migrated_template) as database:
        store_events(database, events_of_ten_days())
        if request.param == "days":
            connection = database.connect()
            connection.autocommit = False
            build_days(connection, window_named("1hour"))
            connection.close()
        with api_app(api_settings(database.env)) as app:
            yield Asking(app.test_client())


@pytest.mark.parametrize(
    ("days", "objective"), [(30, 99.9), (7, 99.0), (1, 99.5), (3, 95.0), (2, 0.0)]
)
def test_service_levels(api: Asking, requests: list[Request], days: int, objective: float) -> None:
    body = api.get("/sla", days=days, objective=objective)
    start = down(NOW_S - days * DAY, HOUR)
    assert (body["days"], body["objective"]) == (days, objective)
    assert datetime.fromisoformat(body["from"]).timestamp() == start
    expected = [
        name for name in SERVICES if counts(requests, name, min(start, STARTS["3d"]), NOW_S + 60)[0]
    ]
    assert [row["service"] for row in body["services"]] == expected
    for row in body["services"]:
        total, failed = counts(requests, row["service"], start, NOW_S + 60)
        assert (row["total_requests"], row["failed_requests"]) == (total, failed)
        if total == 0:
            assert (
                row["uptime_percent"] is row["budget_left"] is row["failed_requests_left"] is None
            )
            assert row["status"] == "unknown"
            continue
        allowed = total * (100 - objective) / 100
        assert row["uptime_percent"] == pytest.approx(100 * (total - failed) / total)
        assert row["budget_left"] == pytest.approx(1 - failed / allowed)
        assert allowed - failed - 1 < row["failed_requests_left"] <= allowed - failed + 1e-6
        for rate in row["burn_rates"]:
            for name, found in (
                (rate["window"], rate["burn_rate"]),
                (rate["short_window"], rate["short_burn_rate"]),
            ):
                seen = counts(requests, row["service"], STARTS[name], NOW_S + 60)
                right = burn_rate(*seen, objective)
                assert found == (None if right is None else pytest.approx(right))


@pytest.mark.parametrize(
    ("service", "burning", "status"),
    [
        ("burning", [True, True, True], "page"),
        ("slowly", [False, False, True], "ticket"),
        ("calm", [False, False, False], "ok"),
        ("worn", [False, False, False], "ok"),  # overdrawn, but it does not burn now
        ("gone", [False, False, False], "ok"),
    ],
)
def test_what_burns(api: Asking, service: str, burning: list[bool], status: str) -> None:
    (row,) = api.get("/sla", service=service)["services"]
    assert [rate["burning"] for rate in row["burn_rates"]] == burning
    assert row["status"] == status
    names = ("window", "short_window", "threshold", "severity")
    assert [tuple(rate[name] for name in names) for rate in row["burn_rates"]] == [
        ("1h", "5m", 14.4, "page"),
        ("6h", "30m", 6.0, "page"),
        ("3d", "6h", 1.0, "ticket"),
    ]
    assert (row["budget_left"] < 0) == (service in ("burning", "slowly", "worn", "gone"))


def test_no_traffic_for_long_is_no_row(api: Asking) -> None:
    assert api.get("/sla", service="nobody")["services"] == []
