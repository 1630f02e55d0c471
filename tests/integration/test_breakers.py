"""The circuit breakers of a running worker: open when a dependency keeps failing, closed when it is back."""

from __future__ import annotations

from tests.integration.sending import Outgoing
from tests.integration.test_dead_letters import good_value
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

OPENED_S = 60.0
BACK_S = 60.0
GAUGE = "stacklens_circuit_breaker_state"


def test_a_database_that_answers_but_refuses_to_store(way: WholeWay) -> None:
    worker = way.start().wait_ready()
    assert worker.metric(GAUGE, dependency="database") == 0
    assert worker.metric(GAUGE, dependency="broker") == 0
    way.database.execute("ALTER TABLE analytics_events RENAME TO mislaid")
    way.send([Outgoing(n % 6, good_value()) for n in range(60)])
    worker.wait_for_line("database: circuit breaker open, trying again every 2 s", OPENED_S)
    wait_until(lambda: worker.get("/health/ready").status == 503, OPENED_S, "it is not ready")
    assert worker.get("/health").status == 200  # restarting it would not help
    assert "flushes fail" in worker.get("/health/ready").body.decode()
    # Being asked and answering does not close it: every sample is open, or half open during a try.
    assert {worker.metric(GAUGE, dependency="database") for _ in range(50)} <= {1, 2}

    way.database.execute("ALTER TABLE mislaid RENAME TO analytics_events")
    way.wait_settled(deadline_s=BACK_S)
    wait_until(lambda: worker.get("/health/ready").status == 200, BACK_S, "it is ready again")
    assert worker.metric(GAUGE, dependency="database") == 0
    assert "database: answers again, circuit breaker closed" in worker.output
    assert way.differences() == []
    assert worker.metric("stacklens_flush_failures_total", cause="database") >= 5
