"""The pipeline with a sink that the tests hold back, let go or make fail: no database, no sleeping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics_service.domain.events import EventRules
from analytics_service.ingest import pipeline as module
from analytics_service.ingest.buffer import Limits
from analytics_service.ingest.decode import decode_work
from analytics_service.ingest.pipeline import Pipeline
from analytics_service.ingest.session import PartitionBatch, Session
from analytics_service.ingest.work import Work
from tests.unit.ingest_support import Record, batch, good_value, session, users

RULES = EventRules(ZoneInfo("UTC"), 300_000_000, 7 * 86_400_000_000)
SOON = Limits(flush_events=10, flush_bytes=10**6, linger_s=0.0)
PATIENT = Limits(flush_events=10, flush_bytes=10**6, linger_s=3600.0)


@dataclass
class FakeSink:
    """Records what it is given; commits at once, or when `gate` opens."""

    outcomes: list[bool] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    prepared: list[Work] = field(default_factory=list)
    committed: list[Work] = field(default_factory=list)
    is_current: Callable[[], bool] | None = None
    running: int = 0
    topics: list[bool | None] = field(default_factory=list)

    async def is_same_topic(self, session: Session) -> bool | None:
        """What the test says, in turn; then always the same topic."""
        assert session is not None
        return self.topics.pop(0) if self.topics else True

    async def prepare(self, work: Work) -> None:
        """Done at once."""
        self.prepared.append(work)

    async def commit(self, work: Work, is_current: Callable[[], bool]) -> bool:
        """As the real one: False gives up the session."""
        assert work in self.prepared
        self.running += 1
        assert self.running == 1, "one flush in flight"
        self.is_current = is_current
        self.begun.set()
        await self.gate.wait()
        self.running -= 1
        if self.outcomes and not self.outcomes.pop(0):
            return False
        self.committed.append(work)
        return True


@dataclass
class Setup:
    """A running pipeline and what it told."""

    sink: FakeSink
    pipeline: Pipeline
    conflicts: list[str]
    reported: list[Work]

    def offsets(self) -> list[list[str | None]]:
        """The events' offsets of each committed flush."""
        return [users(work.all_events()) for work in self.sink.committed]


@contextlib.asynccontextmanager
async def running(limits: Limits = SOON, *, held: bool = False) -> AsyncIterator[Setup]:
    """A pipeline whose flush loop runs; `held`: the sink waits for its gate."""
    conflicts: list[str] = []
    reported: list[Work] = []
    sink = FakeSink()
    if not held:
        sink.gate.set()
    pipeline = Pipeline(
        sink,
        RULES,
        limits,
        is_same_topic=sink.is_same_topic,
        on_conflict=conflicts.append,
        on_committed=reported.append,
    )
    loop = asyncio.ensure_future(pipeline.run())
    try:
        yield Setup(sink, pipeline, conflicts, reported)
    finally:
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def turns(count: int = 50) -> None:
    """Let everything that can happen happen."""
    for _ in range(count):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    """One test's event loop."""
    asyncio.run(asyncio.wait_for(test, 20))


def test_batches_are_committed_in_order_and_offsets_follow() -> None:
    async def test() -> None:
        async with running() as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, [0, 1, 2], bad=[1]))
            await until(lambda: len(it.reported) == 1)
            assert now.committed == {0: 3, 1: 0, 2: 0}
            await it.pipeline.add(batch(now, 1, [0]))
            await it.pipeline.add(batch(now, 0, [3, 4]))
            await until(lambda: now.committed == {0: 5, 1: 1, 2: 0})
            assert [user for flush in it.offsets() for user in flush] == ["0", "2", "0", "3", "4"]
            letters = [x for work in it.sink.committed for p in work.parts for x in p.letters]
            assert [(x.partition, x.offset, x.reason, x.key, x.value) for x in letters] == [
                (0, 1, "invalid_json", b"key 1", b"bad")
            ]
            assert it.reported == it.sink.committed
            assert it.conflicts == []

    run(test())


def test_what_arrives_during_a_flush_goes_into_the_next_one() -> None:
    async def test() -> None:
        async with running(held=True) as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, [0]))
            await it.sink.begun.wait()
            await it.pipeline.add(batch(now, 0, [1]))
            await it.pipeline.add(batch(now, 1, [0]))
            await until(lambda: len(it.sink.prepared) == 2)
            await it.pipeline.add(batch(now, 2, [0]))
            await turns()
            # One is being committed, one is prepared, the rest gathers.
            assert (len(it.sink.prepared), it.sink.committed) == (2, [])
            it.sink.gate.set()
            await until(lambda: len(it.sink.committed) == 3)
            assert it.offsets() == [["0"], ["1", "0"], ["0"]]
            assert now.committed == {0: 2, 1: 1, 2: 1}

    run(test())


def test_a_lone_event_waits_for_company_until_the_buffer_is_full() -> None:
    async def test() -> None:
        async with running(PATIENT) as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, range(9)))
            await turns()
            assert it.sink.committed == []
            await it.pipeline.add(batch(now, 0, [9]))
            await until(lambda: len(it.sink.committed) == 1)

    run(test())


def test_a_slow_sink_makes_the_reader_wait() -> None:
    async def test() -> None:
        async with running(held=True) as it:
            now = session()
            it.pipeline.begin(now)

            async def read(batches: int) -> None:
                for number in range(batches):
                    await it.pipeline.add(batch(now, 0, range(5 * number, 5 * number + 5)))
                    now.read_positions[0] = 5 * number + 5

            reading = asyncio.ensure_future(read(100))
            await it.sink.begun.wait()
            await turns()
            assert not reading.done()
            # One flush in flight, one prepared, one gathered: each of at most 10 and a batch of 5.
            assert now.read_positions[0] <= 45
            it.sink.gate.set()
            await reading
            await until(lambda: now.committed[0] == 500)
            assert [user for flush in it.offsets() for user in flush] == [
                str(n) for n in range(500)
            ]

    run(test())


def test_batches_of_an_earlier_session_are_dropped() -> None:
    async def test() -> None:
        async with running() as it:
            old, new = session(), session()
            await it.pipeline.add(batch(old, 0, [0]))  # before any session
            it.pipeline.begin(old)
            await it.pipeline.end()
            await it.pipeline.add(batch(old, 0, [0]))  # between two sessions
            it.pipeline.begin(new)
            await it.pipeline.add(batch(old, 0, [0]))  # an echo of the old one
            await it.pipeline.add(batch(new, 0, [7]))
            await until(lambda: it.offsets() == [["7"]])
            await turns()
            assert it.offsets() == [["7"]]
            assert old.committed == {0: 0, 1: 0, 2: 0}

    run(test())


def test_a_reader_that_waits_for_room_is_freed_by_the_end_of_its_session() -> None:
    async def test() -> None:
        async with running(held=True) as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, range(10)))
            await it.sink.begun.wait()
            await it.pipeline.add(batch(now, 0, range(10, 20)))
            await turns()  # prepared meanwhile
            await it.pipeline.add(batch(now, 0, range(20, 30)))
            waiting = asyncio.ensure_future(it.pipeline.add(batch(now, 0, [30])))
            await turns()
            assert not waiting.done()
            ending = asyncio.ensure_future(it.pipeline.end())
            await waiting
            await turns()
            assert not ending.done(), "the flush in flight is waited for"
            assert it.sink.is_current is not None
            assert not it.sink.is_current(), "and told that its session is over"
            it.sink.gate.set()
            await ending
            await turns()
            # What was prepared but not begun belongs to the session that is over.
            assert it.offsets() == [[str(n) for n in range(10)]]
            assert len(it.sink.prepared) == 2

    run(test())


def test_a_lost_ownership_ends_the_session_and_asks_for_another() -> None:
    async def test() -> None:
        async with running() as it:
            now = session()
            it.sink.outcomes = [False]
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, [0]))
            await until(lambda: it.conflicts == ["another worker moved the offsets"])
            assert now.committed == {0: 0, 1: 0, 2: 0}
            await it.pipeline.add(batch(now, 0, [1]))
            again = session()
            it.pipeline.begin(again)
            await it.pipeline.add(batch(again, 0, [0]))
            await until(lambda: it.offsets() == [["0"]])
            assert len(it.conflicts) == 1

    run(test())


def test_a_flush_that_fails_after_its_session_ended_is_no_conflict() -> None:
    async def test() -> None:
        async with running(held=True) as it:
            old, new = session(), session()
            it.sink.outcomes = [False]
            it.pipeline.begin(old)
            await it.pipeline.add(batch(old, 0, [0]))
            await it.sink.begun.wait()
            ending = asyncio.ensure_future(it.pipeline.end())
            await turns()
            it.sink.gate.set()
            await ending
            it.pipeline.begin(new)
            await it.pipeline.add(batch(new, 0, [0]))
            await until(lambda: it.offsets() == [["0"]])
            assert it.conflicts == []

    run(test())


def test_the_end_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)

    async def test() -> None:
        async with running(held=True) as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, [0]))
            await it.sink.begun.wait()
            await it.pipeline.end()
            assert it.sink.committed == []

    run(test())


def test_draining_commits_what_is_buffered_without_waiting_for_company() -> None:
    async def test() -> None:
        async with running(PATIENT) as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, [0, 1]))
            await it.pipeline.drain()
            assert it.offsets() == [["0", "1"]]
            await it.pipeline.add(batch(now, 0, [2]))
            await turns()
            assert len(it.offsets()) == 1, "nothing is taken any more"

    run(test())


def test_draining_takes_nothing_more_from_a_reader_that_goes_on() -> None:
    async def test() -> None:
        async with running() as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, [0]))
            draining = asyncio.ensure_future(it.pipeline.drain())
            await asyncio.sleep(0)  # it begins
            offset = 1
            while not draining.done():
                await it.pipeline.add(batch(now, 0, [offset]))
                offset += 1
                await asyncio.sleep(0)
            await turns()
            assert it.offsets() == [["0"]]

    run(test())


def test_an_error_that_nobody_can_retry_ends_the_loop() -> None:
    async def test() -> None:
        class Defective(FakeSink):
            async def commit(self, work: Work, is_current: Callable[[], bool]) -> bool:
                del work, is_current
                raise RuntimeError("a defect")

        pipeline = Pipeline(
            Defective(),
            RULES,
            SOON,
            is_same_topic=FakeSink().is_same_topic,
            on_conflict=print,
            on_committed=print,
        )
        now = session()
        pipeline.begin(now)
        await pipeline.add(batch(now, 0, [0]))
        with pytest.raises(RuntimeError, match="a defect"):
            await pipeline.run()
        await pipeline.end()  # nobody waits for a flush that is no more

    run(test())


def test_what_was_fetched_of_another_topic_is_dropped_and_read_anew() -> None:
    async def test() -> None:
        async with running() as it:
            old = session()
            it.pipeline.begin(old)
            it.sink.topics = [False]
            await it.pipeline.add(batch(old, 0, [0, 1]))
            await until(lambda: it.conflicts == ["topic topic was created anew"])
            await it.pipeline.add(batch(old, 0, [2]))
            await turns()
            assert it.offsets() == []
            new = session()
            it.pipeline.begin(new)
            await it.pipeline.add(batch(new, 0, [0]))
            await until(lambda: it.offsets() == [["0"]])
            assert it.conflicts == ["topic topic was created anew"]

    run(test())


def test_nothing_is_committed_until_the_topic_is_known_to_be_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CONFIRM_AGAIN_S", 0.0)

    async def test() -> None:
        async with running() as it:
            now = session()
            it.pipeline.begin(now)
            it.sink.topics = [None] * 100
            await it.pipeline.add(batch(now, 0, [0, 1]))
            await until(lambda: len(it.sink.topics) < 50)
            assert it.offsets() == []
            await until(lambda: it.offsets() == [["0", "1"]])
            assert (it.sink.topics, it.conflicts) == ([], [])

    run(test())


def test_a_session_that_ends_while_the_broker_is_away_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CONFIRM_AGAIN_S", 0.0)

    async def test() -> None:
        async with running() as it:
            now = session()
            it.pipeline.begin(now)
            it.sink.topics = [None] * 10**6
            await it.pipeline.add(batch(now, 0, [0]))
            await until(lambda: len(it.sink.topics) < 10**6)
            await it.pipeline.end()
            assert it.offsets() == []

    run(test())


@pytest.mark.parametrize(
    ("stamp", "taken"), [(-1, 5_000), (0, 0), (4_999, 4_999), (5_001, 5_000), (2**63 - 1, 5_000)]
)
def test_time_stamps_of_records_are_not_trusted(stamp: int, taken: int) -> None:
    now = session()
    records = [Record(0, good_value(), timestamp=stamp)]
    work = decode_work(now, [PartitionBatch(now, 0, 0, 1, 0, records)], RULES, 5_000_000)
    (part,) = work.parts
    assert (part.produced_ms, part.newest_ms) == (taken, taken)


@pytest.mark.parametrize(
    ("stamp", "ended_s", "newest"),
    [
        (1_000, 4.5, 4_500),  # what a producer says is older than what the broker has told
        (4_800, 4.5, 4_800),
        (1_000, 9.0, 5_000),  # never the future
        (1_000, 0.0, 1_000),
    ],
)
def test_a_batch_that_ends_its_partition_is_as_new_as_the_broker_s_word(
    stamp: int, ended_s: float, newest: int
) -> None:
    now = session()
    records = [Record(offset, good_value(), timestamp=stamp) for offset in (0, 1)]
    batch_of = PartitionBatch(now, 0, 0, 2, 0, records, ended_s=ended_s)
    work = decode_work(now, [batch_of], RULES, 5_000_000)
    assert [part.newest_ms for part in work.parts] == [newest]
    first, second = work.halves()
    assert [part.newest_ms for part in first.parts] == [stamp], "the second message is not in it"
    assert [part.newest_ms for part in second.parts] == [newest]


def test_a_batch_that_went_missing_on_its_way_is_read_again() -> None:
    async def test() -> None:
        async with running() as it:
            now = session()
            it.pipeline.begin(now)
            await it.pipeline.add(batch(now, 0, [0, 1]))
            await until(lambda: it.offsets() == [["0", "1"]])
            batch(now, 0, [2, 3])  # read, and lost before it was handed over
            await it.pipeline.add(batch(now, 0, [4]))
            assert it.conflicts == ["a batch of partition 0 went missing on its way here"]
            await turns()
            assert it.offsets() == [["0", "1"]]
            again = session()
            it.pipeline.begin(again)
            await it.pipeline.add(batch(again, 1, [5]))  # a hole in the log is none in our reading
            await until(lambda: it.offsets() == [["0", "1"], ["5"]])

    run(test())
