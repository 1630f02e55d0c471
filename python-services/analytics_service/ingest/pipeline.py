"""The worker's heart: takes batches from the agent, flushes them, one flush in flight while the next one gathers.

Everything here runs on the event loop; what blocks runs in the sink's executor. Reading stops while the buffer is full,
so a slow database slows consumption and never grows the heap.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from analytics_service.domain.events import EventRules
from analytics_service.ingest.buffer import Buffer, Gathered, Limits
from analytics_service.ingest.decode import decode_work
from analytics_service.ingest.pace import Pace
from analytics_service.ingest.session import PartitionBatch, Session
from analytics_service.ingest.work import Work

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 8.0
CONFIRM_AGAIN_S = 0.5


class Sink(Protocol):
    """Commits work; see `ingest.flusher`."""

    async def prepare(self, work: Work) -> None:
        """Do what can be done of a commit without the database."""

    async def commit(self, work: Work, is_current: Callable[[], bool]) -> bool:
        """Commit `work`, whatever it takes; False when the session turned out to be over."""


class Pipeline:
    """Buffer and flush loop of one worker."""

    def __init__(
        self,
        sink: Sink,
        rules: EventRules,
        limits: Limits,
        *,
        is_same_topic: Callable[[Session], Awaitable[bool | None]],
        on_conflict: Callable[[str], None],
        on_committed: Callable[[Work], None],
    ) -> None:
        self._sink = sink
        self._rules = rules
        self._buffer = Buffer(limits)
        self._is_same_topic = is_same_topic
        self._on_conflict = on_conflict
        self._on_committed = on_committed
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._ready: asyncio.Queue[Work] = asyncio.Queue()
        self._may_prepare = asyncio.Event()
        self._may_prepare.set()
        self._added: dict[int, int] = {}
        self._pace = Pace()
        self._taken = 0
        self._draining = False
        self._room.set()
        self._idle.set()

    def begin(self, session: Session) -> None:
        """Take batches of `session` from now on."""
        self._added = dict(session.committed)
        self._buffer.open(session)
        self._wake()

    async def end(self) -> None:
        """Forget what is buffered and wait for the flush in flight, at most some seconds.

        A flush that takes longer cannot do harm: its compare-and-set fails once another worker has moved on.
        """
        self._buffer.open(None)
        self._wake()
        await self._wait_idle()

    async def drain(self) -> None:
        """Commit what is buffered, then take nothing more; for an orderly end."""
        self._draining = True
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._buffer.since is not None and time.monotonic() < deadline:
            self._buffer.since = -math.inf  # due at once, whatever the clock says
            self._changed.set()
            await asyncio.sleep(0.02)
        await self._wait_idle()
        await self.end()

    async def add(self, batch: PartitionBatch) -> None:
        """Put a batch into the buffer, waiting for room; batches of an earlier session are dropped."""
        while self._buffer.accepts(batch) and not self._buffer.has_room:
            self._room.clear()
            await self._room.wait()
        if self._draining or not self._buffer.accepts(batch):
            return
        if self._added.get(batch.partition) != batch.expected_offset:
            self._buffer.open(None)
            self._on_conflict(
                f"a batch of partition {batch.partition} went missing on its way here"
            )
            return
        self._added[batch.partition] = batch.next_offset
        self._buffer.add(batch, time.monotonic())
        self._changed.set()

    async def run(self) -> None:
        """Flush for ever; ends only by cancellation or by an error that nobody can retry."""
        preparing = asyncio.ensure_future(self._prepare_ahead())
        try:
            await asyncio.gather(preparing, self._commit_in_order())
        finally:
            preparing.cancel()

    async def _prepare_ahead(self) -> None:
        """Decode and prepare one work while the one before it is being committed, never more."""
        while True:
            await self._may_prepare.wait()
            self._ready.put_nowait(await self._made_ready(await self._gather()))

    async def _made_ready(self, gathered: Gathered) -> Work:
        self._may_prepare.clear()
        began = time.monotonic()
        session, now_us = gathered.session, time.time_ns() // 1000
        decoding = asyncio.to_thread(decode_work, session, gathered.batches, self._rules, now_us)
        del gathered  # the records as fetched are not kept beyond their decoding
        work, _ = await asyncio.gather(self._prepared(decoding), self._confirm(session))
        self._pace.prepared(time.monotonic() - began)
        return work

    async def _prepared(self, decoding: Awaitable[Work]) -> Work:
        work = await decoding
        await self._sink.prepare(work)
        return work

    async def _confirm(self, session: Session) -> None:
        """Return once the topic is known to be the session's still, or the session is over.

        The broker tells no fetch that the topic behind the name is another one by now. If its id is unchanged after
        the fetch, what was fetched is of this incarnation, for ids never come back.
        """
        while self._buffer.session is session:
            same = await self._is_same_topic(session)
            if same:
                return
            if same is None:
                await asyncio.sleep(CONFIRM_AGAIN_S)
            elif self._buffer.session is session:
                self._buffer.open(None)
                self._on_conflict(f"topic {session.topic} was created anew")

    async def _commit_in_order(self) -> None:
        while True:
            work = await self._ready.get()
            self._may_prepare.set()
            self._pace.begun(time.monotonic(), work.messages)
            try:
                await self._flush(work)
            finally:
                self._pace.ended(time.monotonic())
                self._taken -= 1
                if self._taken == 0:
                    self._idle.set()
                    self._changed.set()  # nothing is under way any more: what gathers need not be a whole flush

    async def _flush(self, work: Work) -> None:
        session = work.session
        if self._buffer.session is not session:
            return
        if await self._sink.commit(work, lambda: self._buffer.session is session):
            session.committed.update(work.next_offsets())
            self._on_committed(work)
        elif self._buffer.session is session:
            self._buffer.open(None)
            self._on_conflict("another worker moved the offsets")

    async def _gather(self) -> Gathered:
        """What is due for the next flush, once it is."""
        while True:
            self._changed.clear()
            left = self._buffer.wait_left(
                time.monotonic(), busy=self._taken > 0, not_before_s=self._pace.not_before_s()
            )
            if left == 0.0:
                gathered = self._buffer.take()
                if gathered is not None:
                    self._taken += 1
                    self._idle.clear()
                    self._room.set()
                    return gathered
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=left)
            except TimeoutError:
                continue

    async def _wait_idle(self) -> None:
        try:
            await asyncio.wait_for(self._idle.wait(), timeout=DRAIN_SECONDS)
        except TimeoutError:
            logger.warning(
                "the flush in flight is still not done after %.0f s; going on without it",
                DRAIN_SECONDS,
            )

    def _wake(self) -> None:
        self._changed.set()
        self._room.set()
