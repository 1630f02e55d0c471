"""Jobs of RECALC_ALERTS: stopped, killed, taken over, two at once, and ranges that are refused."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import load_settings
from analytics_service.domain.windows import WINDOWS
from analytics_service.recalculation import Outcome, Runner
from tests.databases import Database
from tests.integration.missed_alerts import (
    ALERTS,
    JOB,
    TOPIC,
    Recalculate,
    enqueue,
    incident_of,
    range_begin_s,
)
from tests.integration.worker_process import STACKLENS
from tests.waiting import wait_until

# Processes that wait for an advisory lock in this database.
WAITING = """
    SELECT count(*) FROM pg_locks AS held INNER JOIN pg_database AS d ON d.oid = held.database
    WHERE held.locktype = 'advisory' AND NOT held.granted AND d.datname = current_database()
"""


@pytest.fixture
def begin_s() -> int:
    """The start of the range."""
    return range_begin_s()


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


def test_stopped_between_two_services_and_gone_on_with(
    database: Database, recalculate: Recalculate, make_runner: Callable[..., Runner], begin_s: int
) -> None:
    incident_of(database, "Zab", begin_s)
    enqueue(recalculate, begin_s)
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
    database: Database, recalculate: Recalculate, make_runner: Callable[..., Runner], begin_s: int
) -> None:
    incident_of(database, "ab", begin_s)
    enqueue(recalculate, begin_s)

    def take_over(*_: object) -> None:
        database.execute("UPDATE recalculation_queue SET claimed_by = 'other'")

    done = make_runner(on_progress=take_over).run_next()
    assert done is not None
    assert done[1] is Outcome.TAKEN_OVER
    assert [row[1] for row in database.rows(ALERTS)] == ["a"], "nothing after the claim was lost"


def wait_before_alerts_of_b(database: Database) -> None:
    """Whoever writes an alert of service b waits while a test holds lock 4711."""
    database.execute(
        """
        CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
        CREATE TRIGGER wait_here BEFORE INSERT ON analytics_alerts
        FOR EACH ROW WHEN (NEW.service = 'b') EXECUTE FUNCTION wait_here()
        """
    )


def test_two_jobs_at_once_record_an_alert_once(
    database: Database, recalculate: Recalculate, make_runner: Callable[..., Runner], begin_s: int
) -> None:
    incident_of(database, "b", begin_s)
    enqueue(recalculate, begin_s)
    enqueue(recalculate, begin_s)
    wait_before_alerts_of_b(database)
    with ThreadPoolExecutor(2) as threads, database.cursor() as holder:
        holder.execute("SELECT pg_advisory_lock(4711)")
        try:
            running = [threads.submit(make_runner().run_next) for _ in range(2)]
            wait_until(lambda: database.rows(WAITING) == [(2,)], 60, "both are there")
        finally:
            holder.execute("SELECT pg_advisory_unlock(4711)")
        outcomes = [each.result() for each in running]
    assert [done and done[1] for done in outcomes] == [Outcome.COMPLETED] * 2
    assert [row[1] for row in database.rows(ALERTS)] == ["b"]
    rows = database.rows("SELECT rows_written FROM recalculation_queue ORDER BY rows_written")
    assert rows == [(0,), (1,)]


def test_killed_in_the_middle_and_gone_on_with(
    database: Database, recalculate: Recalculate, tmp_path: Path, begin_s: int
) -> None:
    incident_of(database, "abc", begin_s)
    enqueue(recalculate, begin_s)
    wait_before_alerts_of_b(database)
    env = {**os.environ, **database.env, "APP_ENV": "test"}
    with database.cursor() as holder, (tmp_path / "run.log").open("wb") as log:
        holder.execute("SELECT pg_advisory_lock(4711)")
        with subprocess.Popen(
            [STACKLENS, "recalculate", "run"], env=env, cwd=tmp_path, stdout=log, stderr=log
        ) as process:
            try:
                wait_until(lambda: database.rows(WAITING) == [(1,)], 60, "it is in the middle of b")
            finally:
                process.kill()
    assert database.rows(JOB, 1) == [("RUNNING", "a", 1, 3, 1, None)]
    assert [row[1] for row in database.rows(ALERTS)] == ["a"]
    assert recalculate("run", "--once") == (0, "Nothing was waiting."), "it is still claimed"
    # As if the claim's time were over. Of what is done already nothing would be found any more.
    database.execute("UPDATE recalculation_queue SET claimed_until = now()")
    database.execute("UPDATE analytics_alerts SET rule_name = 'another name'")
    assert recalculate("run", "--once") == (0, "Job 1: completed.")
    assert database.rows(JOB, 1) == [("COMPLETED", "c", 3, 3, 3, None)]
    assert [row[:2] for row in database.rows(ALERTS)] == [
        ("another name", "a"), ("errors", "b"), ("errors", "c")
    ]  # fmt: skip


def test_a_range_that_begins_before_the_windows_are_whole(
    database: Database, recalculate: Recalculate, begin_s: int
) -> None:
    incident_of(database, "ab", begin_s)
    limit = "UPDATE retention_tiers SET archived_before = to_timestamp(%s) WHERE tier = %s"
    database.execute(limit, begin_s + 60, "warm")
    first = datetime.fromtimestamp(begin_s + 3600, UTC)
    begin = (first - timedelta(seconds=1)).isoformat()
    asked = ("enqueue", "--job-type", "RECALC_ALERTS", "--to", "now", "--from")
    status, output = recalculate(*asked, begin)
    assert status == 2
    assert f"it may begin at {first.isoformat()}" in output
    assert database.rows("SELECT count(*) FROM recalculation_queue") == [(0,)]
    assert recalculate(*asked, first.isoformat())[0] == 0
    # Archived while it waited.
    database.execute(limit, begin_s + 3660, "warm")
    database.execute("DELETE FROM analytics_metrics_1min")
    assert recalculate("run")[0] == 1
    (row,) = database.rows(JOB, 1)
    assert (row[0], "was archived before the alerts" in row[5]) == ("FAILED", True)
    assert database.rows(ALERTS) == []


def test_archived_between_two_services(
    database: Database, recalculate: Recalculate, make_runner: Callable[..., Runner], begin_s: int
) -> None:
    incident_of(database, "ab", begin_s)
    enqueue(recalculate, begin_s)

    def archive(*_: object) -> None:
        database.execute("UPDATE retention_tiers SET archived_before = now() WHERE tier = 'warm'")

    done = make_runner(on_progress=archive).run_next()
    assert done is not None
    assert done[1] is Outcome.FAILED
    assert [row[1] for row in database.rows(ALERTS)] == ["a"]
