"""Dead letters: one row each in the table, original bytes included, and their copies on the topic."""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from devstack.api import Stack
from tests.integration.sending import Outgoing
from tests.integration.whole_way import WholeWay
from tests.reference.bad_values import bad_values, encoded
from tests.stack_fixtures import INPUT_PARTITIONS, kafka_admin
from tests.waiting import wait_until

KEYS = (None, b"", b"key", b"\x00\xff\t\n\\N")
COPIED_S = 60.0


def bad_messages() -> list[tuple[str, Outgoing]]:
    """Every kind of bad value with its reason, under all kinds of keys; a tombstone under each."""
    tombstones: list[tuple[str, bytes | None]] = [("empty", None)] * len(KEYS)
    return [
        (reason, Outgoing(number % INPUT_PARTITIONS, value, KEYS[number % len(KEYS)]))
        for number, (reason, value) in enumerate([*tombstones, *bad_values(datetime.now(UTC))])
    ]


def good_value(**fields: object) -> bytes:
    """An event that keeps every rule."""
    now = datetime.now(UTC).isoformat()
    return encoded({"timestamp": now, "service": "neighbour", "level": "info", **fields})


def read_topic(stack: Stack, topic: str) -> list[Any]:
    """Every record of a topic with one partition, up to its present end."""
    consumer = KafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap_servers,
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    with contextlib.closing(consumer):
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        records: list[Any] = []
        while consumer.position(partition) < end:
            for batch in consumer.poll(timeout_ms=1000).values():
                records += batch
        return records


def wait_copied(way: WholeWay, deadline_s: float = COPIED_S) -> None:
    """Return once no copy is pending any more."""
    query = "SELECT count(*) FROM analytics_dead_letters WHERE topic_copy = 'pending'"
    wait_until(lambda: way.database.rows(query) == [(0,)], deadline_s, "every copy is settled")


def test_rows_and_copies_carry_the_original(way: WholeWay, stack: Stack) -> None:
    bad = bad_messages()
    sent = way.send(message for _, message in bad)
    worker = way.start()
    way.wait_settled()
    wait_copied(way)

    # By (partition, reason, key, value): sending keeps each partition's order, so this names them.
    wanted = Counter((m.partition, reason, m.key, m.value) for reason, m in bad)
    columns = "kafka_partition, kafka_offset, reason, raw_key, raw_value"
    rows = way.database.rows(
        f"SELECT {columns}, topic, topic_incarnation, status, retry_count, topic_copy,"  # noqa: S608  # fixed names
        " length(detail) > 0 FROM analytics_dead_letters"
    )
    found = Counter((row[0], row[2], as_bytes(row[3]), as_bytes(row[4])) for row in rows)
    assert found == wanted
    assert {row[5:] for row in rows} == {(way.topics.input, 1, "pending", 0, "sent", True)}
    values = {(message.partition, message.offset): message.value for message in sent}
    assert {(row[0], row[1]): as_bytes(row[4]) for row in rows} == values

    # The copies: at least once, so they are told apart by where they came from.
    copies = {}
    for record in read_topic(stack, way.topics.dlq):
        headers = dict(record.headers)
        assert len(headers) == len(record.headers) == 6
        assert headers["__streams.errors.topic"] == way.topics.input.encode()
        assert headers["__streams.errors.exception"]
        assert headers["__streams.errors.message"]
        place = (
            int(headers["__streams.errors.partition"]),
            int(headers["__streams.errors.offset"]),
        )
        copies[place] = (headers["stacklens.reason"].decode(), record.key, record.value)
    assert copies == {
        (row[0], row[1]): (row[2], as_bytes(row[3]), as_bytes(row[4])) for row in rows
    }

    wait_until(
        lambda: worker.metric("stacklens_dead_letters_pending") == len(bad),
        COPIED_S,
        "the metric counts the dead letters",
    )


def as_bytes(value: memoryview | None) -> bytes | None:
    """A bytea as psycopg2 gives it, as bytes."""
    return None if value is None else bytes(value)


def test_a_copy_the_broker_refuses_stays_in_the_table(way: WholeWay, stack: Stack) -> None:
    small = f"small-{secrets.token_hex(4)}"
    with kafka_admin(stack) as admin:
        configs = {"max.message.bytes": "2000"}
        admin.create_topics(
            {small: {"num_partitions": 1, "replication_factor": 1, "configs": configs}},
            wait_for_metadata=True,
        )
        large, little = b"x" * 10_000, b"y"
        way.send([Outgoing(0, large), Outgoing(0, little), Outgoing(1, large), Outgoing(2, little)])
        way.start(KAFKA_DLQ_TOPIC=small)
        way.wait_settled()
        wait_copied(way)

        assert sorted(
            way.database.rows("SELECT length(raw_value), topic_copy FROM analytics_dead_letters")
        ) == [(1, "sent"), (1, "sent"), (10_000, "refused"), (10_000, "refused")]
        assert [record.value for record in read_topic(stack, small)] == [little, little]
        admin.delete_topics([small], raise_errors=False)


def test_copies_of_a_crashed_worker_are_published_by_the_next(way: WholeWay, stack: Stack) -> None:
    # A copy is published from the table alone: what one worker committed, another one sends.
    way.send([Outgoing(0, b"not json"), Outgoing(0, good_value())])
    first = way.start(KAFKA_GROUP_INSTANCE_ID="only")
    way.wait_settled()
    first.kill()
    way.database.execute("UPDATE analytics_dead_letters SET topic_copy = 'pending'")
    way.start(KAFKA_GROUP_INSTANCE_ID="only")
    wait_copied(way)

    copies = read_topic(stack, way.topics.dlq)
    assert {record.value for record in copies} == {b"not json"}
    assert way.differences() == []


def test_dead_letters_of_another_topic_are_left_alone(way: WholeWay, stack: Stack) -> None:
    # Workers of several input topics may share a database; each publishes its own.
    way.database.execute(
        """
        INSERT INTO analytics_dead_letters
            (topic, topic_incarnation, kafka_partition, kafka_offset, reason, raw_value)
        VALUES ('another-topic', 1, 0, 0, 'invalid_json', 'x')
        """
    )
    way.send([Outgoing(0, b"mine")])
    way.start()
    query = "SELECT topic, topic_copy FROM analytics_dead_letters ORDER BY id"
    wait_until(
        lambda: way.database.rows(query)[1:] == [(way.topics.input, "sent")],
        COPIED_S,
        "mine is sent",
    )
    assert way.database.rows(query)[0] == ("another-topic", "pending")
    assert {record.value for record in read_topic(stack, way.topics.dlq)} == {b"mine"}
