"""What every endpoint answers, on a real database."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard_api.roles import admin_only
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
)
from tests.databases import Database
from tests.quick_hash import quick_hash

LISTS = [
    "/metrics", "/metrics/summary", "/metrics/series", "/health-status", "/performance-trend",
    "/top-error-services", "/slowest-services", "/high-risk-events", "/sla", "/dead-letters", "/recalculations",
]  # fmt: skip
PATHS = [*LISTS, "/stats"]
ROW = {
    "timestamp", "service", "total_requests", "successful_requests", "failed_requests", "error_rate",
    "latency_min_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms",
    "latency_mean_ms", "unique_users", "unique_ips", "avg_risk_score", "high_risk_count", "aggregated_at",
}  # fmt: skip
USERS = f"{USER[0]}:admin:{quick_hash(USER[1])},anna:reader:{quick_hash('a')}"
ODD_NAMES = [
    "a,b",
    "tab\there",
    "line\nbreak",
    "quote'\"\\",
    "ünïcode ☃",
    "x" * 255,
    " ",
    "%00",
    "+",
]


def fill(database: Database) -> None:
    store_events(
        database,
        [
            *[event(NOW_S - 90, latency_ms=ms, user_id=f"u{ms}") for ms in (10.0, 20.0, 30.0)],
            event(NOW_S - 30, level="error"),
            *[event(NOW_S - 600, name) for name in ODD_NAMES],
        ],
    )


@pytest.fixture(scope="module")
def shared_app(stack: Stack, migrated_template: str) -> Iterator[Flask]:
    """For tests that only read."""
    with fresh_database(stack, migrated_template) as database:
        fill(database)
        with api_app(api_settings(database.env, API_USERS=USERS)) as app:

            @app.get("/for-admins")
            @admin_only
            def for_admins() -> str:
                return "secret"

            yield app


@pytest.fixture(scope="module")
def api(shared_app: Flask) -> Asking:
    return Asking(shared_app.test_client())


@pytest.fixture
def own_api(database: Database) -> Iterator[Asking]:
    """For tests that change what is stored in `database`."""
    fill(database)
    with api_app(api_settings(database.env)) as app:
        yield Asking(app.test_client())


def test_metrics(api: Asking) -> None:
    body = api.get("/metrics", service="checkout")
    assert set(body) == {"window", "metrics", "count", "next_cursor"}
    assert (body["window"], body["count"], body["next_cursor"]) == ("1min", 2, None)
    newest, oldest = body["metrics"]
    assert set(newest) == set(oldest) == ROW
    assert newest["timestamp"] == "2026-03-10T12:34:00Z"
    assert newest["latency_p99_ms"] is None
    assert (newest["failed_requests"], newest["error_rate"]) == (1, 100.0)
    assert oldest["timestamp"] == "2026-03-10T12:33:00Z"
    assert (oldest["total_requests"], oldest["unique_users"]) == (3, 3)
    assert (oldest["latency_min_ms"], oldest["latency_max_ms"]) == (10.0, 30.0)
    assert oldest["latency_p50_ms"] == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_services_of_any_name_are_found(api: Asking, name: str) -> None:
    for path in ("/metrics", "/metrics/summary"):
        found = api.get(path, service=name)["metrics"]
        assert [row["service"] for row in found] == [name]


def test_services_repeat_or_list(api: Asking) -> None:
    for query in ({"service": ["checkout", "+"]}, {"service": "checkout,+"}):
        found = api.get("/metrics", **query)["metrics"]
        assert {row["service"] for row in found} == {"checkout", "+"}


def test_bounds_are_half_open_and_there_is_none_by_default(api: Asking) -> None:
    everything = api.get("/metrics")["metrics"]
    assert len(everything) == 2 + len(ODD_NAMES)
    edge = "2026-03-10T12:33:00Z"
    assert {row["timestamp"] for row in api.get("/metrics", from_=edge)["metrics"]} == {
        "2026-03-10T12:34:00Z",
        edge,
    }
    assert api.get("/metrics", to=edge, service="checkout")["count"] == 0


def test_summary(api: Asking) -> None:
    body = api.get("/metrics/summary", service="checkout", from_="-5m")
    assert set(body) == {"from", "to", "resolution", "metrics", "count"}
    assert (body["from"], body["to"]) == ("2026-03-10T12:29:00Z", "2026-03-10T12:35:00Z")
    assert (body["resolution"], body["count"]) == ("1min", 1)
    (row,) = body["metrics"]
    assert set(row) == ROW - {"timestamp"}
    assert (row["total_requests"], row["failed_requests"], row["error_rate"]) == (4, 1, 25.0)
    assert row["unique_users"] == 3


def test_health_status(api: Asking) -> None:
    body = api.get("/health-status")
    assert set(body) == {"status", "services", "count", "timestamp"}
    assert (body["status"], body["count"]) == ("unhealthy", 1 + len(ODD_NAMES))
    worst, *others = body["services"]
    assert (worst["service"], worst["health_status"]) == ("checkout", "unhealthy")
    assert (worst["error_rate"], worst["total_requests"]) == (25.0, 4)
    # 12:29:00 to 12:34:56.789
    assert worst["requests_per_second"] == pytest.approx(4 / 356.789)
    assert worst["last_seen"] == "2026-03-10T12:34:00Z"
    for silent in others:
        assert silent["health_status"] == "unknown"
        assert silent["error_rate"] is silent["latency_p99_ms"] is None
        assert silent["total_requests"] == silent["requests_per_second"] == 0
        assert silent["last_seen"] == "2026-03-10T12:24:00Z"


def test_health_status_obeys_the_operators_thresholds(own_api: Asking, database: Database) -> None:
    for key, value in (
        ("health_unhealthy_error_rate", "30"),
        ("health_degraded_p99_ms", "nonsense"),
    ):
        database.execute("INSERT INTO system_config (key, value) VALUES (%s, %s)", key, value)
    assert own_api.get("/health-status")["status"] == "degraded"


def test_stats(own_api: Asking, database: Database) -> None:
    database.execute(
        "INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id) VALUES ('t', 1, 'i')"
    )
    for partition in (0, 1):
        database.execute(
            "INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset,"
            " events_stored, events_dead_lettered, events_lost) VALUES ('t', 1, %s, 0, 10, 2, 1)",
            partition,
        )
    database.execute(
        "INSERT INTO analytics_dead_letters (topic, topic_incarnation, kafka_partition, kafka_offset,"
        " reason, status) SELECT 't', 1, 0, n, 'empty', CASE WHEN n = 0 THEN 'pending' ELSE 'discarded' END"
        " FROM generate_series(0, 3) AS n"
    )
    before = own_api.get("/stats")
    after = own_api.get("/stats")
    assert after["requests_served"] == before["requests_served"] + 1
    assert after["uptime_seconds"] >= before["uptime_seconds"] >= 0
    assert (after["workers"], after["api_version"]) == (1, "1.0")
    assert (after["events_stored"], after["events_dead_lettered"]) == (20, 4)
    assert (after["events_lost_to_retention"], after["dead_letters_pending"]) == (2, 1)


def test_health_and_readiness(own_api: Asking, database: Database) -> None:
    assert own_api.client.get("/health").get_json()["status"] == "healthy"
    ready = own_api.client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "ready")
    database.execute(
        "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)"
    )
    unready = own_api.client.get("/readyz")
    assert (unready.status_code, unready.get_json()["failed"]) == (503, ["migrations"])
    assert own_api.client.get("/health").status_code == 200


def test_an_empty_database_has_empty_answers(empty_database: Database, database: Database) -> None:
    with api_app(api_settings(database.env)) as app:
        api = Asking(app.test_client())
        assert api.get("/metrics") == {
            "window": "1min",
            "metrics": [],
            "count": 0,
            "next_cursor": None,
        }
        assert api.get("/metrics/summary")["metrics"] == []
        assert api.get("/health-status")["status"] == "unknown"
    with api_app(api_settings(empty_database.env)) as app:  # not migrated
        for path in PATHS:
            answer = app.test_client().get(path, auth=USER)
            assert answer.status_code == 503, path
            assert "not up to date" in answer.get_json()["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_the_versioned_path_answers_alike(api: Asking, path: str) -> None:
    plain, versioned = api.get(path), api.get("/v1" + path)
    for volatile in ("uptime_seconds", "requests_served", "replicas", "workers"):
        plain.pop(volatile, None)
        versioned.pop(volatile, None)
    assert plain == versioned


@pytest.mark.parametrize("path", [*PATHS, "/health", "/healthz", "/readyz"])
def test_headers_of_every_answer(api: Asking, path: str) -> None:
    answer = api.client.get(path, auth=USER)
    assert answer.content_type == "application/json"
    assert answer.headers["X-API-Version"] == "1.0"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    head = api.client.head(path, auth=USER)
    assert (head.status_code, head.get_data()) == (200, b"")


@pytest.mark.parametrize("path", ["/metrics", "/metrics/summary", "/health-status"])
def test_content_that_is_known_is_not_sent_again(
    own_api: Asking, database: Database, path: str
) -> None:
    first = own_api.client.get(path, auth=USER)
    assert first.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": first.headers["ETag"]}
    again = own_api.client.get(path, auth=USER, headers=known)
    assert (again.status_code, again.get_data()) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["X-API-Version"] == "1.0"
    assert own_api.client.get(path, headers=known).status_code == 401
    store_events(database, [event(NOW_S - 20)])
    changed = own_api.client.get(path, auth=USER, headers=known)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_there_as_csv(api: Asking, path: str) -> None:
    body = api.get(path)
    rows = next(value for value in body.values() if isinstance(value, list))
    by_parameter = api.client.get(path, query_string={"format": "csv"}, auth=USER)
    by_header = api.client.get(path, headers={"Accept": "text/csv"}, auth=USER)
    assert (
        by_parameter.content_type
        == by_header.content_type
        == "text/csv; charset=utf-8; header=present"
    )
    assert by_parameter.get_data() == by_header.get_data()
    assert "Accept" in by_header.headers["Vary"]
    assert by_header.headers["ETag"] != api.client.get(path, auth=USER).headers["ETag"]
    head, *lines = csv.reader(
        io.StringIO(by_parameter.get_data(as_text=True), newline=""), strict=True
    )
    assert len(set(head)) == len(head) > 1
    if path != "/metrics/series":  # whose lines are points, see test_api_series
        assert len(lines) == len(rows)
        for line, row in zip(lines, rows, strict=True):
            assert set(head) == set(row)
            assert row.get("service", "") == dict(zip(head, line, strict=True)).get(
                "service", ""
            ).removeprefix("'")
    # JSON when both are as good, and when nothing is said.
    for accept in ("*/*", "application/json, text/csv", "text/html"):
        answer = api.client.get(path, headers={"Accept": accept}, auth=USER)
        assert answer.content_type == "application/json"


def test_figures_that_are_not_finite_are_null(own_api: Asking, database: Database) -> None:
    database.execute(
        "UPDATE analytics_metrics_1min SET latency_mean_ms = 'NaN', latency_max_ms = 'Infinity'"
    )
    answer = own_api.client.get("/metrics", auth=USER)
    assert b"NaN" not in answer.get_data()
    assert b"Infinity" not in answer.get_data()
    assert {row["latency_mean_ms"] for row in answer.get_json()["metrics"]} == {None}


def test_the_connection_cannot_write(shared_app: Flask) -> None:
    with shared_app.extensions["stacklens"].reader.snapshot() as cursor:
        cursor.execute("SELECT current_user, current_setting('transaction_read_only')")
        assert cursor.fetchone() == ("stacklens_reader", "on")


@pytest.mark.parametrize(
    ("user", "status"), [(USER, 200), (("anna", "a"), 403), (("anna", "b"), 401)]
)
def test_roles(api: Asking, user: tuple[str, str], status: int) -> None:
    answer = api.client.get("/for-admins", auth=user)
    assert answer.status_code == status
    if status == 403:
        assert answer.content_type == "application/problem+json"
        assert "WWW-Authenticate" not in answer.headers
    assert api.client.get("/metrics", auth=user).status_code == (401 if status == 401 else 200)


anything = st.text(max_size=40) | st.sampled_from(
    [
        "now",
        "-1h",
        "1min",
        "1hour",
        "checkout",
        "1",
        "5000",
        "2026-03-10",
        "0001-01-02",
        "9999-12-30",
        "-9999d",
        "1d",
        "auto",
        "0.5",
        "99.9",
        "csv",
        "unique_users",
    ]
)
names = st.sampled_from(
    [
        "window",
        "service",
        "from",
        "to",
        "limit",
        "cursor",
        "step",
        "metric",
        "days",
        "hours",
        "threshold",
        "objective",
        "status",
        "reason",
        "format",
    ]
) | st.text(max_size=5)


@hypothesis_settings(max_examples=300)
@given(path=st.sampled_from(PATHS), query=st.lists(st.tuples(names, anything), max_size=5))
def test_no_query_makes_it_fail(api: Asking, path: str, query: list[tuple[str, str]]) -> None:
    encodable = [(key, value) for key, value in query if _encodable(key + value)]
    answer = api.client.get(path, query_string=encodable, auth=USER)
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        body = json.loads(answer.get_data())
        named = {error["parameter"] for error in body["errors"]}
        assert named <= {key for key, _ in encodable} | {"from", "step", "service"}


def _encodable(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)
