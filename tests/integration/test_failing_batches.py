"""A batch that fails for its own sake: its failures are counted in the database and outlive the worker."""

from __future__ import annotations

from devstack.api import Stack
from tests.integration.sending import Outgoing
from tests.integration.test_dead_letters import good_value, read_topic, wait_copied
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

FAILED_S = 60.0
FLUSH = "datname = current_database() AND application_name = 'stacklens-analytics flush'"
IN_SECOND_TRY = f"SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND {FLUSH}"  # noqa: S608
END_FLUSHES = f"SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE {FLUSH}"  # noqa: S608


def refuse_poison(way: WholeWay, at_first: str = "") -> None:
    """No event with the message "poison" can be stored; `at_first` is done before it is refused."""
    way.database.execute(
        f"""
        CREATE SEQUENCE tries;
        CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {at_first}
            RAISE EXCEPTION 'no poison here' USING ERRCODE = 'check_violation';
        END $$;
        CREATE TRIGGER refuse_poison BEFORE INSERT ON analytics_events
        FOR EACH ROW WHEN (NEW.message = 'poison') EXECUTE FUNCTION refuse_poison()
        """
    )


def failures(way: WholeWay) -> list[tuple[object, ...]]:
    """Where batches begin that failed, and how often they did."""
    return way.database.rows(
        "SELECT kafka_partition, first_offset, attempts FROM failing_batches ORDER BY 1, 2"
    )


def test_failures_are_counted_over_a_crash_and_forgotten_in_the_end(
    way: WholeWay, stack: Stack
) -> None:
    # A second try that lasts almost as long as a statement may: time enough to kill the worker.
    refuse_poison(way, "IF nextval('tries') = 2 THEN PERFORM pg_sleep(9); END IF;")
    way.send([Outgoing(2, good_value(message=text)) for text in ("a", "b", "poison", "c", "d")])
    first = way.start(KAFKA_GROUP_INSTANCE_ID="one")
    wait_until(lambda: way.database.rows(IN_SECOND_TRY), FAILED_S, "it tries a second time")
    assert failures(way) == [(2, 0, 1)]
    first.kill()
    # Its session would sleep on, and hold up the next worker.
    way.database.execute(END_FLUSHES)
    second = way.start(KAFKA_GROUP_INSTANCE_ID="one")
    way.wait_settled()

    # One failure before the crash, two after it, and no third one.
    assert second.output.count("flush of 5 messages failed") == 2
    assert "flush of 5 messages failed (2)" in second.output
    assert "flush of 5 messages failed (3)" in second.output
    assert failures(way) == []
    letters = way.database.rows("SELECT kafka_offset, reason, detail FROM analytics_dead_letters")
    assert [row[:2] for row in letters] == [(2, "processing_failed")]
    assert "no poison here" in str(letters[0][2])
    wait_copied(way)
    copies = [dict(record.headers) for record in read_topic(stack, way.topics.dlq)]
    assert {
        (headers["stacklens.reason"], headers["__streams.errors.offset"]) for headers in copies
    } == {(b"processing_failed", b"2")}
    rows = way.database.rows("SELECT kafka_offset FROM analytics_events ORDER BY kafka_offset")
    assert rows == [(0,), (1,), (3,), (4,)]
    assert way.database.rows("SELECT total_requests FROM analytics_metrics_1hour") == [(4,)]


def test_a_batch_that_had_failed_often_enough_is_split_at_once(way: WholeWay) -> None:
    refuse_poison(way)
    way.send([Outgoing(1, good_value(message=text)) for text in ("a", "poison", "b", "c")])
    # As a worker leaves it that crashed while it was splitting.
    way.database.execute(
        """
        INSERT INTO failing_batches (topic, topic_incarnation, kafka_partition, first_offset, attempts, last_error)
        VALUES (%s, 1, 1, 0, 3, 'as before')
        """,
        way.topics.input,
    )
    worker = way.start()
    way.wait_settled()
    assert "flush of 4 messages failed" not in worker.output
    assert failures(way) == []
    letters = way.database.rows("SELECT kafka_offset, reason FROM analytics_dead_letters")
    assert letters == [(1, "processing_failed")]
    rows = way.database.rows("SELECT kafka_offset FROM analytics_events ORDER BY kafka_offset")
    assert rows == [(0,), (2,), (3,)]


def test_what_takes_the_database_too_long_is_tried_in_smaller_pieces(way: WholeWay) -> None:
    """A flush that runs into the statement timeout would do so for ever."""
    way.database.execute(
        """
        CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(0.03); RETURN NEW; END $$;
        CREATE TRIGGER be_slow BEFORE INSERT ON analytics_events FOR EACH ROW EXECUTE FUNCTION be_slow()
        """
    )
    # 15 s by one statement of 10 s: one batch of the broker's, so that they are flushed together.
    way.send([Outgoing(0, good_value(user_id=f"u{n}")) for n in range(500)])
    worker = way.start()
    way.wait_settled()
    assert way.differences() == []
    assert worker.metric("stacklens_flush_failures_total", cause="batch") == 0
    assert worker.metric("stacklens_flush_failures_total", cause="database") >= 1
    assert failures(way) == []
    assert worker.terminate() == 0
