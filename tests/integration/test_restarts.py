"""Servers that stop and come back in mid-stream: nothing lost, nothing twice, no worker restarted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics_service.alerting.evaluator import BEHIND_S
from devstack.api import Stack
from tests.databases import Database
from tests.integration.streaming import Feeder, plain_events
from tests.integration.whole_way import WholeWay, open_way
from tests.integration.worker_process import WorkerProcess
from tests.stack_fixtures import create_topics, kafka_admin
from tests.waiting import wait_until

SEED = 20_260_131
NOTICED_S = 120.0
BREAKER = "stacklens_circuit_breaker_state"


@pytest.fixture
def private_way(private_stack: Stack, tmp_path: Path) -> Iterator[WholeWay]:
    """A way on servers of its own; its worker migrates the database."""
    with kafka_admin(private_stack) as admin:
        topics = create_topics(private_stack, admin)
    with open_way(Database(private_stack, private_stack.db_name), topics, tmp_path) as way:
        yield way


def wait_unready(worker: WorkerProcess, part: str) -> None:
    """Return once /health/ready is 503 and names `part`; /health must be 200 all the while."""

    def named() -> bool:
        assert worker.get("/health").status == 200
        answer = worker.get("/health/ready")
        return answer.status == 503 and part in answer.json()["failing"]

    wait_until(named, NOTICED_S, f"/health/ready names the {part}")


def wait_judging(worker: WorkerProcess, *, judging: bool) -> None:
    """Return once the metric says whether the rules are judged."""
    wanted = 0 if judging else 1
    wait_until(
        lambda: worker.metric("stacklens_evaluator_behind") == wanted, NOTICED_S, "the metric"
    )


@pytest.mark.slow
def test_database_and_broker_restart_in_mid_stream(
    private_way: WholeWay, private_stack: Stack
) -> None:
    way, database, broker = private_way, private_stack.postgres, private_stack.kafka
    assert database is not None
    assert broker is not None
    worker = way.start()
    with Feeder(way, SEED) as feeder:
        feeder.wait_progress(6_000)
        database.stop()
        wait_unready(worker, "database")
        assert worker.metric("stacklens_ready") == 0
        worker.wait_for_line("database: circuit breaker open")
        assert worker.metric(BREAKER, dependency="database") in (1, 2)
        database.start()
        worker.wait_ready()
        feeder.wait_progress(6_000)
        # A crash: flushes commit asynchronously, so what the server forgets is read again.
        database.kill()
        wait_unready(worker, "database")
        database.start()
        feeder.wait_progress(6_000)
    # The broker goes while messages wait to be read.
    way.send_values(plain_events(SEED, 20_000))
    broker.stop()
    wait_unready(worker, "broker")
    worker.wait_for_line("broker: circuit breaker open")
    assert worker.metric(BREAKER, dependency="broker") in (1, 2)
    broker.start()
    broker.wait_until_ready()
    way.wait_settled()
    worker.wait_ready()
    way.send_values(plain_events(SEED + 1, 1_000))
    way.wait_settled()
    for name in ("database", "broker"):
        worker.wait_for_line(f"{name}: answers again, circuit breaker closed")
        assert worker.metric(BREAKER, dependency=name) == 0

    assert way.differences() == []
    assert worker.exit_code is None
    assert worker.terminate() == 0
    assert worker.output.count("effective settings") == 1


@pytest.mark.slow
def test_a_database_that_comes_up_later(private_way: WholeWay, private_stack: Stack) -> None:
    database = private_stack.postgres
    assert database is not None
    database.stop()
    worker = private_way.start()
    worker.wait_for_line("Failed to initialize connection pool (attempt 1/5): ")
    worker.wait_for_line(". Retrying in 2.0s...")
    wait_unready(worker, "database")
    database.start()
    worker.wait_for_line("Connection pool initialized successfully on attempt ")
    private_way.send_values(plain_events(SEED, 100))
    private_way.wait_settled()
    worker.wait_ready()
    assert private_way.differences() == []


@pytest.mark.slow
def test_a_broker_that_is_away_is_not_taken_for_silence(
    private_way: WholeWay, private_stack: Stack
) -> None:
    """What was produced meanwhile is not known: nothing is said to be caught up, and no alert rule is judged."""
    way, broker = private_way, private_stack.kafka
    assert broker is not None
    worker = way.start()
    way.send_values(plain_events(SEED, 1_000))
    way.wait_settled()

    def behind_s() -> float:
        ((seconds,),) = way.database.rows(
            "SELECT extract(epoch FROM clock_timestamp() - min(caught_up_at))::float8 FROM kafka_offsets"
        )
        return float(seconds)

    wait_until(lambda: behind_s() < BEHIND_S, NOTICED_S, "the worker has caught up")
    wait_until(
        lambda: worker.metric("stacklens_evaluator_leader") == 1, NOTICED_S, "it evaluates rules"
    )
    wait_judging(worker, judging=True)
    broker.stop()
    wait_until(lambda: behind_s() > 2 * BEHIND_S, NOTICED_S, "what is not heard of is not stored")
    wait_judging(worker, judging=False)
    worker.wait_for_line("alerts: every alert stays as it is")
    broker.start()
    broker.wait_until_ready()
    wait_until(lambda: behind_s() < BEHIND_S, NOTICED_S, "the worker has caught up again")
    worker.wait_for_line("alerts: events are stored as they come")
    wait_judging(worker, judging=True)
