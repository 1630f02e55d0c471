"""Sends a stream at a bounded rate through thick and thin, and knows what the broker acknowledged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

TICK_S = 0.05
MOST_WAITING = 4_000
# Short, so that some messages are given up while the broker is away: nobody knows whether they are in the topic.
REQUEST_TIMEOUT_MS = 6_000
LARGEST = 1_000_000
ENDING_S = 30.0


class Producer:
    """A thread that sends `values` round the partitions until it is stopped.

    `acknowledged` maps (partition, offset) to the bytes that the broker confirmed there; what was given up may or
    may not be in the topic. `ends` is the offset after the last acknowledged one of each partition.
    """

    def __init__(
        self,
        servers: str,
        topic: str,
        partitions: int,
        values: Iterator[bytes | None],
        *,
        rate: int,
        idempotent: bool,
    ) -> None:
        self._servers, self._topic, self._partitions = servers, topic, partitions
        self._values, self._rate, self._idempotent = values, rate, idempotent
        self.acknowledged: dict[tuple[int, int], bytes | None] = {}
        self.ends: dict[int, int] = {}
        self.sent = 0
        self.given_up = 0
        self.renewed = 0
        self._waiting = 0
        self._broken = False
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main, name="producer")

    def __enter__(self) -> Producer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def stop(self) -> None:
        """Send no more and wait for what is under way. Raises what ended the thread before its time, if anything."""
        self._stopping.set()
        self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what ended the thread before its time, if anything."""
        if self._failure is not None:
            raise self._failure

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001  # raised in the thread that asks
            self._failure = error

    async def _run(self) -> None:
        while not self._stopping.is_set():
            producer = AIOKafkaProducer(
                bootstrap_servers=self._servers,
                acks="all",
                enable_idempotence=self._idempotent,
                linger_ms=10,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                retry_backoff_ms=100,
                max_request_size=LARGEST,
                max_batch_size=LARGEST // 4,
            )
            try:
                await producer.start()
                self._broken = False
                await self._send_until_broken(producer)
            except (KafkaError, OSError):
                await asyncio.sleep(TICK_S)  # the broker is away: a new producer, soon
            finally:
                await self._end(producer)
            self.renewed += 1

    async def _send_until_broken(self, producer: Any) -> None:
        """Send in small portions; a message given up breaks the producer's order, so a new one follows."""
        due, last = 0.0, time.monotonic()
        while not self._stopping.is_set() and not self._broken:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            due, last = min(due + (now - last) * self._rate, self._rate), now
            while due >= 1 and self._waiting < MOST_WAITING and not self._broken:
                await self._send_one(producer)
                due -= 1
        await producer.flush()

    async def _send_one(self, producer: Any) -> None:
        value = next(self._values)
        # A tombstone needs a key, or it would be no message at all.
        key = b"tombstone" if value is None else None
        partition = self.sent % self._partitions
        future = await producer.send(self._topic, value=value, key=key, partition=partition)
        self.sent += 1
        self._waiting += 1
        future.add_done_callback(lambda done: self._settled(done, partition, value))

    def _settled(self, done: asyncio.Future[Any], partition: int, value: bytes | None) -> None:
        self._waiting -= 1
        if done.cancelled() or done.exception() is not None:
            self.given_up += 1
            self._broken = True
            return
        offset = done.result().offset
        if offset >= 0:  # a repeated batch may be acknowledged without its place
            self.acknowledged[partition, offset] = value
            self.ends[partition] = max(self.ends.get(partition, 0), offset + 1)

    @staticmethod
    async def _end(producer: Any) -> None:
        try:
            await asyncio.wait_for(producer.stop(), ENDING_S)
        except (KafkaError, TimeoutError, OSError):
            return  # it was broken anyway
