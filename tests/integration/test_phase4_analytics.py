"""An event goes the whole way: Kafka, three tables, and back by the API.

The tests share one worker and tell their events apart by service; each works its figures out by hand.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kafka import KafkaProducer

from devstack.api import Stack
from tests.api_support import running_api
from tests.databases import create_database, drop_database
from tests.integration.sending import Outgoing
from tests.integration.whole_way import WholeWay, open_way
from tests.reference.brute_force import Message, Rules
from tests.stack_fixtures import create_topics, kafka_admin
from tests.waiting import wait_until

TABLES = {
    "1min": "analytics_metrics_1min",
    "5min": "analytics_metrics_5min",
    "1hour": "analytics_metrics_1hour",
}
VISIBLE_S = 30.0  # no measurement: the bench measures; this only ends a vain wait


@pytest.fixture(scope="module")
def shared_way(
    stack: Stack, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WholeWay]:
    """One way with one worker for the tests of this module."""
    name = f"phase4_{time.time_ns():x}"
    with contextlib.ExitStack() as closing:
        database = create_database(stack, name, migrated_template)
        closing.callback(drop_database, stack, name)
        admin = closing.enter_context(kafka_admin(stack))
        topics = create_topics(stack, admin)
        names = [topics.input, topics.output, topics.dlq]
        closing.callback(admin.delete_topics, names, raise_errors=False)
        way = closing.enter_context(open_way(database, topics, tmp_path_factory.mktemp("phase4")))
        way.start().wait_ready()
        yield way


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A service of this test's own."""
    return str(request.node.name)


def an_hour_ago() -> datetime:
    """The start of the last full hour but one: every window of it lies in the past."""
    now = datetime.now(UTC)
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


def event(service: str, at: datetime | str | float, **fields: object) -> dict[str, object]:
    """An event, of level info unless told otherwise."""
    stamp = at.isoformat() if isinstance(at, datetime) else at
    return {"timestamp": stamp, "service": service, "level": "info", **fields}


def send(way: WholeWay, *events: dict[str, object]) -> None:
    """Send events and wait until they are settled."""
    way.send_values(json.dumps(each).encode() for each in events)
    way.wait_settled()


def windows(way: WholeWay, service: str, window: str, columns: str) -> list[tuple[Any, ...]]:
    """The service's rows of a window size, in the order of time."""
    return way.database.rows(
        f"SELECT {columns} FROM {TABLES[window]} WHERE service = %s ORDER BY timestamp",  # noqa: S608  # fixed names
        service,
    )


def test_an_event_is_in_the_raw_table_and_in_all_three_windows(
    shared_way: WholeWay, service: str
) -> None:
    at = an_hour_ago() + timedelta(minutes=7, seconds=12, microseconds=345_678)
    send(
        shared_way,
        event(
            service, at, level="Error", latency_ms=12.5, risk_score=0.9, user_id="u-1",
            request_id="r-1", trace_id="t-1", span_id="s-1", message="it broke",
            error_message="because", source_ip="2001:DB8::1", geo_country="DE",
            user_subscription_tier="gold",
        ),
    )  # fmt: skip

    assert shared_way.database.rows(
        """
        SELECT timestamp, level, latency_ms, risk_score, user_id, request_id, trace_id, span_id, message,
            error_message, host(source_ip), geo_country, user_subscription_tier, topic_incarnation
        FROM analytics_events WHERE service = %s
        """,
        service,
    ) == [
        (
            at, "error", 12.5, 0.9, "u-1", "r-1", "t-1", "s-1", "it broke", "because", "2001:db8::1",
            "DE", "gold", 1,
        )
    ]  # fmt: skip
    starts = {
        "1min": at.replace(second=0, microsecond=0),
        "5min": at.replace(minute=5, second=0, microsecond=0),
        "1hour": at.replace(minute=0, second=0, microsecond=0),
    }
    for window, start in starts.items():
        assert windows(
            shared_way, service, window,
            """timestamp, total_requests, successful_requests, failed_requests, error_rate,
            latency_min_ms, latency_max_ms, latency_mean_ms, unique_users, unique_ips, avg_risk_score,
            high_risk_count""",
        ) == [(start, 1, 0, 1, 100.0, 12.5, 12.5, 12.5, 1, 1, 0.9, 1)]  # fmt: skip
        # A single value is its own minimum, maximum and every percentile.
        percentiles = "latency_p50_ms, latency_p95_ms, latency_p99_ms"
        assert windows(shared_way, service, window, percentiles) == [(12.5, 12.5, 12.5)]


def test_figures_of_a_window(shared_way: WholeWay, service: str) -> None:
    start = an_hour_ago()
    # Latencies 1..100 ms; one in ten fails; users 0..24; addresses 0..9; risk 0.00..0.99.
    send(
        shared_way,
        *(
            event(
                service, start + timedelta(milliseconds=500 * number), latency_ms=number + 1,
                level="critical" if number % 10 == 0 else "info", user_id=f"u{number % 25}",
                source_ip=f"10.0.0.{number % 10}", risk_score=number / 100,
            )
            for number in range(100)
        ),
    )  # fmt: skip
    columns = """total_requests, successful_requests, failed_requests, error_rate, latency_min_ms,
        latency_max_ms, unique_users, unique_ips, high_risk_count, revision > 0"""
    (row,) = windows(shared_way, service, "1min", columns)
    assert row == (100, 90, 10, 10.0, 1.0, 100.0, 25, 10, 19, True)  # 0.81 .. 0.99: nineteen
    columns = "latency_mean_ms, avg_risk_score, latency_p50_ms, latency_p95_ms, latency_p99_ms"
    (row,) = windows(shared_way, service, "1min", columns)
    assert row[:2] == pytest.approx((50.5, 0.495), rel=1e-9)
    assert row[2:] == pytest.approx((50, 95, 99), rel=0.01)  # nearest rank


def test_a_window_is_half_open(shared_way: WholeWay, service: str) -> None:
    start = an_hour_ago()
    last = timedelta(microseconds=-1)
    send(
        shared_way,
        *(
            event(service, start + after)
            for after in (
                timedelta(minutes=10), timedelta(minutes=11) + last, timedelta(minutes=11),
                timedelta(minutes=15) + last, timedelta(minutes=15), timedelta(hours=1) + last,
                timedelta(hours=1),
            )
        ),
    )  # fmt: skip

    def counts(window: str) -> list[tuple[int, int]]:
        rows = windows(shared_way, service, window, "timestamp, total_requests")
        return [(int((at - start).total_seconds() // 60), total) for at, total in rows]

    assert counts("1min") == [(10, 2), (11, 1), (14, 1), (15, 1), (59, 1), (60, 1)]
    assert counts("5min") == [(10, 4), (15, 1), (55, 1), (60, 1)]
    assert counts("1hour") == [(0, 6), (60, 1)]


def test_what_no_event_carried_is_null(shared_way: WholeWay, service: str) -> None:
    send(shared_way, event(service, an_hour_ago()), event(service, an_hour_ago(), latency_ms=None))
    for window in TABLES:
        columns = """latency_min_ms, latency_p50_ms, latency_p95_ms, latency_p99_ms, latency_max_ms,
            latency_mean_ms, avg_risk_score"""
        assert windows(shared_way, service, window, columns) == [(None,) * 7]
        columns = "total_requests, error_rate, unique_users, unique_ips, high_risk_count"
        assert windows(shared_way, service, window, columns) == [(2, 0.0, 0, 0, 0)]


def test_figures_are_over_the_events_that_carry_them(shared_way: WholeWay, service: str) -> None:
    at = an_hour_ago()
    send(
        shared_way,
        event(service, at, latency_ms=10, risk_score=0.2),
        event(service, at, latency_ms=30),
        event(service, at, business_risk_score=0.6),
        event(service, at),
    )
    columns = "total_requests, latency_mean_ms, avg_risk_score"
    ((total, mean, risk),) = windows(shared_way, service, "1min", columns)
    assert (total, mean, risk) == pytest.approx((4, 20.0, 0.4), rel=1e-9)


def test_a_late_event_counts_in_its_own_window(shared_way: WholeWay, service: str) -> None:
    recent, late = an_hour_ago() + timedelta(minutes=30), an_hour_ago() - timedelta(days=5)
    send(shared_way, event(service, recent, latency_ms=1), event(service, late, latency_ms=5))
    # Once more, in flushes of their own: rows that exist are added to.
    send(shared_way, event(service, late, latency_ms=3))
    send(shared_way, event(service, recent, latency_ms=9))
    for window in TABLES:
        columns = "total_requests, latency_min_ms, latency_max_ms"
        assert windows(shared_way, service, window, columns) == [(2, 3.0, 5.0), (2, 1.0, 9.0)]
    assert windows(shared_way, service, "1min", "timestamp") == [(late,), (recent,)]


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        *((level, level) for level in ("debug", "info", "warning", "error", "critical")),
        ("warn", "warning"),
        ("err", "error"),
        ("fatal", "critical"),
        ("trace", "debug"),
        ("notice", "info"),
    ],
)
def test_every_spelling_of_a_level(
    shared_way: WholeWay, service: str, spelling: str, canonical: str
) -> None:
    spellings = [spelling, spelling.upper(), spelling.capitalize(), spelling.swapcase()]
    send(shared_way, *(event(service, an_hour_ago(), level=each) for each in spellings))
    query = "SELECT level FROM analytics_events WHERE service = %s"
    assert shared_way.database.rows(query, service) == [(canonical,)] * 4
    failed = 4 if canonical in ("error", "critical") else 0
    assert windows(shared_way, service, "1min", "failed_requests") == [(failed,)]


@pytest.mark.parametrize(
    ("write", "kept"),
    [
        # form of the time stamp, and the unit it still carries, in microseconds
        (lambda at: at.timestamp(), 1),
        (lambda at: int(at.timestamp()), 1_000_000),
        (lambda at: int(at.timestamp() * 1000), 1000),
        (lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), 1),
        (lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f+00:00"), 1),
        (lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%f789Z"), 1),  # beyond microseconds is cut
        (lambda at: at.astimezone(ZoneInfo("Asia/Kolkata")).isoformat(), 1),
        (lambda at: at.replace(tzinfo=None).isoformat(), 1),  # no zone: UTC by default
    ],
    ids=["seconds", "whole", "millis", "zulu", "space", "nanos", "offset", "naive"],
)
def test_every_form_of_a_time(shared_way: WholeWay, service: str, write: Any, kept: int) -> None:
    at = an_hour_ago() + timedelta(minutes=2, microseconds=123_456)
    send(shared_way, event(service, write(at)))
    ((found,),) = shared_way.database.rows(
        "SELECT timestamp FROM analytics_events WHERE service = %s", service
    )
    assert at - timedelta(microseconds=kept) < found <= at


def test_visible_before_long(shared_way: WholeWay, service: str) -> None:
    # A lone event of this very moment, as the checklist sends it: no key, and nothing else follows.
    value = json.dumps(
        event(service, datetime.now(UTC).replace(tzinfo=None), latency_ms=1)
    ).encode()
    producer = KafkaProducer(bootstrap_servers=shared_way.topics.bootstrap_servers)
    with contextlib.closing(producer):
        place = producer.send(shared_way.topics.input, value).get(timeout=30)
    shared_way.sent.append(Message(place.partition, place.offset, value))
    for window in TABLES:
        wait_until(
            lambda w=window: windows(shared_way, service, w, "total_requests") == [(1,)],  # type: ignore[misc]
            VISIBLE_S,
            f"the event is visible in the {window} table",
        )


def test_the_api_gives_what_sql_shows(shared_way: WholeWay, service: str) -> None:
    start = an_hour_ago()
    send(
        shared_way,
        *(
            event(
                service, start + timedelta(seconds=20 * n), latency_ms=n, risk_score=0.01 * n,
                user_id=f"u{n % 7}", level="error" if n % 5 == 0 else "info",
            )
            for n in range(60)
        ),
    )  # fmt: skip
    columns = (
        "total_requests", "successful_requests", "failed_requests", "error_rate", "latency_min_ms",
        "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms", "latency_mean_ms",
        "unique_users", "unique_ips", "avg_risk_score", "high_risk_count",
    )  # fmt: skip
    stored = [
        dict(zip(columns, row, strict=True))
        for row in windows(shared_way, service, "5min", ", ".join(columns))
    ]
    assert [row["total_requests"] for row in stored] == [15, 15, 15, 15]
    with running_api(shared_way.env) as api:
        assert api.get("/metrics", auth=None, service=service).status_code == 401
        answer = api.get("/metrics", service=service, window="5min")
        assert answer.status_code == 200
        found = sorted(answer.json()["metrics"], key=lambda row: str(row["timestamp"]))
    assert [{name: row[name] for name in columns} for row in found] == stored


def test_other_settings(way: WholeWay) -> None:
    """A zone of the house, another threshold, a subset of the windows, small batches."""
    start = an_hour_ago().replace(hour=6) - timedelta(days=2)
    berlin = ZoneInfo("Europe/Berlin")
    local = start.astimezone(berlin).replace(tzinfo=None).isoformat()
    for risk in (0.29, 0.3, 0.31, 0.81):
        way.send([Outgoing(0, json.dumps(event("s", local, risk_score=risk)).encode())])
    worker = way.start(
        EVENT_DEFAULT_TZ="Europe/Berlin",
        HIGH_RISK_THRESHOLD="0.3",
        AGGREGATION_WINDOWS="1hour,1min",
        KAFKA_BATCH_SIZE="1",
        KAFKA_BATCH_TIMEOUT_MS="10000",
        LOG_FORMAT="json",
    )
    way.wait_settled()
    columns = "timestamp, total_requests, high_risk_count"
    assert windows(way, "s", "1min", columns) == [(start, 4, 2)]
    assert windows(way, "s", "1hour", columns) == [(start, 4, 2)]
    assert windows(way, "s", "5min", columns) == []
    rules = Rules(zone=berlin, high_risk=0.3)
    problems = way.differences(rules)
    assert [p for p in problems if "analytics_metrics_5min" not in p] == []
    assert worker.terminate() == 0


def test_a_local_time_that_comes_twice_is_its_first(way: WholeWay) -> None:
    """Which only shows when clocks were put back lately: so the age limit is raised."""
    way.send([Outgoing(0, json.dumps(event("s", "2025-10-26T02:30:00")).encode())])
    way.start(EVENT_DEFAULT_TZ="Europe/Berlin", MAX_EVENT_AGE_DAYS="36500")
    way.wait_settled()
    # Summer time ended at 01:00 UTC; 02:30 came first at +02:00.
    first = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert way.database.rows("SELECT timestamp FROM analytics_events") == [(first,)]
    assert way.differences(Rules(zone=ZoneInfo("Europe/Berlin"), max_age_days=36500)) == []
