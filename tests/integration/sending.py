"""Messages into a topic, with the places they got: quick, and without a line of the product."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.reference.brute_force import Message

BATCH_BYTES = 2**20 - 4096


@dataclass(frozen=True)
class Outgoing:
    """A message to send; `value` None is a tombstone."""

    partition: int
    value: bytes | None
    key: bytes | None = None


def dealt(values: Iterable[bytes | None], partitions: int) -> list[Outgoing]:
    """The values dealt round the partitions like cards."""
    return [Outgoing(number % partitions, value) for number, value in enumerate(values)]


def send(servers: str, topic: str, messages: Sequence[Outgoing]) -> list[Message]:
    """Send, wait for every acknowledgement, and return the messages as they lie in the topic."""
    return asyncio.run(_send(servers, topic, messages))


async def _send(servers: str, topic: str, messages: Sequence[Outgoing]) -> list[Message]:
    lanes: dict[int, list[Outgoing]] = {}
    for message in messages:
        lanes.setdefault(message.partition, []).append(message)
    producer = AIOKafkaProducer(
        bootstrap_servers=servers,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=BATCH_BYTES,
    )
    await producer.start()
    try:
        sent = await asyncio.gather(
            *(_send_lane(producer, topic, partition, lane) for partition, lane in lanes.items())
        )
    finally:
        await producer.stop()
    return [message for lane in sent for message in lane]


async def _send_lane(
    producer: AIOKafkaProducer, topic: str, partition: int, lane: Sequence[Outgoing]
) -> list[Message]:
    acknowledged: list[Message] = []
    batch, held = producer.create_batch(), list[Outgoing]()

    async def submit() -> None:
        batch.close()
        done: Any = await producer.send_batch(batch, topic, partition=partition)
        first = (await done).offset
        acknowledged.extend(
            Message(partition, first + place, message.value) for place, message in enumerate(held)
        )

    for message in lane:
        if _append(batch, message) is None:
            await submit()
            batch, held = producer.create_batch(), []
            assert _append(batch, message) is not None, "a message too large for a batch"
        held.append(message)
    if held:
        await submit()
    return acknowledged


def _append(batch: Any, message: Outgoing) -> object:
    return batch.append(timestamp=int(time.time() * 1000), key=message.key, value=message.value)
