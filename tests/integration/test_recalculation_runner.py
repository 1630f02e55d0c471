"""Doing jobs: trouble, poison, a claim that is lost, a stop in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg2 import sql

from analytics_service.adapters.timescale import recalculation_queue as queue
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import load_settings
from analytics_service.domain.windows import WINDOWS
from analytics_service.recalculation import ATTEMPTS, Outcome, Runner
from tests.databases import Database

HOUR = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENTS = 40
ROWS = "SELECT count(*), coalesce(sum(total_requests), 0)::bigint FROM analytics_metrics_1min"


@pytest.fixture
def make_runner(database: Database) -> Iterator[Callable[..., Runner]]:
    """Runners on a database with one job over some raw events of 40 minutes, of which no window is left."""
    for minute in range(EVENTS):
        database.execute(
            """
            INSERT INTO analytics_events (timestamp, service, level, topic_incarnation, kafka_partition, kafka_offset)
            VALUES (%s, 's', 'info', 1, 0, %s)
            """,
            HOUR + timedelta(minutes=minute),
            minute,
        )
    params = parameters(load_settings({**database.env, "APP_ENV": "test"}, env_file=None))
    with contextlib.closing(params.connect()) as conn:
        queue.enqueue_windows(conn, (HOUR, HOUR + timedelta(hours=1)), WINDOWS)
        conn.commit()
    with contextlib.ExitStack() as closing:

        def make(**options: Any) -> Runner:
            runner = Runner(params, WINDOWS, 0.8, **options)
            closing.callback(runner.close)
            return runner

        yield make


def refuse_writes(database: Database, sqlstate: str) -> None:
    """Every window row is refused with this state, and with a message that tells the password."""
    database.execute(
        sql.SQL(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = 'refused, ' || {}; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON analytics_metrics_1min FOR EACH ROW EXECUTE FUNCTION refuse()
            """
        ).format(sql.Literal(sqlstate), sql.Literal(database.stack.db_password))
    )


def outcome(runner: Runner) -> Outcome:
    done = runner.run_next()
    assert done is not None
    return done[1]


def status(database: Database) -> str:
    ((found,),) = database.rows("SELECT status FROM recalculation_queue")
    return str(found)


@pytest.mark.parametrize(("sqlstate", "attempts"), [("40001", ATTEMPTS), ("23514", 1)])
def test_trouble_is_tried_again_for_a_while_and_poison_is_not(
    database: Database, make_runner: Callable[..., Runner], sqlstate: str, attempts: int
) -> None:
    refuse_writes(database, sqlstate)
    pauses: list[float] = []
    assert outcome(make_runner(sleep=pauses.append)) is Outcome.FAILED
    assert len(pauses) == attempts - 1
    assert pauses == sorted(pauses)
    ((error, finished),) = database.rows("SELECT last_error, finished_at FROM recalculation_queue")
    assert "refused, ********" in error
    assert database.stack.db_password not in error
    assert finished is not None
    assert database.rows(ROWS) == [(0, 0)]
    assert make_runner().run_next() is None, "a failed job is not done again"


def test_trouble_that_passes(database: Database, make_runner: Callable[..., Runner]) -> None:
    refuse_writes(database, "40001")
    runner = make_runner(sleep=lambda _: database.execute("DROP FUNCTION IF EXISTS refuse CASCADE"))
    assert outcome(runner) is Outcome.COMPLETED
    assert database.rows(ROWS) == [(EVENTS, EVENTS)]


def test_a_job_that_another_process_took_over(
    database: Database, make_runner: Callable[..., Runner]
) -> None:
    def take_over(*_: object) -> None:
        database.execute("UPDATE recalculation_queue SET claimed_by = 'other'")

    assert outcome(make_runner(on_progress=take_over)) is Outcome.TAKEN_OVER
    assert status(database) == "RUNNING"
    assert database.rows(ROWS) == [(1, 1)], "nothing was written after the claim was lost"
    assert make_runner().run_next() is None
    assert make_runner().is_open()


def test_stopped_between_two_batches_and_gone_on_with(
    database: Database, make_runner: Callable[..., Runner]
) -> None:
    shown: list[tuple[int, int]] = []

    def show(_job: object, done: int, total: int) -> None:
        shown.append((done, total))

    first = make_runner(on_progress=show, is_stopping=lambda: len(shown) == 3)
    assert outcome(first) is Outcome.STOPPED
    assert database.rows(ROWS) == [(3, 3)]
    assert outcome(make_runner(on_progress=show)) is Outcome.COMPLETED
    batches = 60 + 12 + 1
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)
    assert shown[0] == (1, batches)
    assert shown[3] == (4, batches), "it went on where it stood"
    assert shown[-1] == (batches, batches)
    assert database.rows(ROWS) == [(EVENTS, EVENTS)]
    assert not make_runner().is_open()
