"""Asked again, the API reads only what has changed, and misses none of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dashboard_api.context import EXTENSION, Context
from devstack.api import Stack
from tests.api_support import (
    NOW,
    NOW_S,
    Asking,
    api_app,
    api_settings,
    event,
    fresh_database,
    store_events,
    truth,
)
from tests.databases import Database

MINUTE, HOUR, DAY = 60, 3600, 86_400
SERVICES = [f"service-{number}" for number in range(6)]
BEFORE = [
    event(NOW_S - age_s, service, latency_ms=10.0 + place, user_id=f"u{age_s % 7}")
    for place, service in enumerate(SERVICES)
    for age_s in (30, 4 * MINUTE, 50 * MINUTE, 3 * HOUR, 5 * HOUR, 30 * HOUR, 53 * HOUR)
]
RANGE: dict[str, Any] = {"from_": (NOW - timedelta(days=3)).isoformat(), "to": NOW.isoformat()}


@pytest.fixture
def database(stack: Stack, migrated_template: str) -> Iterator[Database]:
    with fresh_database(stack, migrated_template) as made:
        store_events(made, BEFORE)
        yield made


@pytest.fixture
def api(database: Database) -> Iterator[tuple[Asking, Context]]:
    with api_app(api_settings(database.env)) as app:
        yield Asking(app.test_client()), app.extensions[EXTENSION]


@pytest.mark.parametrize("age_s", [20, 40 * MINUTE, 3 * HOUR, 4 * HOUR, 53 * HOUR])
@pytest.mark.parametrize("service", ["service-3", "new"])
def test_a_late_event_is_in_the_next_answer(
    database: Database, api: tuple[Asking, Context], age_s: int, service: str
) -> None:
    asking, _ = api
    asking.get("/metrics/summary", **RANGE)
    late = event(NOW_S - age_s, service, level="error", latency_ms=500.0, user_id="late")
    store_events(database, [late])
    found = asking.get("/metrics/summary", **RANGE)["metrics"]
    expected = truth([*BEFORE, late], NOW_S - 3 * DAY - HOUR, NOW_S + MINUTE)
    assert {row["service"]: row["total_requests"] for row in found} == {
        name: figures.total for name, figures in expected.items()
    }
    (row,) = (row for row in found if row["service"] == service)
    assert row["failed_requests"] == 1
    assert row["latency_max_ms"] == 500.0
    assert row["unique_users"] == expected[service].users


def test_a_row_that_is_gone_is_gone_from_the_next_answer(
    database: Database, api: tuple[Asking, Context]
) -> None:
    asking, _ = api
    before = asking.get("/metrics/summary", **RANGE)["metrics"]
    database.execute(
        "DELETE FROM analytics_metrics_1hour WHERE service = 'service-1' AND timestamp = date_trunc('hour', %s)",
        NOW - timedelta(hours=30),
    )
    after = asking.get("/metrics/summary", **RANGE)["metrics"]
    counts = [(row["service"], row["total_requests"]) for row in after]
    assert counts == [
        (row["service"], row["total_requests"] - (row["service"] == "service-1")) for row in before
    ]


def test_the_same_rows_are_not_read_twice(
    api: tuple[Asking, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, _ = api
    first = asking.get("/metrics/summary", **RANGE)
    monkeypatch.setattr("dashboard_api.queries.reuse.streamed", refuse_rows)
    assert asking.get("/metrics/summary", **RANGE) == first


def refuse_rows(_connection: object, statement: tuple[object, list[object]]) -> Iterator[tuple[()]]:
    assert statement[1] == []
    return iter(())
