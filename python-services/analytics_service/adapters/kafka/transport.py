"""A Faust transport that hands over one message for each fetched partition batch of the input topic.

Faust spends tens of microseconds on every message it delivers; a batch costs it the same. Only the input topic travels
this way, other topics stay ordinary. Offsets live in the database: this consumer starts reading where the database says
and Kafka's own committed offsets follow for lag tools only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, cast

from aiokafka.errors import KafkaError
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from analytics_service.adapters.kafka.record_blocks import fetch_in_blocks, records_of
from analytics_service.adapters.kafka.starting import patient
from analytics_service.ingest.session import PartitionBatch, Session, size_of

logger = logging.getLogger(__name__)

SCHEME = "stacklens"
# The longest a fetch request waits at the broker, unless there is that much to hand over. While one is out, no other
# partition of that broker can be asked for, so this bounds how late a quiet partition's first event is seen. Without a
# least size, a broker answers at once with the few events of a moment, and each answer costs as much as a large one.
FETCH_MAX_WAIT_MS = 100
FETCH_MIN_BYTES = 256 * 1024
# Of one partition, and of all partitions of one broker together: what is fetched ahead is memory.
PARTITION_FETCH_BYTES = 512 * 1024
FETCH_BYTES = 6 * 1024 * 1024


class Coordinator(Protocol):
    """What the consumer needs from the ingest side (see `ingest.pipeline`)."""

    input_topic: str

    async def begin_session(self, consumer: BatchConsumer, partitions: set[TP]) -> Session | None:
        """Positions for the assigned partitions, or None when they cannot be had right now."""

    async def end_session(self) -> None:
        """Forget what is buffered and wait for the flush in flight."""


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """aiokafka in its own thread, with short idle fetches and commits that are best effort."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust hands none of these on to aiokafka, which has no public way to set them later.
        consumer._fetch_max_bytes = FETCH_BYTES  # pylint: disable=protected-access
        consumer._fetch_min_bytes = FETCH_MIN_BYTES  # pylint: disable=protected-access
        # A transactional producer's aborted messages never happened; Faust reads them unless it is transactional too.
        consumer._isolation_level = "read_committed"  # pylint: disable=protected-access
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # pylint: disable=protected-access  # Faust fixes it at 1500
        return patient(consumer)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        """Fetch; records of the input topic come in blocks, as aiokafka's parser made them.

        Dressing each one up as a ConsumerRecord, with the topic's name and sizes, takes longer than decoding its JSON.
        """
        topic = cast(Any, self.app).coordinator.input_topic
        # There is no public way to the fetcher.
        fetch_in_blocks(consumer._fetcher, topic)  # pylint: disable=protected-access
        return await super()._fetch_records(consumer, active_partitions, timeout, max_records)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit to Kafka for lag tools; a failure is logged, for the database holds the truth."""
        consumer = self._ensure_consumer()
        mine = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        if not mine:
            return True
        try:
            await consumer.commit(
                {driver.ensure_aiokafka_TP(tp): offset for tp, offset in mine.items()}
            )
        except KafkaError as error:
            logger.warning("could not commit offsets to Kafka (informational only): %r", error)
            return False
        return True


class BatchConsumer(driver.Consumer):
    """Faust's aiokafka consumer that yields a partition's fetched records as one message."""

    _session: Session | None = None
    _between_assignments = False

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _coordinator(self) -> Coordinator:
        coordinator: Coordinator = cast(Any, self.app).coordinator
        return coordinator

    def behind(self, session: Session, partition: int, end_seen: int = 0) -> int:
        """Messages of a partition that are not committed yet, as far as the broker's end is known.

        `end_seen` is the end as somebody else heard of it.

        Once all that was read is committed, the fetch position counts: transaction markers and compacted messages lie
        behind it although they were never handed over.
        """
        tp = TP(session.topic, partition)
        end = max(self._end_offset(tp) or 0, end_seen)
        position = session.committed[partition]
        if position == session.read_positions[partition]:
            position = max(position, self._fetch_position(tp))
        return max(0, end - position)

    def heard_s(self, session: Session, partition: int) -> float:
        """When the broker last told where the partition ends, in epoch seconds; 0 when it never did."""
        state = self._partition_state(TP(session.topic, partition))
        return 0.0 if state is None or state.timestamp is None else float(state.timestamp) / 1000

    def _fetch_position(self, tp: TP) -> int:
        state = self._partition_state(tp)
        return int(state.position) if state is not None and state.has_valid_position else 0

    def broken_reason(self) -> str | None:
        """Why this consumer will never read again, None while it may.

        aiokafka stops coordinating with the group at an error it does not know, and tells only who asks.
        """
        # pylint: disable=protected-access
        consumer = self._thread._consumer if self._thread is not None else None
        coordinator = getattr(consumer, "_coordinator", None)
        if coordinator is None or self.should_stop:
            return None
        error = getattr(coordinator, "_pending_exception", None)
        if error is not None:
            return f"the consumer group refused this worker: {error!r}"
        task = getattr(coordinator, "_coordination_task", None)
        if task is not None and task.done() and not getattr(coordinator, "_closing", task).done():
            return "the consumer stopped coordinating with its group"
        return None

    def _end_offset(self, tp: TP) -> int | None:
        """The partition's end as last heard of; None when it is not known, or no longer ours.

        What belongs to transactions that are still open lies behind it: it cannot be read yet.
        """
        state = self._partition_state(tp)
        if state is None:
            return None
        end: int | None = state.highwater if state.lso in (None, -1) else state.lso
        return end

    def _partition_state(self, tp: TP) -> Any:
        """aiokafka's state of a partition, None when it is not assigned.

        Its public calls fail when the consumer's thread has just lost the partition, or wait for that thread.
        """
        # pylint: disable=protected-access
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or tp not in assignment.tps:
            return None
        return assignment.state_value(tp)

    def request_resync(self, why: str) -> None:
        """Drop what is buffered and start again from the positions in the database."""
        if self._session is not None:
            logger.info("resynchronising with the stored offsets: %s", why)
        self._session = None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's own stall detection knows neither batches nor these offsets; see `health`."""

    async def perform_seek(self) -> None:
        """Faust calls this after a rebalance; the seek itself happens before the next fetch."""
        self.request_resync("partitions were assigned")

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish the flush in flight before the partitions are given up; no session until others are assigned."""
        self._between_assignments = True
        self._session = None
        await self._coordinator.end_session()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Faust asks for a seek only when there is something to seek in."""
        await super().on_partitions_assigned(assigned, generation_id)
        self._between_assignments = False
        self.request_resync("partitions were assigned")

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch; yield one message a partition for the input topic, one a record for others."""
        if not self.flow_active:
            await self.wait(cast(Any, self.can_resume_flow))
        session = await self._ensure_session()
        if session is None:
            return
        generation = self.app.consumer_generation_id
        records, _ = await self._wait_next_records(timeout)
        for tp, batch in (records or {}).items():
            if not self.flow_active or self.should_stop or self._session is not session:
                return
            if self.app.consumer_generation_id != generation:
                return
            if tp.topic != self._coordinator.input_topic:
                for record in batch:
                    yield tp, self._to_message(tp, record)
            elif await self._is_continuous(session, tp, (fetched := records_of(batch))[0].offset):
                yield tp, self._batch_message(session, tp, fetched)
            else:
                return

    async def _ensure_session(self) -> Session | None:
        """The current session, begun anew when there is none; None after a pause when that fails."""
        if self._between_assignments:
            await self.sleep(0.1)
            return None
        assigned = self.assignment()
        if self._session is not None:
            if self._session.committed.keys() == self._input_partitions(assigned):
                return self._session
            self.request_resync("other partitions are assigned now")
        await self._coordinator.end_session()
        session = await self._coordinator.begin_session(self, assigned)
        if session is None:
            await self.sleep(1.0)
        elif assigned == self.assignment() and not self._between_assignments:
            self._session = session
        return self._session

    def _input_partitions(self, assigned: set[TP]) -> set[int]:
        return {tp.partition for tp in assigned if tp.topic == self._coordinator.input_topic}

    async def _is_continuous(self, session: Session, tp: TP, offset: int) -> bool:
        """Whether a batch that begins at `offset` may follow what was read before.

        A step back means the topic was made anew or the broker lost its tail. A step forward is fine where markers
        or compaction leave holes, but not when the log's start has moved past what was expected.
        """
        expected = session.read_positions[tp.partition]
        if offset == expected:
            return True
        if offset > expected:
            try:
                starts = await self.earliest_offsets(tp)
            except (KafkaError, OSError) as error:
                self.request_resync(
                    f"the start of partition {tp.partition} is not to be had: {error!r}"
                )
                return False
            if starts[tp] <= expected:
                return True
        self.request_resync(f"partition {tp.partition} went on at {offset}, expected {expected}")
        return False

    def _batch_message(self, session: Session, tp: TP, records: list[Any]) -> ConsumerMessage:
        last = records[-1]
        end = last.offset + 1
        log_end = self._end_offset(tp)
        value = PartitionBatch(
            session=session,
            partition=tp.partition,
            expected_offset=session.read_positions[tp.partition],
            next_offset=end,
            lag=max(0, (log_end or end) - end),
            records=records,
            size_bytes=size_of(records),
            ended_s=self.heard_s(session, tp.partition) if log_end == end else 0.0,
        )
        session.read_positions[tp.partition] = end
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            [],
            None,
            cast(Any, value),  # Faust types this as bytes; the raw codec passes it through
            None,
            None,
            None,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


class PatientProducer(driver.Producer):
    """Faust's producer that waits for a broker that went away while the worker starts."""

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        return patient(super()._new_producer(transactional_id))


class Transport(driver.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer
    Producer = PatientProducer


def register() -> str:
    """Make `stacklens://host:port` known to Faust; returns the URL scheme."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
    return SCHEME


async def wait_seek(consumer: BatchConsumer, positions: Mapping[TP, int]) -> None:
    """Seek to `positions` and wait until the consumer stands there."""
    await asyncio.wait_for(consumer.seek_wait(positions), timeout=30)
