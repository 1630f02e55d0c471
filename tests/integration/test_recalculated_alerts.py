"""RECALC_ALERTS: alerts that nobody has seen, found in stored windows and put down without waking anybody."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import sql
from psycopg2.extras import execute_values

from analytics_service.adapters.timescale.alert_rows import fingerprint
from analytics_service.adapters.timescale.alert_store import read_states
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import load_settings
from analytics_service.domain.windows import WINDOWS
from analytics_service.entrypoints.cli.main import run as run_cli
from analytics_service.recalculation import Outcome, Runner
from tests.databases import Database
from tests.integration.worker_process import STACKLENS
from tests.waiting import wait_until

TOPIC = "stacklens-analytics"
HOURS = 6
GOOD, BAD = 1.0, 50.0
ALERTS = """
    SELECT rule_name, service, status, extract(epoch FROM pending_since)::bigint,
        extract(epoch FROM active_since)::bigint, extract(epoch FROM resolved_at)::bigint
    FROM analytics_alerts ORDER BY rule_name, service, pending_since
"""
JOB = "SELECT status, step, steps_done, steps_total, rows_written, last_error FROM recalculation_queue WHERE id = %s"
Moments = tuple[int, int, int]


@pytest.fixture
def begin_s() -> int:
    """The start of a range of whole hours that is over."""
    return int(datetime.now(UTC).timestamp()) // 3600 * 3600 - HOURS * 3600


@pytest.fixture(autouse=True)
def stored(database: Database) -> None:
    """Everything produced is stored, as a worker would have told."""
    database.execute(
        "INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id) VALUES (%s, 1, 'id')", TOPIC
    )  # fmt: skip
    database.execute(
        "INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset, caught_up_at)"
        " VALUES (%s, 1, 0, 0, now())",
        TOPIC,
    )


@pytest.fixture
def stacklens(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:
    """`stacklens recalculate` in this process: exit status and what it printed."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**database.env, "APP_ENV": "test"}.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> tuple[int, str]:
        status = run_cli(["recalculate", *arguments])
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    return call


Stacklens = Callable[..., tuple[int, str]]


def enqueue(call: Stacklens, begin_s: int, hours: float = HOURS, *more: str) -> None:
    """Ask for the alerts of so many hours."""
    begin, end = (datetime.fromtimestamp(at_s, UTC) for at_s in (begin_s, begin_s + 3600 * hours))
    span = ("--from", begin.isoformat(), "--to", end.isoformat())
    status, output = call("enqueue", "--job-type", "RECALC_ALERTS", *span, *more)
    assert status == 0, output


def add_rule(database: Database, name: str, **changes: Any) -> None:
    """Error rate above 5 percent for a minute, and over after two; all services, 1min windows."""
    fields = {
        "rule_name": name,
        "metric_name": "error_rate",
        "operator": ">",
        "threshold": 5.0,
        "severity": "critical",
        "duration_seconds": 60,
        "keep_firing_seconds": 120,
        "notification_channels": ["slack", "email", "pagerduty"],
        **changes,
    }
    statement = sql.SQL("INSERT INTO analytics_alert_rules ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, fields)),
        sql.SQL(", ").join([sql.Placeholder()] * len(fields)),
    )
    database.execute(statement, *fields.values())


def add_windows(
    database: Database, service: str, rates: Mapping[int, float], size: str = "1min"
) -> None:
    """Windows with this error rate, by their start."""
    insert = sql.SQL(
        "INSERT INTO {} (timestamp, service, total_requests, error_rate) VALUES %s"
    ).format(sql.Identifier(f"analytics_metrics_{size}"))
    rows = [
        (datetime.fromtimestamp(start, UTC), service, 100, rate) for start, rate in rates.items()
    ]
    with database.cursor() as cursor:
        execute_values(cursor, insert, rows)


def minutes(begin_s: int, *bad: range, count: int = HOURS * 60) -> dict[int, float]:
    """A window for each minute, bad in some."""
    return {
        begin_s + 60 * number: BAD if any(number in each for each in bad) else GOOD
        for number in range(count)
    }


def brute_force(
    rates: Mapping[int, float],
    span: tuple[int, int],
    duration_s: int,
    keep_s: int,
    limit: float = 5.0,
) -> list[Moments]:
    """When an alert begins, fires and ends, each tenth second looked at; windows without gaps that matter."""
    found: list[Moments] = []
    bad_since = fired_at = good_since = None
    for now in range(span[0], span[1] + 1, 10):
        rate = rates.get(now // 60 * 60 - 60) if now >= span[0] + 60 else None
        if rate is None:
            continue
        is_bad = rate > limit
        if fired_at is None:
            bad_since = (now if bad_since is None else bad_since) if is_bad else None
            if bad_since is not None and now - bad_since >= duration_s:
                fired_at, good_since = now, None
        elif is_bad:
            good_since = None
        else:
            good_since = now if good_since is None else good_since
            if now - good_since >= keep_s:
                assert bad_since is not None
                found.append((bad_since, fired_at, now))
                bad_since = fired_at = good_since = None
    return found  # fmt: skip


def untold(database: Database) -> bool:
    """Whether nothing is to be told to anybody, and the evaluator knows of nothing."""
    tables = ("alert_outbox", "alert_states", "notified_episodes", "alert_deliveries")
    counts = [database.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]  # noqa: S608
    with database.cursor() as cursor:
        return counts == [0, 0, 0, 0] and read_states(cursor) == {}


def test_an_incident_that_no_evaluator_saw(
    database: Database, stacklens: Stacklens, begin_s: int
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
    enqueue(stacklens, begin_s)
    assert stacklens("run") == (0, "Job 1: completed.")
    expected.sort(key=lambda row: (row[0], row[1].encode(), row[3]))
    assert database.rows(ALERTS) == expected
    assert database.rows(JOB, 1) == [
        ("COMPLETED", "it's, {odd} \\ 日本", 2, 2, len(expected), None)
    ]
    assert untold(database)

    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
    assert database.rows(ALERTS) == expected
    assert database.rows(JOB, 2)[0][2:5] == (2, 2, 0)


def test_what_is_written_of_an_alert(
    database: Database, stacklens: Stacklens, begin_s: int
) -> None:
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(100, 110)))
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
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
    database: Database, stacklens: Stacklens, begin_s: int
) -> None:
    add_rule(database, "errors", duration_seconds=0)
    add_windows(database, "api", minutes(begin_s, range(10, 15), count=15))
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
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
    database: Database, stacklens: Stacklens, begin_s: int, status: str
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
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
    assert database.rows(there) == before
    # 20: over at 21, fires at 22; 30: over at 31, two minutes later it is over.
    assert database.rows(ALERTS.replace("ORDER BY", "WHERE threshold <> 4 ORDER BY")) == [
        ("errors", "api", "resolved", begin_s + 1260, begin_s + 1320, begin_s + 1980),
        ("errors", "web", "resolved", begin_s + 6060, begin_s + 6120, begin_s + 6780),
    ]


def test_alerts_that_touch_or_are_of_another_rule_do_not_count(
    database: Database, stacklens: Stacklens, begin_s: int
) -> None:
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(20, 30)))
    # The episode to be found: minutes 21 to 33.
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
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
    assert database.rows(JOB, 1)[0][4] == 1


def test_what_still_fires_at_the_end_is_left_to_the_evaluator(
    database: Database, stacklens: Stacklens, begin_s: int
) -> None:
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(50, 60)))
    enqueue(stacklens, begin_s, 1)
    assert stacklens("run")[0] == 0
    assert database.rows(ALERTS) == []
    assert database.rows(JOB, 1) == [("COMPLETED", "api", 1, 1, 0, None)]
    enqueue(stacklens, begin_s, 1.01)  # to the end of the next hour
    assert stacklens("run")[0] == 0
    assert database.rows(ALERTS) == [
        ("errors", "api", "resolved", begin_s + 3060, begin_s + 3120, begin_s + 3780)
    ]


def test_only_windows_that_are_complete(
    database: Database, stacklens: Stacklens, begin_s: int
) -> None:
    """Events are stored up to minute 32 and 10 seconds: the alert, which ends at 33, is not known to be over."""
    add_rule(database, "errors")
    add_windows(database, "api", minutes(begin_s, range(20, 30)))
    told = "UPDATE kafka_offsets SET caught_up_at = to_timestamp(%s)"
    database.execute(told, begin_s + 32 * 60 + 10)
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
    assert database.rows(JOB, 1) == [("COMPLETED", "api", 1, 1, 0, None)]
    database.execute(told, begin_s + 33 * 60)
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
    assert database.rows(JOB, 2)[0][4] == 1
    for not_yet in (begin_s, None):
        database.execute(told, not_yet)
        enqueue(stacklens, begin_s)
        assert stacklens("run")[0] == 1
    for job_id in (3, 4):
        (row,) = database.rows(JOB, job_id)
        assert (row[0], "no window of the range is complete yet" in row[5]) == ("FAILED", True)


def test_windows_of_each_size(database: Database, stacklens: Stacklens, begin_s: int) -> None:
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
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
    assert database.rows(ALERTS) == expected  # fmt: skip


def test_one_service_and_no_other(database: Database, stacklens: Stacklens, begin_s: int) -> None:
    add_rule(database, "errors")
    for service in ("a", "b", "c"):
        add_windows(database, service, minutes(begin_s, range(20, 30)))
    enqueue(stacklens, begin_s, HOURS, "--service", "b")
    assert stacklens("run")[0] == 0
    assert [row[1] for row in database.rows(ALERTS)] == ["b"]
    assert database.rows(JOB, 1) == [("COMPLETED", "b", 1, 1, 1, None)]
    enqueue(stacklens, begin_s, HOURS, "--service", "nobody")
    assert stacklens("run")[0] == 0
    assert [row[1] for row in database.rows(ALERTS)] == ["b"]


def test_without_rules_there_is_nothing_to_do(
    database: Database, stacklens: Stacklens, begin_s: int
) -> None:
    add_rule(database, "off", enabled=False)
    add_windows(database, "api", minutes(begin_s, range(20, 30)))
    enqueue(stacklens, begin_s)
    assert stacklens("run")[0] == 0
    assert database.rows(JOB, 1) == [("COMPLETED", None, 0, None, 0, None)]


@pytest.fixture
def make_runner(database: Database) -> Iterator[Callable[..., Runner]]:
    """Runners in this process."""
    params = parameters(load_settings({**database.env, "APP_ENV": "test"}, env_file=None))
    with contextlib.ExitStack() as closing:

        def make(**options: Any) -> Runner:
            runner = Runner(params, WINDOWS, 0.8, TOPIC, **options)
            closing.callback(runner.close)
            return runner

        yield make


def incident_of(database: Database, services: str, begin_s: int) -> None:
    """Each of the services has one alert that was missed."""
    add_rule(database, "errors")
    for service in services:
        add_windows(database, service, minutes(begin_s, range(20, 30)))


def test_stopped_between_two_services_and_gone_on_with(
    database: Database, stacklens: Stacklens, make_runner: Callable[..., Runner], begin_s: int
) -> None:
    incident_of(database, "Zab", begin_s)
    enqueue(stacklens, begin_s)
    shown: list[tuple[int, int]] = []

    def show(_job: object, done: int, total: int) -> None:
        shown.append((done, total))

    first = make_runner(on_progress=show, is_stopping=lambda: len(shown) == 1).run_next()
    assert first is not None
    assert first[1] is Outcome.STOPPED
    assert database.rows(JOB, 1) == [("RUNNING", "Z", 1, 3, 1, None)]
    second = make_runner(on_progress=show).run_next()
    assert second is not None
    assert second[1] is Outcome.COMPLETED
    assert shown == [(1, 3), (2, 3), (3, 3)]
    assert [row[1] for row in database.rows(ALERTS)] == ["Z", "a", "b"]
    assert database.rows(JOB, 1) == [("COMPLETED", "b", 3, 3, 3, None)]


def test_a_job_that_another_process_took_over(
    database: Database, stacklens: Stacklens, make_runner: Callable[..., Runner], begin_s: int
) -> None:
    incident_of(database, "ab", begin_s)
    enqueue(stacklens, begin_s)

    def take_over(*_: object) -> None:
        database.execute("UPDATE recalculation_queue SET claimed_by = 'other'")

    done = make_runner(on_progress=take_over).run_next()
    assert done is not None
    assert done[1] is Outcome.TAKEN_OVER
    assert [row[1] for row in database.rows(ALERTS)] == ["a"], "nothing after the claim was lost"


def test_killed_in_the_middle_and_gone_on_with(
    database: Database, stacklens: Stacklens, tmp_path: Path, begin_s: int
) -> None:
    incident_of(database, "abc", begin_s)
    enqueue(stacklens, begin_s)
    database.execute(
        """
        CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
        CREATE TRIGGER wait_here BEFORE INSERT ON analytics_alerts
        FOR EACH ROW WHEN (NEW.service = 'b') EXECUTE FUNCTION wait_here()
        """
    )
    env = {**os.environ, **database.env, "APP_ENV": "test"}
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711"
    )
    with (
        database.cursor() as holder,
        (tmp_path / "run.log").open("wb") as log,
        subprocess.Popen(
            [STACKLENS, "recalculate", "run"], env=env, cwd=tmp_path, stdout=log, stderr=log
        ) as process,
    ):
        holder.execute("SELECT pg_advisory_lock(4711)")
        try:
            wait_until(lambda: database.rows(waiting) == [(1,)], 60, "it is in the middle of b")
        finally:
            process.kill()
        process.wait()
    assert database.rows(JOB, 1) == [("RUNNING", "a", 1, 3, 1, None)]
    assert [row[1] for row in database.rows(ALERTS)] == ["a"]
    assert stacklens("run", "--once") == (0, "Nothing was waiting."), "it is still claimed"
    # As if the claim's time were over. Of what is done already nothing would be found any more.
    database.execute("UPDATE recalculation_queue SET claimed_until = now()")
    database.execute("UPDATE analytics_alerts SET rule_name = 'another name'")
    assert stacklens("run", "--once") == (0, "Job 1: completed.")
    assert database.rows(JOB, 1) == [("COMPLETED", "c", 3, 3, 3, None)]
    assert [row[:2] for row in database.rows(ALERTS)] == [
        ("another name", "a"), ("errors", "b"), ("errors", "c")
    ]  # fmt: skip


def test_a_range_that_begins_before_the_windows_are_whole(
    database: Database, stacklens: Stacklens, begin_s: int
) -> None:
    incident_of(database, "ab", begin_s)
    limit = "UPDATE retention_tiers SET archived_before = to_timestamp(%s) WHERE tier = %s"
    database.execute(limit, begin_s + 60, "warm")
    first = datetime.fromtimestamp(begin_s + 3600, UTC)
    begin = (first - timedelta(seconds=1)).isoformat()
    asked = ("enqueue", "--job-type", "RECALC_ALERTS", "--to", "now", "--from")
    status, output = stacklens(*asked, begin)
    assert status == 2
    assert f"it may begin at {first.isoformat()}" in output
    assert database.rows("SELECT count(*) FROM recalculation_queue") == [(0,)]
    assert stacklens(*asked, first.isoformat())[0] == 0
    # Archived while it waited.
    database.execute(limit, begin_s + 3660, "warm")
    assert stacklens("run")[0] == 1
    (row,) = database.rows(JOB, 1)
    assert (row[0], "was archived before the alerts" in row[5]) == ("FAILED", True)
    assert database.rows(ALERTS) == []


def test_archived_between_two_services(
    database: Database, stacklens: Stacklens, make_runner: Callable[..., Runner], begin_s: int
) -> None:
    incident_of(database, "ab", begin_s)
    enqueue(stacklens, begin_s)

    def archive(*_: object) -> None:
        database.execute("UPDATE retention_tiers SET archived_before = now() WHERE tier = 'warm'")

    done = make_runner(on_progress=archive).run_next()
    assert done is not None
    assert done[1] is Outcome.FAILED
    assert [row[1] for row in database.rows(ALERTS)] == ["a"]
