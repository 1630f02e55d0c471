"""Putting values into a topic and reading a whole topic back, with a plain client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.reference.brute_force import Message

PATIENCE_MS = 30_000
LARGEST = 2 * 1024 * 1024


def publish(bootstrap_servers: str, topic: str, values: Sequence[bytes | None]) -> None:
    """Send the values in turn to the topic's partitions; all are acknowledged on return.

    A tombstone (None) gets a key, because a message needs one or the other.
    """
    asyncio.run(_publish(bootstrap_servers, topic, values))


def read_topic(bootstrap_servers: str, topic: str) -> list[Message]:
    """Every message of the topic, by partition and offset. Raises AssertionError if one lacks."""
    messages = asyncio.run(_read(bootstrap_servers, topic))
    return sorted(messages, key=lambda message: (message.partition, message.offset))


async def _publish(bootstrap_servers: str, topic: str, values: Sequence[bytes | None]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=LARGEST,
    )
    async with producer:
        partitions = sorted(await producer.partitions_for(topic))
        sent = [
            await producer.send(
                topic,
                value=value,
                key=b"tombstone" if value is None else None,
                partition=partitions[number % len(partitions)],
            )
            for number, value in enumerate(values)
        ]
        await asyncio.gather(*sent)


async def _read(bootstrap_servers: str, topic: str) -> list[Message]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    messages: list[Message] = []
    async with consumer:
        places = sorted(consumer.assignment())
        ends = await consumer.end_offsets(places)
        left = {place for place in places if ends[place]}
        while left:
            batches = await consumer.getmany(*left, timeout_ms=PATIENCE_MS)
            assert batches, f"{topic}: nothing came, at {len(messages)} of {sum(ends.values())}"
            for place, records in batches.items():
                messages += [
                    Message(record.partition, record.offset, record.value) for record in records
                ]
                if records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
    return messages
