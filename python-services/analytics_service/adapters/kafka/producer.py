"""Publishing many values fast: whole record batches, spread evenly over a topic's partitions.

Handing aiokafka finished batches instead of single messages is about ten times as fast. The
producer is idempotent (acks=all, no duplicates from its own retries). Its event loop runs in a
thread of its own, so that a caller that waits for input or for the next tick delays nothing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from analytics_service.adapters.kafka.topics import (
    TopicError,
    describe,
    max_message_bytes,
    open_admin,
)
from analytics_service.config import Settings

BATCH_BYTES = 256 * 1024
BATCHES_IN_FLIGHT = 24
DELIVERY_TIMEOUT_MS = 30_000

T = TypeVar("T")


class DeliveryError(Exception):
    """The broker did not take what was sent; the producer is of no more use."""


class TopicProducer:
    """Publishes values without keys to one topic; use as a context manager.

    `acknowledged` counts the values every in-sync replica has; `too_large` those not sent because
    the topic takes no message of that size. Record time stamps are the time of sending, never the
    event's: the broker's retention goes by them. Raises TopicError on entry when there is no such
    topic, DeliveryError when the broker fails for good.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._partitions = 0
        self._max_bytes = 0
        self._next_partition = 0
        self._in_flight: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="producer", daemon=True)
        self._producer: AIOKafkaProducer | None = None
        self.acknowledged = 0
        self.too_large = 0

    def __enter__(self) -> Self:
        with open_admin(self._settings) as admin:
            state = describe(admin, [self._topic]).get(self._topic)
            if state is None:
                raise TopicError(
                    f"there is no topic {self._topic!r}: create it with `stacklens topics create`"
                )
            self._partitions = state.partitions
            self._max_bytes = max_message_bytes(admin, self._topic)
        self._thread.start()
        try:
            self._producer = self._call(self._open())
        except BaseException:
            self._end_loop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._producer is not None:
                self._call(self._producer.stop())
        finally:
            self._end_loop()

    def send(self, values: Sequence[bytes]) -> None:
        """Hand over values: returns before they are acknowledged, waits while much is in flight."""
        self._call(self._send(values))

    def flush(self) -> None:
        """Wait until everything handed over is acknowledged."""
        self._call(self._flush())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers.split(","),
            client_id="stacklens-producer",
            acks="all",
            enable_idempotence=True,
            max_batch_size=min(BATCH_BYTES, self._max_bytes),
            request_timeout_ms=DELIVERY_TIMEOUT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _send(self, values: Sequence[bytes]) -> None:
        count = self._partitions
        for lane in range(min(count, len(values))):
            partition = (self._next_partition + lane) % count
            await self._send_to(partition, values[lane::count])
        self._next_partition = (self._next_partition + len(values)) % count

    async def _send_to(self, partition: int, values: Sequence[bytes]) -> None:
        assert self._producer is not None
        now_ms = int(time.time() * 1000)
        batch = self._producer.create_batch()
        for value in values:
            if batch.append(timestamp=now_ms, key=None, value=value) is None:
                await self._submit(batch, partition)
                batch = self._producer.create_batch()
                batch.append(timestamp=now_ms, key=None, value=value)
        if batch.record_count():
            await self._submit(batch, partition)

    async def _submit(self, batch: Any, partition: int) -> None:
        assert self._producer is not None
        if batch.size() > self._max_bytes:  # a lone message: a batch of more stops at BATCH_BYTES
            self.too_large += batch.record_count()
            return
        while len(self._in_flight) >= BATCHES_IN_FLIGHT:
            await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure()
        count = batch.record_count()
        try:
            future = await self._producer.send_batch(batch, self._topic, partition=partition)
        except KafkaError as error:
            raise DeliveryError(self._text(error)) from error
        self._in_flight.add(future)
        future.add_done_callback(lambda done: self._settle(done, count))

    def _settle(self, done: asyncio.Future[Any], count: int) -> None:
        self._in_flight.discard(done)
        error = done.exception()
        if error is None:
            self.acknowledged += count
        elif self._failure is None:
            self._failure = error

    async def _flush(self) -> None:
        while self._in_flight:
            await asyncio.wait(set(self._in_flight))
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise DeliveryError(self._text(self._failure)) from self._failure

    def _text(self, error: BaseException) -> str:
        return (
            f"the broker did not take messages for {self._topic}: {error or type(error).__name__}"
        )
