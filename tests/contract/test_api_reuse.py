"""Asked again, the API reads only what has changed, and misses none of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
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


@pytest.mark.parametrize("age_s", [20, 40 * MINUTE, 4 * HOUR, 53 * HOUR])
@pytest.mark.parametrize(
    "query",
    [
        {"from_": "-3h"},
        {"from_": "-3d", "metric": "total_requests,latency_max_ms"},
        {"from_": "-3d", "service": "service-3", "step": "3h"},
        {"from_": "-3d", "service": "service-3,new", "step": "1d"},
    ],
)
def test_a_late_event_is_in_the_next_series(
    database: Database, api: tuple[Asking, Context], age_s: int, query: dict[str, Any]
) -> None:
    asking, _ = api
    asking.get("/metrics/series", **query)
    for service in ("service-3", "new"):
        late = event(NOW_S - age_s, service, level="error", latency_ms=500.0, user_id="late")
        store_events(database, [late])
    found = asking.get("/metrics/series", **query)
    with api_app(api_settings(database.env)) as another:
        assert Asking(another.test_client()).get("/metrics/series", **query) == found
    totals = {
        series["service"]: sum(filter(None, series["points"]["total_requests"]))
        for series in found["series"]
    }
    begins_s = datetime.fromisoformat(found["from"]).timestamp()
    expected = truth([*BEFORE, late], int(begins_s), NOW_S + MINUTE)
    assert totals.get("service-3", 0) == expected["service-3"].total + (NOW_S - age_s >= begins_s)


def test_steps_that_are_as_they_were_are_not_read_twice(
    api: tuple[Asking, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, _ = api
    query: dict[str, Any] = {"from_": "-3d", "service": "service-3", "step": "3h"}
    first = asking.get("/metrics/series", **query)
    monkeypatch.setattr("dashboard_api.queries.kept_steps.streamed", refuse_rows)
    assert asking.get("/metrics/series", **query) == first


def refuse_rows(_connection: object, statement: tuple[object, list[object]]) -> Iterator[tuple[()]]:
    assert statement[1] == []
    return iter(())
