"""RECALC_ALERTS: alerts that nobody has seen, found in stored windows and put down without waking anybody."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from analytics_service.adapters.timescale.alert_rows import fingerprint
from analytics_service.adapters.timescale.alert_store import read_states
from tests.databases import Database
from tests.integration.missed_alerts import (
    ALERTS,
    BAD,
    GOOD,
    HOURS,
    JOB,
    Recalculate,
    add_rule,
    add_windows,
    brute_force,
    enqueue,
    minutes,
    range_begin_s,
)


@pytest.fixture
def begin_s() -> int:
    """The start of the range."""
    return range_begin_s()


def untold(database: Database) -> bool:
    """Whether nothing is to be told to anybody, and the evaluator knows of nothing."""
    tables = ("alert_outbox", "alert_states", "notified_episodes", "alert_deliveries")
    counts = [database.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]  # noqa: S608
    with database.cursor() as cursor:
        return counts == [0, 0, 0, 0] and read_states(cursor) == {}


def test_an_incident_that_no_evaluator_saw(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    add_rule(database, "errors")
    add_rule(database, "patient", duration_seconds=600, keep_firing_seconds=0, threshold=20.0)
    add_rule(database, "off", enabled=False)
    end_s = begin_s + HOURS * 3600
    dice = random.Random(17)
    expected = []
    for service in ("api", "it's, {odd} \\ 日本"):
        rates, state = {}, GOOD
        for start in range(begin_s, end_s, 60):
            state = dice.choice([GOOD, 10.0, BAD]) if dice.random() < 0.15 else state
            if dice.random() > 0.02:
                rates[start] = state
        add_windows(database, service, rates)
        for name, limit, lengths in (("errors", 5.0, (60, 120)), ("patient", 20.0, (600, 0))):
            found = brute_force(rates, (begin_s, end_s), *lengths, limit)
            assert found, "or the test is of no use"
            expected += [(name, service, "resolved", *moments) for moments in found]
    enqueue(recalculate, begin_s)
    assert recalculate("run") == (0, "Job 1: completed.")
    expected.sort(key=lambda row: (row[0], row[1].encode(), row[3]))
    assert database.rows(ALERTS) == expected
    assert database.rows(JOB, 1) == [
        ("COMPLETED", "it's, {odd} \\ 日本", 2, 2, len(expected), None)
    ]
    assert untold(database)

    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    assert database.rows(ALERTS) == expected
    assert database.rows(JOB, 2)[0][2:5] == (2, 2, 0)


def test_what_is_written_of_an_alert(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(100, 110)))
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    start = begin_s + 6000
    # Minute 100 is over at 101: pending; a minute later it fires. Minute 110 is the first good one, over at 111.
    ((alert_id, episode, *alert),) = database.rows(
        """
        SELECT id, episode_id, rule_name, service, severity, metric_name, window_size, status, threshold, value,
            fingerprint, extract(epoch FROM window_start)::bigint, acknowledged_at, acknowledged_by
        FROM analytics_alerts
        """
    )
    assert alert == [
        "errors", "api", "critical", "error_rate", "1min", "resolved", 5.0, GOOD,
        fingerprint(("errors", "api")), start + 720, None, None,
    ]  # fmt: skip
    told = "found by recalculation job 1"
    assert database.rows(
        """
        SELECT alert_id, episode_id, sequence, from_status, to_status, extract(epoch FROM at)::bigint, value, actor,
            comment, extract(epoch FROM window_start)::bigint
        FROM analytics_alert_history ORDER BY sequence
        """
    ) == [
        (alert_id, episode, 1, "inactive", "pending", start + 60, BAD, "recalculation", told, start + 60),
        (alert_id, episode, 2, "pending", "active", start + 120, BAD, "recalculation", told, start + 60),
        (alert_id, episode, 3, "active", "resolved", start + 780, GOOD, "recalculation", told, start + 720),
    ]  # fmt: skip
    # Retention takes it like any other.
    database.execute("SELECT stacklens.delete_expired(now())")
    for table in ("analytics_alerts", "analytics_alert_history"):
        assert database.rows(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608


def test_the_end_for_want_of_data_is_told_as_such(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    add_rule(database, "errors", duration_seconds=0)
    add_windows(database, "api", minutes(begin_s, range(10, 15), count=15))
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    # The last window is seen until minute 16; after five minutes without it is over.
    assert database.rows(ALERTS) == [
        ("errors", "api", "resolved", begin_s + 660, begin_s + 660, begin_s + 1260)
    ]
    assert database.rows(
        "SELECT comment, value FROM analytics_alert_history ORDER BY sequence"
    ) == [
        ("found by recalculation job 1", BAD),
        ("found by recalculation job 1: no data for 300 s", None),
    ]
    assert database.rows("SELECT value FROM analytics_alerts") == [(BAD,)]


@pytest.mark.parametrize("status", ["pending", "active", "acknowledged", "resolved"])
def test_alerts_that_are_there_stay_as_they_are(
    database: Database, recalculate: Recalculate, begin_s: int, status: str
) -> None:
    """One of the two incidents is known already, by an alert that is still open or was over within it."""
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(20, 30), range(100, 110)))
    add_windows(database, "web", minutes(begin_s, range(100, 110)))
    since = datetime.fromtimestamp(begin_s, UTC) + timedelta(minutes=105)
    database.execute(
        """
        INSERT INTO analytics_alerts (
            rule_name, service, severity, metric_name, window_size, status, threshold, fingerprint, pending_since,
            active_since, acknowledged_at, resolved_at
        ) VALUES ('errors', 'api', 'info', 'error_rate', '1min', %s, 4, 'f', %s, %s, %s, %s)
        """,
        status,
        since,
        None if status == "pending" else since,
        since if status == "acknowledged" else None,
        since + timedelta(seconds=1) if status == "resolved" else None,
    )
    there = "SELECT alert::text FROM analytics_alerts AS alert WHERE threshold = 4"
    before = database.rows(there)
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    assert database.rows(there) == before
    # 20: over at 21, fires at 22; 30: over at 31, two minutes later it is over.
    assert database.rows(ALERTS.replace("ORDER BY", "WHERE threshold <> 4 ORDER BY")) == [
        ("errors", "api", "resolved", begin_s + 1260, begin_s + 1320, begin_s + 1980),
        ("errors", "web", "resolved", begin_s + 6060, begin_s + 6120, begin_s + 6780),
    ]


def test_alerts_that_touch_or_are_of_another_rule_do_not_count(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    add_rule(database, "errors")
    add_rule(database, "other")
    add_windows(database, "api", minutes(begin_s, range(20, 30)))
    # What both rules find: minutes 21 to 33.
    for name, service, since, until in (
        ("errors", "api", 10, 21), ("errors", "api", 33, 40), ("errors", "web", 20, 30), ("other", "api", 20, 30)
    ):  # fmt: skip
        database.execute(
            """
            INSERT INTO analytics_alerts (
                rule_name, service, severity, metric_name, window_size, status, threshold, fingerprint, pending_since,
                active_since, resolved_at
            )
            SELECT %s, %s, 'info', 'error_rate', '1min', 'resolved', 4, 'f', at[1], at[1], at[2]
            FROM (SELECT ARRAY[to_timestamp(%s), to_timestamp(%s)]) AS moments (at)
            """,
            name,
            service,
            begin_s + 60 * since,
            begin_s + 60 * until,
        )
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    assert database.rows(JOB, 1)[0][4] == 1


def test_what_still_fires_at_the_end_is_left_to_the_evaluator(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(50, 60)))
    enqueue(recalculate, begin_s, 1)
    assert recalculate("run")[0] == 0
    assert database.rows(ALERTS) == []
    assert database.rows(JOB, 1) == [("COMPLETED", "api", 1, 1, 0, None)]
    enqueue(recalculate, begin_s, 1.01)  # to the end of the next hour
    assert recalculate("run")[0] == 0
    assert database.rows(ALERTS) == [
        ("errors", "api", "resolved", begin_s + 3060, begin_s + 3120, begin_s + 3780)
    ]


def test_only_windows_that_are_complete(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    """Events are stored up to minute 32 and 10 seconds: the alert, which ends at 33, is not known to be over."""
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(20, 30)))
    told = "UPDATE kafka_offsets SET caught_up_at = to_timestamp(%s)"
    database.execute(told, begin_s + 32 * 60 + 10)
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    assert database.rows(JOB, 1) == [("COMPLETED", "api", 1, 1, 0, None)]
    database.execute(told, begin_s + 33 * 60)
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    assert database.rows(JOB, 2)[0][4] == 1
    for not_yet in (begin_s, None):
        database.execute(told, not_yet)
        enqueue(recalculate, begin_s)
        assert recalculate("run")[0] == 1
    for job_id in (3, 4):
        (row,) = database.rows(JOB, job_id)
        assert (row[0], "no window of the range is complete yet" in row[5]) == ("FAILED", True)


def test_windows_of_each_size(database: Database, recalculate: Recalculate, begin_s: int) -> None:
    add_rule(database, "minutes", duration_seconds=0, keep_firing_seconds=0)
    add_rule(database, "fives", duration_seconds=0, keep_firing_seconds=0, window_size="5min")
    add_rule(database, "hours", duration_seconds=0, keep_firing_seconds=0, window_size="1hour")
    expected = []
    for name, size, seconds in (
        ("fives", "5min", 300),
        ("hours", "1hour", 3600),
        ("minutes", "1min", 60),
    ):
        starts = range(begin_s, begin_s + HOURS * 3600, seconds)
        add_windows(
            database, name, {start: BAD if start == starts[2] else GOOD for start in starts}, size
        )
        expected.append((name, name, "resolved", starts[3], starts[3], starts[4]))
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    assert database.rows(ALERTS) == expected  # fmt: skip


def test_one_service_and_no_other(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    add_rule(database, "errors")
    for service in ("a", "b", "c"):
        add_windows(database, service, minutes(begin_s, range(20, 30)))
    enqueue(recalculate, begin_s, HOURS, "--service", "b")
    assert recalculate("run")[0] == 0
    assert [row[1] for row in database.rows(ALERTS)] == ["b"]
    assert database.rows(JOB, 1) == [("COMPLETED", "b", 1, 1, 1, None)]
    enqueue(recalculate, begin_s, HOURS, "--service", "nobody")
    assert recalculate("run")[0] == 0
    assert [row[1] for row in database.rows(ALERTS)] == ["b"]


def test_without_rules_there_is_nothing_to_do(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    add_rule(database, "off", enabled=False)
    add_windows(database, "api", minutes(begin_s, range(20, 30)))
    enqueue(recalculate, begin_s)
    assert recalculate("run")[0] == 0
    assert database.rows(JOB, 1) == [("COMPLETED", None, 0, None, 0, None)]
