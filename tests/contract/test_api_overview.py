"""What the dashboard page is given, against the endpoints that it sums up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from devstack.api import Stack
from tests import alert_rows
from tests.api_support import (
    NOW,
    NOW_S,
    USER,
    Asking,
    api_app,
    api_settings,
    event,
    fresh_database,
    store_events,
)
from tests.databases import Database
from tests.quick_hash import quick_hash

READER = ("reader", "another long password")
LETTER = b'{"service": "checkout", "level": 3}'


@pytest.fixture(scope="module")
def database(stack: Stack, migrated_template: str) -> Iterator[Database]:
    with fresh_database(stack, migrated_template) as database:
        events = []
        for minute in range(30):
            at = NOW_S - 60 * minute
            events += [
                event(at, "checkout", "error" if n < 3 else "info", latency_ms=10.0)
                for n in range(10)
            ]
            events += [event(at, "slow", latency_ms=800.0 + n) for n in range(4)]
            events += [event(at, "calm", latency_ms=5.0)]
        events.append(event(NOW_S - 7200, "silent"))
        store_events(database, events)
        database.execute(
            "INSERT INTO topic_incarnations VALUES ('stacklens-analytics', 1, 'old'), ('stacklens-analytics', 2, 'new')"
        )
        database.execute(
            "INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset, lag, lag_measured_at,"
            " caught_up_at) VALUES ('stacklens-analytics', 1, 0, 0, 99, now() - interval '1 day',"
            " now() - interval '1 day'),"
            " ('stacklens-analytics', 2, 0, 5, 7, now(), now() - interval '40 seconds'),"
            " ('stacklens-analytics', 2, 1, 5, 0, now(), now() + interval '300 seconds')"
        )
        database.execute(
            "INSERT INTO analytics_dead_letters (topic, topic_incarnation, kafka_partition, kafka_offset, reason,"
            " raw_value) VALUES ('stacklens-analytics', 2, 0, 1, 'invalid_field:level', %s)",
            LETTER,
        )
        alert_rows.add_rule(database, alert_rows.rule("errors"))
        alert_rows.fire(database, alert_rows.rule("errors"), "checkout", NOW_S - 300.0)
        alert_rows.fire(
            database, alert_rows.rule("gone", severity="warning"), "checkout", NOW_S - 200.0
        )
        early = alert_rows.rule("early", severity="info")
        alert_rows.fire(database, early, "slow", NOW_S - 1800.0)
        alert_rows.resolve(database, early, "slow", NOW_S - 1500.0)
        database.execute(
            "INSERT INTO alert_silences (rule_name, ends_at, author, comment)"
            " VALUES ('go*', now() + interval '1 hour', 'me', 'why')"
        )
        yield database


@pytest.fixture(scope="module")
def api(database: Database) -> Iterator[Asking]:
    users = ",".join(
        f"{name}:{role}:{quick_hash(password)}"
        for (name, password), role in ((USER, "admin"), (READER, "reader"))
    )
    with api_app(api_settings(database.env, API_USERS=users)) as app:
        yield Asking(app.test_client())


def test_the_overview_is_that_of_health_status(api: Asking) -> None:
    found = api.get("/overview")
    health = api.get("/health-status")
    names = set(health["services"][0])
    assert [{name: row[name] for name in names} for row in found["services"]] == health["services"]
    assert found["head"]["status"] == health["status"] == "unhealthy"
    counts = found["head"]["services"]
    assert counts == {"healthy": 1, "degraded": 1, "unhealthy": 1, "unknown": 1}
    assert found["head"]["you"] == {"name": USER[0], "role": "admin"}


def test_trends_show_the_figure_that_is_nearest_to_its_threshold(api: Asking) -> None:
    found = api.get("/overview")
    assert found["trend_step_seconds"] == 60
    trends = {row["service"]: row["trend"] for row in found["services"]}
    assert {name: trend["metric"] for name, trend in trends.items()} == {
        "checkout": "error_rate", "slow": "latency_p99_ms", "calm": "error_rate", "silent": "error_rate",
    }  # fmt: skip
    assert trends["checkout"]["threshold"] == 5.0
    assert trends["checkout"]["points"] == [None, *[30.0] * 30]
    assert trends["slow"]["points"][1:] == pytest.approx([803.0] * 30, rel=0.01)
    assert trends["silent"]["points"] == []
    assert found["trend_from"] == "2026-03-10T12:04:00Z"


def test_open_alerts_by_severity_and_service(api: Asking) -> None:
    found = api.get("/overview")
    alerts = found["head"]["alerts"]
    assert alerts["critical"] == {
        "active": 1,
        "acknowledged": 0,
        "since": alert_rows.moment(NOW_S - 300.0),
    }
    assert alerts["warning"]["active"] == 1
    assert alerts["info"] == {"active": 0, "acknowledged": 0, "since": None}
    rows = {row["service"]: (row["alerts"], row["alert_severity"]) for row in found["services"]}
    assert rows["checkout"] == (2, "critical")
    assert rows["slow"] == (0, None)


def test_data_are_as_old_as_the_partition_that_is_furthest_behind(api: Asking) -> None:
    freshness = api.get("/overview")["head"]["freshness"]
    assert freshness["lag"] == 7
    assert 40 <= freshness["data_age_seconds"] < 300


def test_a_service_has_the_points_of_the_series(api: Asking) -> None:
    found = api.get("/overview/service", service="checkout", from_="-30m")
    series = api.get(
        "/metrics/series", service="checkout", from_="-30m", metric="error_rate,latency_p99_ms"
    )
    points = series["series"][0]["points"]
    chart = found["chart"]
    assert chart["points"]["error_rate"] == points["error_rate"]
    assert chart["points"]["latency_p99_ms"] == points["latency_p99_ms"]
    assert len(chart["times"]) == len(series["timestamps"])
    assert chart["step_seconds"] == series["step_seconds"]
    assert found["service"]["health_status"] == "unhealthy"
    assert [each["rule_name"] for each in found["thresholds"]] == ["errors"]
    assert [each["rule_name"] for each in found["alerts"]] == ["gone", "errors"]
    assert [each["reason"] for each in found["dead_letters"]] == ["invalid_field:level"]


def test_the_points_can_be_left_out(api: Asking) -> None:
    assert api.get("/overview/service", service="checkout", chart="no")["chart"] is None


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [("-1h", "now", ["early"]), ("-10m", "now", []), ("-2h", "-1h", [])],
)
def test_episodes_that_touch_the_range(
    api: Asking, since: str, until: str, expected: list[str]
) -> None:
    found = api.get("/overview/service", service="slow", from_=since, to=until)
    assert [each["rule_name"] for each in found["alerts"]] == expected


def test_a_service_that_nobody_knows(api: Asking) -> None:
    found = api.get("/overview/service", service="nobody")
    assert found["service"] is None
    assert found["dead_letters"] == []
    assert {value for column in found["chart"]["points"].values() for value in column} == {None}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({}, "service"),
        ({"service": "x" * 256}, "service"),
        ({"service": "x", "from_": "-400d"}, "from"),
        ({"service": "x", "from_": "now", "to": "-1h"}, "from"),
        ({"service": "x", "chart": "maybe"}, "chart"),
    ],
)
def test_what_cannot_be_asked(api: Asking, query: dict[str, Any], parameter: str) -> None:
    problem = api.get("/overview/service", expect=400, **query)
    assert [error["parameter"] for error in problem["errors"]] == [parameter]


def test_alerts_with_what_silences_them(api: Asking, database: Database) -> None:
    ((resolved_at,),) = database.rows("SELECT max(resolved_at) FROM analytics_alerts")
    assert resolved_at > NOW - timedelta(days=1)
    found = api.get("/overview/alerts")
    rows = {each["rule_name"]: each for each in found["alerts"]}
    assert rows["errors"]["operator"] == ">"
    assert rows["errors"]["silenced_by"] is None
    assert rows["gone"]["operator"] is None
    assert rows["gone"]["silenced_by"] == found["silences"][0]["id"]
    assert [each["rule_name"] for each in found["resolved"]] == ["early"]
    assert [each["channel"] for each in found["channels"]] == ["slack", "email", "pagerduty"]
    one = api.get(f"/overview/alerts/{rows['errors']['id']}")
    assert one["alert"]["rule_name"] == one["rule"]["rule_name"] == "errors"
    assert [step["to_status"] for step in one["history"]] == ["active"]
    api.get("/overview/alerts/999999", expect=404)


def test_a_reader_learns_of_no_dead_letters(api: Asking) -> None:
    for path in ("/overview/dead-letters", "/overview/service?service=checkout"):
        answer = api.client.get(path, auth=READER).get_json()
        assert answer["head"]["you"] == {"name": "reader", "role": "reader"}
        assert answer["dead_letters"] is None
    letters = api.get("/overview/dead-letters")
    assert letters["dead_letters"] == api.get("/dead-letters")["dead_letters"]


def test_the_system(api: Asking) -> None:
    found = api.get("/overview/system")
    assert [(each["partition"], each["lag"]) for each in found["partitions"]] == [(0, 7), (1, 0)]
    assert found["dead_letters_pending"] == 1
    assert found["outbox_backlog"] == 4
    assert found["stored_latency"]["events"] == 0
    assert found["evaluator"]["holder"] is None


def test_looked_up_once_a_second_and_compressed(api: Asking) -> None:
    first = api.client.get("/overview", auth=USER)
    # The checked client reads bodies as they come.
    plain = FlaskClient(api.client.application, api.client.application.response_class)
    zipped = plain.get("/overview", auth=USER, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in first.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert set(json.loads(gzip.decompress(zipped.get_data()))) == set(first.get_json())
    again = api.client.get("/overview", auth=USER, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code in (200, 304)  # 200: a second has passed
