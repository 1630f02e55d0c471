"""The real API server on a real database, through HTTP: what it says against what is stored and true."""

from __future__ import annotations

import contextlib
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import requests
from psycopg2 import sql

from analytics_service.adapters.timescale.daily import build_days
from analytics_service.domain.events import Event
from analytics_service.domain.windows import window_named
from devstack.api import Stack
from tests.alert_rows import fire, rule
from tests.api_support import (
    CHECKOUT,
    NOW_S,
    USER,
    RunningApi,
    children,
    event,
    fresh_database,
    running_api,
    store_events,
    truth,
)
from tests.databases import Database
from tests.reference.brute_force import Figures
from tests.stack_fixtures import migrate
from tests.waiting import wait_until

HOUR = 3600
BEGIN_S = NOW_S // HOUR * HOUR - 30 * HOUR
SERVICES = ["auth", "checkout", "search, eu", "träge"]
TABLES = {
    "1min": "analytics_metrics_1min",
    "5min": "analytics_metrics_5min",
    "1hour": "analytics_metrics_1hour",
}
COLUMNS = [
    "service", "total_requests", "successful_requests", "failed_requests", "error_rate", "latency_min_ms",
    "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms", "latency_mean_ms", "unique_users",
    "unique_ips", "avg_risk_score", "high_risk_count",
]  # fmt: skip


@dataclass
class Served:
    """A running API, the events behind its rows, and the database they are in."""

    api: RunningApi
    database: Database
    events: list[Event]


def lifelike_events() -> list[Event]:
    """Thirty hours of 4 services: heavy-tailed latencies, users, addresses, risks, holes."""
    dice = random.Random(7)
    events = []
    for _ in range(20_000):
        service = dice.choices(SERVICES, [8, 4, 2, 1])[0]
        events.append(
            event(
                BEGIN_S + dice.random() * 30 * HOUR,
                service,
                dice.choices(["info", "warning", "error", "critical"], [90, 6, 3, 1])[0],
                latency_ms=dice.choice([None, 0.0, dice.lognormvariate(3, 1.5)]),
                risk_score=dice.choice([None, dice.random()]),
                user_id=dice.choice([None, f"user-{dice.randrange(9000)}"]),
                source_ip=f"10.0.{dice.randrange(2)}.{dice.randrange(100)}",
            )
        )
    return events


@pytest.fixture(scope="module")
def served(stack: Stack, migrated_template: str) -> Iterator[Served]:
    events = lifelike_events()
    with fresh_database(stack, migrated_template) as database:
        store_events(database, events)
        with running_api(database.env, "--workers", "2", "--threads", "4") as api:
            yield Served(api, database, events)


def iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stored(database: Database, window: str) -> list[tuple[Any, ...]]:
    """Every row as SQL gives it, newest first."""
    query = sql.SQL(
        'SELECT to_char(timestamp, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\'), {} FROM {} ORDER BY timestamp DESC, service'
    ).format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS)), sql.Identifier(TABLES[window]))
    with database.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute(query)
        return cursor.fetchall()


@pytest.mark.parametrize(
    ("window", "limit"), [("1min", 5000), ("5min", 333), ("1hour", 1), ("1hour", 7)]
)
def test_pages_hold_every_row_once_as_it_is_stored(served: Served, window: str, limit: int) -> None:
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"window": window, "limit": limit}
    while True:
        page = served.api.get("/metrics", **query).json()
        assert page["count"] == len(page["metrics"]) <= limit
        found += page["metrics"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert [tuple(row[name] for name in ("timestamp", *COLUMNS)) for row in found] == stored(
        served.database, window
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_filter_leaves_out_the_rest_only(served: Served, service: str) -> None:
    since, until = BEGIN_S + 3 * HOUR + 60, BEGIN_S + 20 * HOUR
    answer = served.api.get(
        "/metrics", service=service, from_=iso(since), to=iso(until), limit=5000
    ).json()
    expected = [
        row
        for row in stored(served.database, "1min")
        if row[1] == service and iso(since) <= row[0] < iso(until)
    ]
    assert [
        tuple(row[name] for name in ("timestamp", *COLUMNS)) for row in answer["metrics"]
    ] == expected


def test_pages_of_some_services_hold_every_row_once(served: Served) -> None:
    chosen = [SERVICES[3], SERVICES[1]]
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"service": chosen, "window": "5min", "limit": 50}
    while query.get("cursor", "") is not None:
        page = served.api.get("/metrics", **query).json()
        found += page["metrics"]
        query["cursor"] = page["next_cursor"]
    expected = [row for row in stored(served.database, "5min") if row[1] in chosen]
    assert len(expected) > 200
    assert [tuple(row[name] for name in ("timestamp", *COLUMNS)) for row in found] == expected


RANGES = [
    (0, 30 * HOUR),
    (0, HOUR),
    (60, 120),
    (59 * 60, 25 * HOUR + 7 * 60),
    (11 * HOUR + 300, 17 * HOUR + 3540),
    (13 * HOUR + 1, 13 * HOUR + 2),
]


@pytest.mark.parametrize(("first", "end"), RANGES)
def test_summaries_are_what_the_raw_events_give(served: Served, first: int, end: int) -> None:
    answer = served.api.get(
        "/metrics/summary", from_=iso(BEGIN_S + first), to=iso(BEGIN_S + end)
    ).json()
    covered_s = BEGIN_S + first // 60 * 60, BEGIN_S + -(-end // 60) * 60
    assert (answer["from"], answer["to"]) == (iso(covered_s[0]), iso(covered_s[1]))
    expected = truth(served.events, *covered_s)
    assert [row["service"] for row in answer["metrics"]] == sorted(expected, key=str.encode)
    for row in answer["metrics"]:
        check_row(row, expected[row["service"]])


def near(exact: float | None, relative: float) -> Any:
    """Equal to what is within a relative error; None to None, 0 to 0."""
    return exact if exact is None else pytest.approx(exact, rel=relative, abs=0)


def check_row(row: dict[str, Any], exact: Figures) -> None:
    """Counts exactly; percentiles within 1 %; means and sums to 1e-9; uniques as the contract says."""
    assert row["total_requests"] == exact.total
    assert row["failed_requests"] == exact.failed
    assert row["successful_requests"] == exact.total - exact.failed
    assert row["error_rate"] == pytest.approx(100 * exact.failed / exact.total)
    assert row["high_risk_count"] == exact.high_risk
    assert (row["latency_min_ms"], row["latency_max_ms"]) == (exact.latency_min, exact.latency_max)
    for name in ("latency_p50", "latency_p95", "latency_p99"):
        assert row[f"{name}_ms"] == near(getattr(exact, name), 0.01)
    assert row["latency_mean_ms"] == near(exact.latency_mean, 1e-9)
    assert row["avg_risk_score"] == near(exact.risk_mean, 1e-9)
    for name, count in (("unique_users", exact.users), ("unique_ips", exact.ips)):
        # exact up to a few hundred; above, three standard errors of 1.63 %
        assert row[name] == (count if count <= 300 else pytest.approx(count, rel=0.049))


def test_uniques_have_a_standard_error_of_two_percent(served: Served) -> None:
    errors = []
    for first in range(0, 30 * HOUR, 3 * HOUR):
        begin_s, end_s = BEGIN_S + first, BEGIN_S + first + 3 * HOUR
        answer = served.api.get(
            "/metrics/summary", service="auth", from_=iso(begin_s), to=iso(end_s)
        ).json()
        exact = truth(served.events, begin_s, end_s)["auth"].users
        assert exact > 400
        errors.append(answer["metrics"][0]["unique_users"] / exact - 1)
    assert math.sqrt(math.fsum(error**2 for error in errors) / len(errors)) <= 0.02


def test_a_summary_over_dropped_minutes_uses_what_is_kept(
    stack: Stack, migrated_template: str
) -> None:
    events = lifelike_events()
    archived_s = BEGIN_S + 12 * HOUR
    with fresh_database(stack, migrated_template) as database:
        store_events(database, events)
        database.execute(
            "DELETE FROM analytics_metrics_1min WHERE timestamp < to_timestamp(%s)", archived_s
        )
        database.execute(
            "UPDATE retention_tiers SET archived_before = to_timestamp(%s) WHERE tier = 'warm'",
            archived_s,
        )
        with running_api(database.env, "--workers", "1") as api:
            answer = api.get(
                "/metrics/summary",
                from_=iso(BEGIN_S + 7 * 60),
                to=iso(BEGIN_S + 25 * HOUR + 7 * 60),
            ).json()
    covered_s = BEGIN_S + 5 * 60, BEGIN_S + 25 * HOUR + 7 * 60
    assert (answer["from"], answer["to"]) == (iso(covered_s[0]), iso(covered_s[1]))
    expected = truth(events, *covered_s)
    assert len(answer["metrics"]) == len(expected)
    for row in answer["metrics"]:
        check_row(row, expected[row["service"]])


def test_a_summary_over_days_reads_the_daily_level_where_it_is_right(
    stack: Stack, migrated_template: str
) -> None:
    day = 24 * HOUR
    first_day = NOW_S // day * day - 5 * day
    events = [
        msgspec.structs.replace(
            found, timestamp_us=first_day * 1_000_000 + number * 5 * day * 50 + number
        )
        for number, found in enumerate(lifelike_events())
    ]
    ranges = [(0, 5 * day), (HOUR, 4 * day + 61), (day, 2 * day), (13 * HOUR + 60, 3 * day)]
    with fresh_database(stack, migrated_template) as database:
        store_events(database, events)
        with contextlib.closing(database.connect()) as connection:
            connection.autocommit = False
            assert build_days(connection, window_named("1hour")) >= 4 * len(SERVICES)
        # Marked by a late write: its row is out of date, so its hours count.
        database.execute(
            "UPDATE analytics_metrics_1day SET is_valid = false, total_requests = 1"
            " WHERE timestamp = to_timestamp(%s) AND service = %s",
            first_day + day, SERVICES[0],
        )  # fmt: skip
        # Not marked yet, as right after midnight: no row at all.
        database.execute(
            "DELETE FROM analytics_metrics_1day WHERE timestamp >= to_timestamp(%s)",
            first_day + 3 * day,
        )
        database.execute(
            "UPDATE daily_level SET marked_before = to_timestamp(%s)", first_day + 3 * day
        )
        # That valid days are read and not their hours: those could not be told apart otherwise.
        database.execute(
            "DELETE FROM analytics_metrics_1hour WHERE service = %s AND timestamp >= to_timestamp(%s)"
            " AND timestamp < to_timestamp(%s)",
            SERVICES[1], first_day + day, first_day + 2 * day,
        )  # fmt: skip
        with running_api(database.env, "--workers", "1") as api:
            answers = [
                api.get(
                    "/metrics/summary", from_=iso(first_day + since), to=iso(first_day + until)
                ).json()
                for since, until in ranges
            ]
    for (since, until), answer in zip(ranges, answers, strict=True):
        covered_s = first_day + since, first_day + -(-until // 60) * 60
        assert (answer["from"], answer["to"]) == (iso(covered_s[0]), iso(covered_s[1]))
        expected = truth(events, *covered_s)
        assert [row["service"] for row in answer["metrics"]] == sorted(expected, key=str.encode)
        for row in answer["metrics"]:
            check_row(row, expected[row["service"]])


def test_nothing_without_a_password(served: Served) -> None:
    for path in (
        "/metrics",
        "/metrics/summary",
        "/health-status",
        "/stats",
        "/v1/stats",
        "/nothing",
    ):
        answer = served.api.get(path, auth=None)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert served.api.get(path, auth=("admin", "wrong")).status_code == 401
    assert served.api.get("/health", auth=None).json()["status"] == "healthy"
    assert served.api.get("/readyz", auth=None).json()["status"] == "ready"


def test_requests_are_counted_across_workers_and_their_deaths(served: Served) -> None:
    api = served.api
    before = api.get("/stats").json()
    assert before["workers"] == 2
    with ThreadPoolExecutor(8) as clients:
        # a connection each: the kernel spreads them over the workers
        statuses = list(clients.map(lambda _: get(api.url + "/healthz").status_code, range(100)))
    assert statuses == [200] * 100
    os.kill(children(api.process.pid)[0], signal.SIGKILL)
    wait_until(
        lambda: len(re.findall("Booting worker", api.log.read_text())) == 3,
        20,
        "the worker is replaced",
    )
    after = get(api.url + "/stats").json()
    assert after["requests_served"] == before["requests_served"] + 101
    assert after["uptime_seconds"] > before["uptime_seconds"]


def test_people_act_on_alerts_through_the_real_server(served: Served) -> None:
    """Its connections wait with deadlines of their own, which some of what a database can do does not go with."""
    alert_id = fire(served.database, rule())
    for action, status in (("acknowledge", "acknowledged"), ("resolve", "resolved")):
        answer = served.api.session.post(
            f"{served.api.url}/alerts/{alert_id}/{action}",
            json={"comment": "mine"},
            auth=USER,
            timeout=20,
        )
        assert (answer.status_code, answer.json()["status"]) == (200, status), answer.text
    steps = served.api.get(f"/alerts/{alert_id}/history").json()["history"]
    assert [(step["to_status"], step["actor"]) for step in steps] == [
        ("active", None),
        ("acknowledged", "admin"),
        ("resolved", "admin"),
    ]


def test_many_clients_at_once_are_answered(served: Served) -> None:
    paths = [
        "/metrics?limit=50",
        f"/metrics/summary?from={iso(BEGIN_S)}",
        "/health-status",
        "/stats",
    ]

    def ask(number: int) -> int:
        return get(served.api.url + paths[number % len(paths)]).status_code

    with ThreadPoolExecutor(20) as clients:
        assert set(clients.map(ask, range(80))) == {200}


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_http_is_refused_in_the_same_shape(
    served: Served, request_text: bytes, status: bytes
) -> None:
    host, port = served.api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request_text)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert b"X-API-Version: 1.0" in head
    assert b"application/problem+json" in head
    assert b'"status":' + status in body


def test_users_that_cannot_be_read_are_told_at_once() -> None:
    command = [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "api"]
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(CHECKOUT / "python-services"),
        "API_USERS": "anna:reader:hunter2",
    }
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"API_USERS: entry 1" in done.stderr
    assert b"hunter2" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_database_stops_and_returns(private_stack: Stack) -> None:
    database = Database(private_stack, private_stack.db_name)
    migrate(database)
    postgres = private_stack.postgres
    assert postgres is not None
    with running_api(database.env, "--workers", "2") as api:
        assert api.get("/metrics").status_code == 200

        postgres.stop()
        answer = wait_until(lambda: unhealthy(api), 60, "/health notices")
        assert answer["status"] == "unhealthy"
        assert answer["failed"] == ["database"]
        for path in ("/metrics", "/metrics/summary", "/health-status", "/stats"):
            refused = api.get(path)
            assert refused.status_code == 503
            assert refused.headers["Content-Type"] == "application/problem+json"
            assert "database" in refused.json()["detail"]
            assert int(refused.headers["Retry-After"]) > 0
        assert api.get("/healthz", auth=None).status_code == 200

        postgres.start()
        postgres.wait_until_ready()
        wait_until(lambda: not unhealthy(api), 60, "/health recovers by itself")
        wait_until(lambda: api.get("/metrics").status_code == 200, 60, "answers are back")


@pytest.mark.slow
def test_health_answers_while_the_database_hangs(private_stack: Stack) -> None:
    database = Database(private_stack, private_stack.db_name)
    migrate(database)
    assert private_stack.postgres is not None
    with running_api(database.env, "--workers", "1", "--threads", "2") as api:
        assert api.get("/metrics").status_code == 200
        with frozen(private_stack), ThreadPoolExecutor(6) as clients:
            # more requests than threads, all stuck in the database
            stuck = [clients.submit(get, api.url + path) for path in ("/stats", "/metrics") * 3]
            answer = wait_until(lambda: unhealthy(api), 60, "/health notices")
            assert answer["failed"] == ["database"]
            assert "no answer" in answer["components"]["database"]["detail"]
            assert {future.result().status_code for future in stuck} == {503}
        wait_until(lambda: not unhealthy(api), 60, "/health recovers by itself")
        wait_until(lambda: api.get("/metrics").status_code == 200, 60, "answers are back")


def unhealthy(api: RunningApi) -> dict[str, Any]:
    """The body of /health when it is a 503, else nothing."""
    answer = requests.get(api.url + "/health", timeout=20)
    body = answer.json()
    assert isinstance(body, dict)
    return body if answer.status_code == 503 else {}


def get(url: str) -> requests.Response:
    """An answer on a connection of its own."""
    return requests.get(url, auth=USER, timeout=30)


@contextlib.contextmanager
def frozen(stack: Stack) -> Iterator[None]:
    """Stop every process of the database server for the block, without ending any."""
    assert stack.postgres is not None
    server = stack.postgres.pid
    assert server is not None
    processes = [server, *children(server)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
