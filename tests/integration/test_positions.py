"""Where reading goes on: a topic made anew, a log that lost its beginning or its end, lag tools."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from analytics_service.adapters.kafka.transport import FETCH_MIN_BYTES
from devstack.api import Stack
from tests.integration.sending import Outgoing
from tests.integration.streaming import plain_events
from tests.integration.whole_way import WholeWay
from tests.reference.brute_force import Message
from tests.reference.compare import TABLES, compare_windows
from tests.stack_fixtures import INPUT_PARTITIONS, kafka_admin
from tests.waiting import wait_until

SEED = 20_260_131
NOTICED_S = 60.0
ANEW = 1_000  # added to the partitions of the second incarnation, so that places stay unique


def make_anew(admin: KafkaAdminClient, topic: str) -> None:
    """Delete a topic and create another one of the same name."""
    admin.delete_topics([topic])
    wait_until(
        lambda: admin.describe_topics([topic])[0]["error_code"] != 0, NOTICED_S, "the topic is gone"
    )

    def created() -> bool:
        answer = admin.create_topics(
            {topic: {"num_partitions": INPUT_PARTITIONS, "replication_factor": 1}},
            raise_errors=False,
        )
        return bool(answer["topics"][0]["error_code"] == 0)

    wait_until(created, NOTICED_S, "the topic is made anew")
    admin.wait_for_topics([topic])


def settled_of(way: WholeWay, incarnation: int) -> Callable[[], int]:
    """How many messages of one incarnation are behind the stored offsets."""
    query = """SELECT coalesce(sum(next_offset), 0)::bigint FROM kafka_offsets
               WHERE topic = %s AND topic_incarnation = %s"""
    return lambda: int(way.database.rows(query, way.topics.input, incarnation)[0][0])


@pytest.mark.slow
@pytest.mark.parametrize("state", ["running", "frozen", "stopped"])
def test_a_topic_made_anew_is_read_from_its_beginning(
    way: WholeWay, stack: Stack, state: str
) -> None:
    worker = way.start().wait_ready()
    way.send_values(plain_events(SEED, 3_000))
    way.wait_settled()
    if state == "stopped":
        assert worker.terminate() == 0
    elif state == "frozen":
        # It never sees the topic missing or short: only its id tells that it is another one.
        worker.freeze()
    first, way.sent = way.sent, []
    with kafka_admin(stack) as admin:
        make_anew(admin, way.topics.input)
    # More than before, so that a worker that goes on at the old offsets would find something there.
    way.send_values(plain_events(SEED + 1, 5_000))
    if state == "stopped":
        worker = way.start()
    elif state == "frozen":
        worker.thaw()
    settled = settled_of(way, 2)
    wait_until(lambda: settled() == len(way.sent), NOTICED_S, "the new incarnation is settled")

    # Both incarnations count.
    second = [Message(m.partition + ANEW, m.offset, m.value) for m in way.sent]
    way.sent = first + second
    expected = way.expected()
    with contextlib.closing(way.database.connect()) as connection:
        for name, table in TABLES.items():
            assert list(compare_windows(connection, table, expected.figures(name))) == []
    rows = way.database.rows(
        """SELECT topic_incarnation, kafka_partition, kafka_offset FROM analytics_events
           UNION ALL
           SELECT topic_incarnation, kafka_partition, kafka_offset FROM analytics_dead_letters"""
    )
    places = [(1, m.partition, m.offset) for m in first]
    places += [(2, m.partition - ANEW, m.offset) for m in second]
    assert sorted(rows) == sorted(places)
    assert way.database.rows("SELECT sum(events_lost) FROM kafka_offsets") == [(0,)]
    if state != "stopped":
        worker.expect(1, "stacklens_topic_incarnation_changes_total")
        assert "was created anew" in worker.output
    assert worker.terminate() == 0


def test_a_log_that_lost_its_beginning_or_its_end(way: WholeWay, stack: Stack) -> None:
    # Partition 0: retention was faster than us. 1: the broker lost its tail. 2: all well. 3: never read.
    values = list(plain_events(SEED, 400))
    way.send(Outgoing(number % 3, value) for number, value in enumerate(values[:300]))
    worker = way.start()
    way.wait_settled()
    assert worker.terminate() == 0
    unread = way.send(Outgoing(0, value) for value in values[300:])
    with kafka_admin(stack) as admin:
        admin.delete_records({TopicPartition(way.topics.input, 0): 140})  # it was read up to 100
    way.database.execute(
        "UPDATE kafka_offsets SET next_offset = 107 WHERE kafka_partition = 1 AND next_offset = 100"
    )
    way.send(Outgoing(partition, value) for partition in (0, 2, 3) for value in values[:9])

    worker = way.start().wait_ready()
    way.send(Outgoing(1, value) for value in values[:9])
    ends = {(0, 209), (1, 109), (2, 109), (3, 9)}
    query = "SELECT kafka_partition, next_offset FROM kafka_offsets WHERE kafka_partition < 4"
    wait_until(
        lambda: set(way.database.rows(query)) == ends, NOTICED_S, f"the offsets stand at {ends}"
    )
    assert way.database.rows(
        "SELECT kafka_partition, events_lost FROM kafka_offsets WHERE events_lost > 0 ORDER BY 1"
    ) == [(0, 40), (1, 7)]
    worker.expect(47, "stacklens_events_lost_to_retention_total")
    for words in (
        "40 messages were gone before they could be read (behind_log_start), going on at 140",
        "7 messages were gone before they could be read (beyond_log_end), going on at 100",
    ):
        assert words in worker.output

    gone = {(m.partition, m.offset) for m in unread if m.offset < 140}
    assert len(gone) == 40
    way.sent = [m for m in way.sent if (m.partition, m.offset) not in gone]
    assert way.differences() == []


@pytest.mark.slow
def test_messages_lost_to_retention_under_a_running_worker(way: WholeWay, stack: Stack) -> None:
    worker = way.start().wait_ready()
    read, answered, gone = 50, 2_050, 2_120
    values = list(plain_events(SEED, 2_200))
    way.send(Outgoing(0, value) for value in values[:read])
    way.wait_settled()
    worker.freeze()
    # A fetch may be on its way: if it is not answered with nothing before, it is with the first batch, which is large
    # enough for it and answered whole. No other is asked for.
    assert sum(map(len, values[read:answered])) > FETCH_MIN_BYTES
    way.send(Outgoing(0, value) for value in values[read:answered])
    way.send(Outgoing(0, value) for value in values[answered:])
    with kafka_admin(stack) as admin:
        admin.delete_records({TopicPartition(way.topics.input, 0): gone})
    worker.thaw()
    wait_until(lambda: way.settled() == len(values), NOTICED_S, "it goes on behind the gap")

    ((lost,),) = way.database.rows("SELECT events_lost FROM kafka_offsets WHERE events_lost > 0")
    assert lost in (gone - answered, gone - read)
    worker.expect(lost, "stacklens_events_lost_to_retention_total")
    words = f"{lost} messages were gone before they could be read (behind_log_start)"
    assert words in worker.output
    way.sent = [m for m in way.sent if not gone - lost <= m.offset < gone]
    assert way.differences() == []
    assert worker.terminate() == 0


def test_dead_letters_where_the_log_lost_its_end(way: WholeWay) -> None:
    """Offsets come a second time after a broker lost its tail: also those of dead letters."""
    way.send([Outgoing(0, value) for value in (b"first", *plain_events(SEED, 50))])
    worker = way.start(KAFKA_GROUP_INSTANCE_ID="only")
    way.wait_settled()
    worker.kill()
    # As if the log had ended before the dead letter when the others of its partition were sent.
    way.database.execute("UPDATE kafka_offsets SET next_offset = 0 WHERE kafka_partition = 0")
    worker = way.start(KAFKA_GROUP_INSTANCE_ID="only")
    way.wait_settled(deadline_s=NOTICED_S)
    assert way.database.rows(
        "SELECT kafka_offset, reason, count(*) FROM analytics_dead_letters GROUP BY 1, 2"
    ) == [(0, "invalid_json", 2)]
    assert way.database.rows("SELECT count(*) FROM analytics_events") == [(100,)]
    assert worker.terminate() == 0


def test_lag_tools_see_the_offsets(way: WholeWay, stack: Stack) -> None:
    worker = way.start().wait_ready()
    sent = way.send_values(plain_events(SEED, 600))
    way.wait_settled()
    consumer = KafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap_servers,
        group_id=way.env["KAFKA_CONSUMER_GROUP"],
        enable_auto_commit=False,
    )
    with contextlib.closing(consumer):
        partitions = [TopicPartition(way.topics.input, n) for n in range(INPUT_PARTITIONS)]
        wait_until(
            lambda: sum(consumer.committed(tp) or 0 for tp in partitions) == len(sent),
            NOTICED_S,
            "Kafka's committed offsets follow",
        )
    assert worker.terminate() == 0
