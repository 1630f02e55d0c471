"""Begins and ends sessions: which incarnation of the topic, and where each assigned partition is read on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import psycopg2
from aiokafka.errors import KafkaError as ConsumerError
from kafka.errors import KafkaError as AdminError

from analytics_service import metrics
from analytics_service.adapters.kafka.topics import TopicError
from analytics_service.adapters.timescale.errors import PoolError
from analytics_service.adapters.timescale.offsets import incarnation_of, read_offsets, store_starts
from analytics_service.adapters.timescale.pool import Pool
from analytics_service.domain.positions import Start, decide_start
from analytics_service.ingest.pipeline import Pipeline
from analytics_service.ingest.session import Session

logger = logging.getLogger(__name__)

# How long a log must have been seen to end before the stored offset until that is believed.
SHORT_LOG_S = 5.0

# What a dependency may do to us without being a defect of ours: logged, and tried again.
TROUBLE = (psycopg2.Error, PoolError, TopicError, AdminError, ConsumerError, OSError)


class SessionCoordinator:
    """What the batch consumer asks when partitions come and go."""

    def __init__(
        self,
        input_topic: str,
        pool: Pool,
        executor: Executor,
        topic_id: Callable[[], str | None],
        pipeline: Pipeline,
    ) -> None:
        self.input_topic = input_topic
        self._pool = pool
        self._executor = executor
        self._topic_id = topic_id
        self._pipeline = pipeline
        self.session: Session | None = None
        self._last_id: str | None = None
        self._short_since: float | None = None

    async def end_session(self) -> None:
        """Forget what is buffered and wait for the flush in flight."""
        self.session = None
        await self._pipeline.end()

    async def begin_session(self, consumer: Any, partitions: set[Any]) -> Session | None:
        """Read the stored positions, settle what the log no longer has, and seek; None when that fails for now."""
        mine = sorted(tp for tp in partitions if tp.topic == self.input_topic)
        try:
            session = await self._positions(consumer, mine)
        except TROUBLE as error:
            logger.warning(
                "positions are not to be had, trying again: %s", " ".join(str(error).split())
            )
            return None
        if session is not None:
            self.session = session
            self._pipeline.begin(session)
        return session

    async def is_same_topic(self, session: Session) -> bool | None:
        """Whether the topic is still the one of the session; None when that is not to be had right now."""
        try:
            return bool(await self._call(self._topic_id) == session.topic_id)
        except TROUBLE as error:
            logger.warning("the topic's id is not to be had: %s", " ".join(str(error).split()))
            return None

    async def _positions(self, consumer: Any, mine: list[Any]) -> Session | None:
        topic_id = await self._call(self._topic_id)
        if topic_id is None:
            logger.warning("topic %s does not exist; waiting for it", self.input_topic)
            return None
        numbers = [tp.partition for tp in mine]
        incarnation, stored = await self._call(self._read, topic_id, numbers)
        # The log's limits are asked for after the stored offsets, see decide_start.
        log_starts = await consumer.earliest_offsets(*mine) if mine else {}
        log_ends = await consumer.highwaters(*mine) if mine else {}
        starts = {
            tp.partition: decide_start(stored.get(tp.partition), log_starts[tp], log_ends[tp])
            for tp in mine
        }
        if self._is_too_early(starts):
            return None
        if not await self._call(self._store, incarnation, stored, starts):
            return None
        if self._last_id not in (None, topic_id):
            metrics.TOPIC_CHANGES.inc()
            logger.warning(
                "topic %s was created anew (%s, was %s): reading its incarnation %d",
                self.input_topic, topic_id, self._last_id, incarnation,
            )  # fmt: skip
        self._last_id = topic_id
        self._report(starts)
        if mine:
            await asyncio.wait_for(
                consumer.seek_wait({tp: starts[tp.partition].next_offset for tp in mine}),
                timeout=30,
            )
        positions = {number: start.next_offset for number, start in starts.items()}
        logger.info(
            "reading incarnation %d of %s from %s", incarnation, self.input_topic, positions
        )
        return Session(self.input_topic, topic_id, incarnation, dict(positions), dict(positions))

    def _is_too_early(self, starts: dict[int, Start]) -> bool:
        """Whether a log that ends before the stored offset has to be looked at again.

        Going back to its end reads offsets a second time, which is right only if the messages behind it are gone for
        good: a leader that has just taken over may not know its end yet.
        """
        short = [number for number, start in starts.items() if start.verdict == "beyond_log_end"]
        if not short:
            self._short_since = None
            return False
        now = time.monotonic()
        if self._short_since is None:
            self._short_since = now
            logger.warning(
                "partitions %s of %s end before the stored offset; looking again for %.0f s",
                short, self.input_topic, SHORT_LOG_S,
            )  # fmt: skip
        return now - self._short_since < SHORT_LOG_S

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, function, *arguments
        )

    def _read(self, topic_id: str, partitions: list[int]) -> tuple[int, dict[int, int]]:
        with self._pool.connection() as conn:
            incarnation = incarnation_of(conn, self.input_topic, topic_id)
            return incarnation, read_offsets(conn, self.input_topic, incarnation, partitions)

    def _store(self, incarnation: int, stored: dict[int, int], starts: dict[int, Start]) -> bool:
        with self._pool.connection() as conn:
            return store_starts(conn, self.input_topic, incarnation, stored, starts)

    def _report(self, starts: dict[int, Start]) -> None:
        for partition, start in starts.items():
            if start.lost:
                metrics.EVENTS_LOST.inc(start.lost)
                logger.error(
                    "partition %d of %s: %d messages were gone before they could be read (%s), going on at %d",
                    partition, self.input_topic, start.lost, start.verdict, start.next_offset,
                )  # fmt: skip
