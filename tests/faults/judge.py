"""The reckoning: what lies in the topic, and the tables, copies and offsets beside a single pass over it."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from tests.databases import Database
from tests.reference.brute_force import Expected, Message, Place, Rules, single_pass
from tests.reference.compare import compare
from tests.reference.topic import read_topic
from tests.stack_fixtures import Topics

MOST_SHOWN = 10
PREFIX = "__streams.errors."


@dataclass
class Reckoning:
    """Figures, and every difference in words: none is what is wanted."""

    figures: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def reckon(
    database: Database, topics: Topics, acknowledged: Mapping[Place, bytes | None]
) -> Reckoning:
    """Read everything and compare everything."""
    messages = read_topic(topics.bootstrap_servers, topics.input)
    expected = single_pass(messages, Rules(), time.time_ns() // 1000)
    copies = list(read_copies(topics.bootstrap_servers, topics.dlq))
    with contextlib.closing(database.connect()) as connection:
        differences = compare(connection, expected)
    differences += unacknowledged(messages, acknowledged)
    differences += copy_differences(expected, copies, topics.input)
    differences += offset_differences(messages, database)
    figures = {
        "in the topic": len(messages),
        "acknowledged": len(acknowledged),
        "raw rows": _count(database, "SELECT count(*) FROM analytics_events"),
        "dead letters": _count(database, "SELECT count(*) FROM analytics_dead_letters"),
        "window rows": sum(len(cells) for cells in expected.windows.values()),
        "copies": len(copies),
        "copies more than once": len(copies) - len({copy.origin for copy in copies}),
    }
    return Reckoning(figures, differences)


def unacknowledged(
    messages: Sequence[Message], acknowledged: Mapping[Place, bytes | None]
) -> list[str]:
    """Acknowledged messages that the topic does not hold: the broker's fault, and then nothing else can be judged."""
    there = {(message.partition, message.offset): message.value for message in messages}
    lacking = [
        place
        for place, value in acknowledged.items()
        if place not in there or there[place] != value
    ]
    return [f"the topic lost acknowledged messages: {lacking[:MOST_SHOWN]}"] if lacking else []


@dataclass(frozen=True)
class Copy:
    """A message of the dead-letter topic."""

    origin: tuple[str, int, int]
    reason: str
    value: bytes | None


def copy_differences(expected: Expected, copies: Sequence[Copy], topic: str) -> list[str]:
    """Each dead letter has its copy, at least one, with its bytes and reason; and there is nothing else."""
    wanted = {
        (topic, *place): (reason, expected.values[place])
        for place, reason in expected.rejected.items()
    }
    found = {copy.origin: (copy.reason, copy.value) for copy in copies}
    problems = [f"no copy of dead letter {origin}" for origin in wanted.keys() - found.keys()]
    problems += [f"a copy of no dead letter: {origin}" for origin in found.keys() - wanted.keys()]
    problems += [
        f"the copy of {copy.origin} differs: {copy.reason}"
        for copy in copies
        if copy.origin in wanted and (copy.reason, copy.value) != wanted[copy.origin]
    ]
    return _shortened(problems)


def offset_differences(messages: Sequence[Message], database: Database) -> list[str]:
    """The stored offsets are the topic's ends, and their counts add up to its messages."""
    ends = Counter[int]()
    for message in messages:
        ends[message.partition] = max(ends[message.partition], message.offset + 1)
    rows = database.rows(
        """SELECT kafka_partition, next_offset, events_stored + events_dead_lettered, events_lost
           FROM kafka_offsets"""
    )
    amounts = Counter(message.partition for message in messages)
    wanted = {partition: (end, amounts[partition], 0) for partition, end in ends.items()}
    found = {row[0]: row[1:] for row in rows if row[1] or row[0] in wanted}
    return [
        f"kafka_offsets, partition {partition}: (next, settled, lost) {found.get(partition)}, "
        f"{wanted.get(partition)} wanted"
        for partition in sorted(wanted.keys() | found.keys())
        if found.get(partition) != wanted.get(partition)
    ]


def read_copies(servers: str, topic: str) -> Iterator[Copy]:
    """Every message of a dead-letter topic up to its present end."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    with contextlib.closing(consumer):
        for number in sorted(consumer.partitions_for_topic(topic) or ()):
            partition = TopicPartition(topic, number)
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            end = consumer.end_offsets([partition])[partition]
            while consumer.position(partition) < end:
                for batch in consumer.poll(timeout_ms=1000).values():
                    yield from map(_copy, batch)


def _copy(record: Any) -> Copy:
    headers = {name: value.decode() for name, value in record.headers}
    place = (int(headers[PREFIX + "partition"]), int(headers[PREFIX + "offset"]))
    return Copy((headers[PREFIX + "topic"], *place), headers["stacklens.reason"], record.value)


def _count(database: Database, query: str) -> int:
    return int(database.rows(query)[0][0])


def _shortened(found: list[str]) -> list[str]:
    if len(found) <= MOST_SHOWN:
        return found
    return [*found[:MOST_SHOWN], f"... and {len(found) - MOST_SHOWN} more"]
