"""The buffer: bounded, in order, and only of the current session."""

from __future__ import annotations

from collections.abc import Iterable

from analytics_service.ingest.buffer import Buffer, Limits
from analytics_service.ingest.session import PartitionBatch
from tests.unit.ingest_support import Record, batch, session

LIMITS = Limits(flush_events=10, flush_bytes=1_000, linger_s=0.5)


def some(
    partition: int, offsets: Iterable[int], *, size_bytes: int = 0, lag: int = 0
) -> PartitionBatch:
    """A batch of no session in particular; what its records say is of no matter."""
    records = [Record(offset, b"") for offset in offsets]
    end = records[-1].offset + 1
    return PartitionBatch(session(), partition, 0, end, lag, records, size_bytes)


def opened(limits: Limits = LIMITS) -> Buffer:
    """An empty buffer with a session."""
    buffer = Buffer(limits)
    buffer.open(session())
    return buffer


def test_nothing_to_flush() -> None:
    buffer = opened()
    assert (buffer.wait_left(5.0), buffer.take(), buffer.has_room) == (None, None, True)
    assert Buffer(LIMITS).take() is None


def test_the_first_event_waits_for_company_but_not_long() -> None:
    # added at 10.0, more at 10.3: due at 10.5, counted from the first
    buffer = opened()
    buffer.add(some(0, [0]), 10.0)
    assert buffer.wait_left(10.0) == 0.5
    buffer.add(some(0, [1]), 10.3)
    assert buffer.wait_left(10.4) is not None
    assert abs((buffer.wait_left(10.4) or 0) - 0.1) < 1e-9
    assert buffer.wait_left(10.5) == 0.0
    assert buffer.wait_left(99.0) == 0.0
    work = buffer.take()
    assert work is not None
    assert [batch.next_offset for batch in work.batches] == [1, 2]
    assert buffer.wait_left(99.0) is None, "the next one waits anew"


def test_full_by_messages() -> None:
    buffer = opened()
    buffer.add(some(0, range(9)), 0.0)
    assert (buffer.is_full, buffer.has_room, buffer.wait_left(0.0)) == (False, True, 0.5)
    buffer.add(some(1, [0]), 0.0)
    assert (buffer.is_full, buffer.has_room, buffer.wait_left(0.0)) == (True, False, 0.0)


def test_full_by_bytes() -> None:
    buffer = opened()
    buffer.add(some(0, [0], size_bytes=999), 0.0)
    assert buffer.has_room
    buffer.add(some(0, [1], size_bytes=1), 0.0)
    assert (buffer.has_room, buffer.wait_left(0.0)) == (False, 0.0)


def test_what_does_not_fit_stays_for_the_next_flush_in_order() -> None:
    buffer = opened()
    batches = [some(n % 2, range(6 * n, 6 * n + 6), size_bytes=10) for n in range(5)]
    for each in batches:
        buffer.add(each, 1.0)
    works = []
    while (work := buffer.take()) is not None:
        works.append(work.batches)
        if sum(map(len, works)) < len(batches):
            assert buffer.wait_left(1.0) is not None
            assert buffer.since == 1.0, "what stays has waited since it was added"
    # Two batches of six reach the ten of a flush.
    assert works == [batches[0:2], batches[2:4], batches[4:5]]
    assert (buffer.wait_left(1.0), buffer.has_room) == (None, True)


def test_one_batch_larger_than_a_flush_is_a_flush() -> None:
    buffer = opened()
    huge = some(0, range(100), size_bytes=5_000)
    buffer.add(huge, 0.0)
    work = buffer.take()
    assert work is not None
    assert work.batches == [huge]


def test_only_batches_of_the_current_session_are_taken() -> None:
    buffer = Buffer(LIMITS)
    old, new = session(), session()  # equal in content: the identity counts
    assert not buffer.accepts(batch(old, 0, [0]))
    buffer.open(old)
    assert buffer.accepts(batch(old, 0, [0]))
    buffer.add(some(0, [0]), 0.0)
    buffer.open(new)
    assert (buffer.take(), buffer.wait_left(9.0)) == (None, None), "what was buffered is forgotten"
    assert not buffer.accepts(batch(old, 0, [0]))
    assert buffer.accepts(batch(new, 0, [0]))
    buffer.open(None)
    assert not buffer.accepts(batch(new, 0, [0]))


def test_who_has_much_to_catch_up_with_waits_for_a_whole_flush() -> None:
    buffer = opened(Limits(flush_events=10, flush_bytes=1_000, linger_s=0.5, patience_s=2.0))
    buffer.add(some(0, [0], lag=8), 10.0)
    buffer.add(some(1, [0], lag=2), 10.0)
    assert buffer.wait_left(10.0, busy=True) == 0.5, "ten are no more than one flush takes"
    buffer.add(some(1, [1], lag=3), 10.0)
    assert buffer.wait_left(10.0, busy=True) == 2.0
    assert buffer.wait_left(10.0) == 0.5, "unless nothing else is under way"
    assert buffer.wait_left(11.5, busy=True) == 0.5
    assert buffer.wait_left(12.0, busy=True) == 0.0, "but not for ever"
    buffer.add(some(0, [1], lag=0), 10.0)
    assert buffer.wait_left(10.0, busy=True) == 0.5, (
        "what counts is the last that was heard of each partition"
    )
    buffer.add(some(0, range(2, 9), lag=50), 10.0)
    assert buffer.wait_left(10.0, busy=True) == 0.0, "full"


def test_a_new_session_has_nothing_to_catch_up_with_yet() -> None:
    buffer = opened(Limits(flush_events=10, flush_bytes=1_000, linger_s=0.5, patience_s=2.0))
    buffer.add(some(0, [0], lag=99), 10.0)
    buffer.open(session())
    buffer.add(some(1, [0]), 10.0)
    assert buffer.wait_left(10.0, busy=True) == 0.5


def test_what_would_only_wait_for_the_flush_under_way_is_not_taken_yet() -> None:
    buffer = opened()
    buffer.add(some(0, [0]), 10.0)
    assert buffer.wait_left(10.0, not_before_s=12.0) == 2.0
    assert buffer.wait_left(12.0, not_before_s=12.0) == 0.0
    assert buffer.wait_left(10.0, not_before_s=3.0) == 0.5, "company is waited for all the same"
    buffer.add(some(0, range(1, 10)), 10.0)
    assert buffer.wait_left(10.0, not_before_s=12.0) == 0.0, "full"
