"""The views and functions that outside tools read, against brute force over the same events.

now - 30 h     now - 20 h    now - 2 h        now - 4 min .. now - 90 s
too old        of the day    of the day       of the last five minutes
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from analytics_service.adapters.timescale.connecting import Role, parameters
from analytics_service.config import load_settings
from tests.databases import Database
from tests.integration.filled_windows import Sample, fill, moment, totals
from tests.integration.whole_way import WholeWay
from tests.reference.brute_force import nearest_rank

pytestmark = pytest.mark.both_postgres

VIEWS = (
    "v_active_alerts_summary",
    "v_high_risk_events",
    "v_service_health_current",
    "v_service_performance_trend",
    "v_slowest_services",
    "v_top_error_services",
)
HELPERS = (
    "SELECT * FROM stacklens.service_totals(now() - interval '1 day', now())",
    "SELECT * FROM stacklens.window_rows(now() - interval '1 day', now())",
    "SELECT * FROM stacklens.range_bounds(now() - interval '1 day', now())",
    "SELECT * FROM analytics_calculate_sla('a', now() - interval '1 hour')",
    "SELECT * FROM analytics_get_alert_stats()",
)
INSERT_EVENT = """
    INSERT INTO analytics_events
        (timestamp, service, level, risk_score, topic_incarnation, kafka_partition, kafka_offset)
    VALUES (%s, %s, 'info', %s, 1, 0, 0)
"""


def run_as(database: Database, role: Role, statement: str) -> list[tuple[Any, ...]]:
    """One statement as one of the roles."""
    settings = load_settings({**database.env, "APP_ENV": "test"}, env_file=None)
    connection = parameters(settings, role).connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def now_s() -> int:
    """Epoch seconds, by the clock that the database has as well."""
    return int(datetime.now(UTC).timestamp())


def store(database: Database, samples: list[Sample]) -> None:
    """All windows of the samples."""
    for window in ("1min", "5min", "1hour"):
        fill(database, window, samples)


def burst(at_s: int, service: str, count: int, failed: int, latency_ms: float) -> list[Sample]:
    """Events of one moment, the first of them failed, latencies spread a little."""
    return [
        Sample(at_s, service, latency_ms * (1 + number / count / 10), number < failed)
        for number in range(count)
    ]


def test_health_is_of_the_last_minutes(database: Database) -> None:
    """The thresholds' four cases, the silent service, and one not seen for too long."""
    now = now_s()
    recent, before, long_ago = now - 120, now - 3 * 3600, now - 40 * 3600
    samples = [
        *burst(recent, "fine", 100, 5, 100),
        *burst(recent, "failing", 100, 21, 100),
        *burst(recent, "shaky", 100, 6, 100),
        *burst(recent, "slow", 100, 0, 510),
        *burst(recent, "crawling", 100, 0, 1010),
        *burst(before, "fine", 500, 500, 5000),
        *burst(before, "silent", 10, 0, 10),
        *burst(long_ago, "gone", 10, 0, 10),
        Sample(recent, "untimed"),
    ]
    store(database, samples)
    rows = database.rows(
        "SELECT service, health_status, total_requests, failed_requests, error_rate, latency_p99_ms"
        " FROM v_service_health_current"
    )
    assert [row[:2] for row in rows] == [
        ("failing", "unhealthy"),
        ("crawling", "unhealthy"),
        ("shaky", "degraded"),
        ("slow", "degraded"),
        ("silent", "unknown"),
        ("fine", "healthy"),
        ("untimed", "healthy"),
    ]
    found = {row[0]: row[2:] for row in rows}
    for service, want in totals(samples, now - 300, now).items():
        assert found[service][:3] == (want.total, want.failed, 100 * want.failed / want.total)
        if want.latencies:
            assert found[service][3] == pytest.approx(want.percentile(99), rel=0.01)
    assert found["untimed"] == (1, 0, 0, None)
    assert found["silent"] == (0, 0, None, None)


def test_health_follows_the_thresholds_in_system_config(database: Database) -> None:
    """A value that is no number counts as not set."""
    store(database, burst(now_s() - 120, "s", 100, 3, 100))
    query = "SELECT health_status FROM v_service_health_current"
    assert database.rows(query) == [("healthy",)]
    database.execute("INSERT INTO system_config VALUES ('health_degraded_error_rate', '2.5')")
    assert database.rows(query) == [("degraded",)]
    database.execute("INSERT INTO system_config VALUES ('health_unhealthy_p99_ms', '1e2')")
    assert database.rows(query) == [("unhealthy",)]
    database.execute("UPDATE system_config SET value = 'often'")
    assert database.rows(query) == [("healthy",)]


def test_the_day_s_worst_services(database: Database) -> None:
    """Over many windows: counts exact, percentiles of all latencies together, not of their means."""
    now, rng = now_s(), random.Random(11)
    hour = now - now % 3600
    samples = [
        Sample(
            at_s=rng.choice(
                [now - 30 * 3600, hour - 23 * 3600, now - 20 * 3600, now - 7200, now - 90]
            ),
            service=rng.choice("abc"),
            latency_ms=rng.lognormvariate(3, 1.5),
            failed=rng.random() < 0.1,
        )
        for _ in range(3000)
    ]
    samples += [Sample(now - 7200, "flawless"), Sample(now - 30 * 3600, "earlier", 9e9, True)]
    store(database, samples)
    expected = totals(samples, hour - 24 * 3600, hour + 3600)
    worst = database.rows(
        "SELECT service, total_requests, failed_requests, error_rate FROM v_top_error_services"
    )
    assert [row[:3] for row in worst] == sorted(
        ((s, t.total, t.failed) for s, t in expected.items() if t.failed),
        key=lambda row: -row[2],
    )
    assert all(row[3] == pytest.approx(100 * row[2] / row[1]) for row in worst)
    slowest = database.rows(
        "SELECT service, latency_p50_ms, latency_p95_ms, latency_p99_ms, latency_max_ms"
        " FROM v_slowest_services"
    )
    assert {row[0] for row in slowest} == {"a", "b", "c"}
    assert [row[3] for row in slowest] == sorted((row[3] for row in slowest), reverse=True)
    for service, *percentiles, highest in slowest:
        nearest = [expected[service].percentile(percent) for percent in (50, 95, 99)]
        assert percentiles == pytest.approx(nearest, rel=0.01)
        assert highest == expected[service].highest


def test_the_trend_is_hour_by_hour(database: Database) -> None:
    """Seven days, the newest first; the running hour's rate is of the part that is over."""
    hour = now_s() // 3600 * 3600
    samples = [
        sample
        for hours in (0, 1, 30, 7 * 24 - 2, 8 * 24)
        for sample in burst(hour - hours * 3600, "s", 36, 9, 50)
    ]
    store(database, samples)
    rows = database.rows(
        "SELECT timestamp, total_requests, error_rate, latency_p99_ms, requests_per_second"
        " FROM v_service_performance_trend WHERE service = 's'"
    )
    assert [row[0] for row in rows] == [moment(hour - h * 3600) for h in (0, 1, 30, 7 * 24 - 2)]
    assert {row[1:3] for row in rows} == {(36, 25.0)}
    assert rows[1][3] == totals(samples, hour - 3600, hour)["s"].percentile(99)
    assert [row[4] for row in rows[1:]] == [0.01] * 3
    assert rows[0][4] >= 0.01


def test_high_risk_events_newest_first(database: Database) -> None:
    """Above the threshold, of the last day, 100 at most; whatever the windows were counted with."""
    start = now_s() - 3 * 3600
    samples = [
        Sample(start + number * 20, "s", risk=0.9 if number % 2 else 0.8) for number in range(400)
    ]
    risky = [moment(sample.at_s) for sample in samples if sample.risk == 0.9]
    with database.cursor() as cursor:
        cursor.executemany(INSERT_EVENT, [(moment(s.at_s), "s", s.risk) for s in samples])
    store(database, samples)
    query = "SELECT timestamp, risk_score FROM v_high_risk_events"
    newest = [(at, 0.9) for at in sorted(risky, reverse=True)[:100]]
    assert database.rows(query) == newest
    # A threshold set just now: the windows' counts are of another one.
    database.execute("INSERT INTO system_config (key, value) VALUES ('high_risk_threshold', '0.7')")
    all_times = sorted((moment(sample.at_s) for sample in samples), reverse=True)
    assert [row[0] for row in database.rows(query)] == all_times[:100]
    database.execute("UPDATE system_config SET value = '0.8'")
    database.execute(
        "INSERT INTO system_config (key, value) VALUES ('aggregation_windows', '5min')"
    )
    assert database.rows(query) == newest


def test_a_threshold_that_was_lowered_finds_earlier_events(database: Database) -> None:
    """In hours that counted nothing as high risk at their time."""
    start = now_s() - 10 * 3600
    samples = [Sample(start + number, "s", risk=0.75) for number in range(10)]
    store(database, samples)
    for sample in samples:
        database.execute(INSERT_EVENT, moment(sample.at_s), "s", sample.risk)
    query = "SELECT count(*) FROM v_high_risk_events"
    assert database.rows(query) == [(0,)]
    database.execute("INSERT INTO system_config (key, value) VALUES ('high_risk_threshold', '0.7')")
    assert database.rows(query) == [(10,)]


def test_open_alerts_and_their_statistics(database: Database) -> None:
    """By service and severity; means in seconds from firing."""
    now = datetime.now(UTC)
    insert = """
        INSERT INTO analytics_alerts (rule_name, service, severity, metric_name, window_size, threshold,
            fingerprint, status, active_since, acknowledged_at, resolved_at)
        VALUES (%s, %s, %s, 'error_rate', '1min', 5, 'f', %s, %s, %s, %s)
    """
    hours = {h: now - timedelta(hours=h) for h in (1, 2, 3, 30, 40)}
    for row in (
        ("r1", "a", "critical", "active", hours[2], None, None),
        ("r2", "a", "critical", "acknowledged", hours[3], hours[2], None),
        ("r3", "b", "warning", "pending", None, None, None),
        ("r1", "a", "critical", "resolved", hours[40], hours[30], hours[1]),
        ("r4", "c", "info", "resolved", hours[3], None, hours[2]),
    ):
        database.execute(insert, *row)
    summary = database.rows(
        "SELECT service, severity, open_alerts, pending, active, acknowledged, oldest_active_since,"
        " rule_names FROM v_active_alerts_summary"
    )
    assert summary == [
        ("a", "critical", 2, 0, 1, 1, hours[3], ["r1", "r2"]),
        ("b", "warning", 1, 1, 0, 0, None, ["r3"]),
    ]
    hour = 3600.0
    assert database.rows("SELECT * FROM analytics_get_alert_stats()") == [
        ("critical", 2, 0, 1, 1, 1, 2, 1, 5.5 * hour, 39 * hour),
        ("warning", 1, 1, 0, 0, 0, 0, 0, None, None),
        ("info", 0, 0, 0, 0, 1, 1, 1, None, hour),
        ("all", 3, 1, 1, 1, 2, 3, 2, 5.5 * hour, 20 * hour),
    ]


def test_alert_statistics_of_nothing(database: Database) -> None:
    """Always four rows."""
    rows = database.rows("SELECT severity, open_alerts FROM analytics_get_alert_stats()")
    assert rows == [("critical", 0), ("warning", 0), ("info", 0), ("all", 0)]


def test_the_sla_of_a_silent_service(database: Database) -> None:
    """A row all the same: counts are zero, uptime is unknown."""
    since = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    row = ("nobody", since.replace(second=0), 0, 0, None, None)
    assert database.rows("SELECT * FROM analytics_calculate_sla('nobody', %s)", since) == [row]


@pytest.mark.parametrize("role", ["reader", "admin", "owner"])
def test_every_role_reads_views_and_functions(database: Database, role: Role) -> None:
    """The API logs in as the reader."""
    for statement in (*(f"TABLE {view}" for view in VIEWS), *HELPERS):
        run_as(database, role, statement)


def test_only_owner_and_admin_may_archive(database: Database) -> None:
    """Nor may a reader call the parts."""
    assert len(run_as(database, "owner", "SELECT analytics_archive_old_data()")) == 4
    assert len(run_as(database, "admin", "SELECT analytics_archive_old_data()")) == 4
    for call in (
        "analytics_archive_old_data()",
        "stacklens.archive_old_data()",
        "stacklens.archive_tier('hot')",
        "stacklens.delete_expired(now())",
        "stacklens.compress_old_chunks()",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            run_as(database, "reader", f"SELECT {call}")


@pytest.mark.slow
def test_the_sla_agrees_with_the_raw_events(way: WholeWay) -> None:
    """Through a worker: exact counts, p99 within 1 % of nearest rank over the raw events."""
    rng, now = random.Random(5), datetime.now(UTC)
    way.start()
    way.send_values(
        json.dumps(
            {
                "timestamp": (now - timedelta(seconds=rng.uniform(0, 3 * 3600))).isoformat(),
                "service": rng.choice(["svc", "other"]),
                "level": rng.choice(["info", "info", "info", "error"]),
                "latency_ms": rng.lognormvariate(4, 1),
            }
        ).encode()
        for _ in range(5000)
    )
    way.wait_settled()
    for minutes in (2, 10, 60, 119.5):
        since = now - timedelta(minutes=minutes)
        ((name, from_time, total, failed, uptime, p99),) = way.database.rows(
            "SELECT * FROM analytics_calculate_sla('svc', %s)", since
        )
        assert (name, from_time) == ("svc", since.replace(second=0, microsecond=0))
        raw = way.database.rows(
            "SELECT level, latency_ms FROM analytics_events WHERE service = 'svc' AND timestamp >= %s",
            from_time,
        )
        bad = sum(level in ("error", "critical") for level, _ in raw)
        assert (total, failed) == (len(raw), bad)
        assert uptime == pytest.approx(100 * (len(raw) - bad) / len(raw))
        assert p99 == pytest.approx(nearest_rank(sorted(ms for _, ms in raw), 99), rel=0.01)
