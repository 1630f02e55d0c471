"""Replays asked for through the API: a worker sends them, and each letter is stored once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from psycopg2 import Binary

from tests.api_writes import Sender, writing_app
from tests.integration.sending import Outgoing
from tests.integration.test_dead_letters import good_value
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

REPLAYED_S = 60.0
OLD_DAYS = 10
STATES = "SELECT status, count(*) FROM analytics_dead_letters GROUP BY status ORDER BY status"


def old_value(number: int) -> bytes:
    """An event that is too old by default."""
    then = datetime.now(UTC) - timedelta(days=OLD_DAYS, seconds=number)
    return good_value(timestamp=then.isoformat(), user_id=f"old {number}")


def test_workers_send_what_was_asked_for_and_store_it_once(way: WholeWay) -> None:
    way.send([Outgoing(n % 6, old_value(n)) for n in range(150)])
    way.send([Outgoing(0, b"never json")])
    first = way.start()
    way.wait_settled()
    assert first.terminate() == 0
    assert way.database.rows(STATES) == [("pending", 151)]

    with writing_app(way.database, KAFKA_INPUT_TOPIC=way.topics.input) as app:
        sender = Sender(app.test_client())
        # Two workers, and asked for twice: more than one batch, sent by whoever comes first.
        for _ in range(2):
            way.start(MAX_EVENT_AGE_DAYS=str(OLD_DAYS + 5))
        answer = sender.send("POST", "/dead-letters/replay", {"reason": "too_old"}, expect=202)
        assert answer == {"queued": 150, "left": 0}
        wait_until(
            lambda: way.database.rows(STATES) == [("pending", 1), ("replayed", 150)],
            REPLAYED_S,
            "150 letters are replayed",
        )
        (letter,) = sender.send("GET", "/dead-letters")["dead_letters"]
        assert (letter["reason"], letter["replay_requested_at"]) == ("invalid_json", None)
        sender.send("POST", "/dead-letters/replay", {"reason": "too_old"}, expect=404)

        # One that fails again comes back with its count raised; one that is settled meanwhile is not sent.
        sender.send("POST", "/dead-letters/replay", {"ids": [letter["id"]]}, expect=202)
        wait_until(
            lambda: sender.send("GET", f"/dead-letters/{letter['id']}")["retry_count"] == 1,
            REPLAYED_S,
            "the letter has failed again",
        )
    stored = "SELECT count(*), count(DISTINCT user_id) FROM analytics_events"
    assert way.database.rows(stored) == [(150, 150)]
    requests = "SELECT count(*) FROM dead_letter_replays"
    # What has come of a request is known a little before a worker forgets it.
    wait_until(
        lambda: way.database.rows(requests) == [(0,)], REPLAYED_S, "the requests are forgotten"
    )


def test_what_the_broker_refuses_and_what_is_settled(way: WholeWay) -> None:
    way.start()
    way.send([Outgoing(0, good_value())])
    way.wait_settled()
    insert = (
        "INSERT INTO analytics_dead_letters (topic, topic_incarnation, kafka_partition, kafka_offset, reason,"
        " raw_value, status) VALUES (%s, 1, 0, %s, 'too_large', %s, %s) RETURNING id"
    )
    too_large = Binary(b"x" * 3_000_000)
    ((refused,),) = way.database.rows(insert, way.topics.input, 1000, too_large, "pending")
    ((settled,),) = way.database.rows(insert, way.topics.input, 1001, too_large, "discarded")
    way.database.execute(
        "INSERT INTO dead_letter_replays (dead_letter_id, requested_by) VALUES (%s, 'ada'), (%s, 'ada')",
        refused,
        settled,
    )
    asked = "SELECT dead_letter_id, refused IS NOT NULL FROM dead_letter_replays"
    wait_until(
        lambda: way.database.rows(asked) == [(refused, True)],
        REPLAYED_S,
        "the broker's answer is known",
    )
    ((why,),) = way.database.rows("SELECT refused FROM dead_letter_replays")
    assert "MessageSizeTooLarge" in why
    assert way.database.rows(
        "SELECT status FROM analytics_dead_letters WHERE id = %s", refused
    ) == [("pending",)]
