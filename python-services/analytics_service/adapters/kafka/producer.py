"""Publishing many values fast: whole record batches, spread evenly over a topic's partitions.

Handing aiokafka finished batches instead of single messages is about ten times as fast. The
producer is idempotent (acks=all, no duplicates from its own retries); such a one tries for ever, so
the deadline for an acknowledgement is kept here. Its event loop runs in a thread of its own, so that
a caller that waits for input or for the next tick delays nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
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
DELIVERY_TIMEOUT_S = 30.0

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
        self._in_flight: dict[asyncio.Future[Any], float] = {}  # with its deadline, oldest first
        self._failure: str | None = None
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
            self._call(self._close())
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
            request_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
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
        await self._wait_until_in_flight(BATCHES_IN_FLIGHT - 1)
        count = batch.record_count()
        try:
            future = await self._producer.send_batch(batch, self._topic, partition=partition)
        except KafkaError as error:
            raise DeliveryError(self._text(error)) from error
        self._in_flight[future] = self._loop.time() + DELIVERY_TIMEOUT_S
        future.add_done_callback(lambda done: self._settle(done, count))

    def _settle(self, done: asyncio.Future[Any], count: int) -> None:
        self._in_flight.pop(done, None)
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._failure = self._failure or self._text(error)
        elif not done.cancelled():
            self.acknowledged += count

    async def _flush(self) -> None:
        await self._wait_until_in_flight(0)

    async def _wait_until_in_flight(self, most: int) -> None:
        """Wait until at most so many batches are in flight. Raises DeliveryError on a failed one."""
        while len(self._in_flight) > most and self._failure is None:
            left_s = next(iter(self._in_flight.values())) - self._loop.time()
            if left_s <= 0:
                self._failure = self._text(f"no acknowledgement within {DELIVERY_TIMEOUT_S:g} s")
                break
            await asyncio.wait(
                set(self._in_flight), timeout=left_s, return_when=asyncio.FIRST_COMPLETED
            )
        if self._failure is not None:
            raise DeliveryError(self._failure)

    async def _close(self) -> None:
        """Deliver what is in flight; after a failure give up what would be tried for ever."""
        if self._producer is None:
            return
        if self._failure is None:
            with contextlib.suppress(DeliveryError):
                await self._flush()  # the caller that wants to know has flushed before
        if self._failure is None:
            await self._producer.stop()
            return
        stopping = asyncio.ensure_future(self._producer.stop())
        await asyncio.sleep(0)
        others = asyncio.all_tasks(self._loop) - {asyncio.current_task(self._loop)}
        for task in others | {stopping}:
            task.cancel()
        await asyncio.gather(*others, stopping, return_exceptions=True)
        await self._producer.client.close()

    def _text(self, error: object) -> str:
        told = str(error) or type(error).__name__
        return f"the broker did not take messages for {self._topic}: {told}"
