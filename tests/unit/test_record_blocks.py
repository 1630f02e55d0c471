"""aiokafka's own treatment of fetched batches, record by record and in blocks: the same records and positions."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from analytics_service.adapters.kafka.record_blocks import (
    FetchedInBlocks,
    fetch_in_blocks,
    records_of,
)

INPUT = TopicPartition("events", 0)
OTHER = TopicPartition("replies", 0)
ABORT = b"\x00\x00\x00\x00"


def batch(first: int, count: int, producer: int = -1, *, control: bytes | None = None) -> bytes:
    """A record batch of the log, of a transaction where there is a producer."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=producer >= 0,
        producer_id=producer,
        producer_epoch=0 if producer >= 0 else -1,
        base_sequence=0 if producer >= 0 else -1,
        batch_size=1 << 20,
    )
    for number in range(count):
        value = b"value %d" % (first + number)
        builder.append(number, 1_000 + number, b"key" if control is None else control, value, [])
    made = bytearray(builder.build())
    made[0:8] = first.to_bytes(8, "big")  # the checksum begins behind it
    if control is not None:
        made[22] |= 0x20
        made[17:21] = _checksum(bytes(made[21:]))
    return bytes(made)


def _checksum(data: bytes) -> bytes:
    from aiokafka.record.util import calc_crc32c

    return int(calc_crc32c(data)).to_bytes(4, "big")


def fetched(log: bytes, offset: int, aborted: list[tuple[int, int]]) -> PartitionRecords:
    """What a fetch from `offset` gives."""
    return PartitionRecords(
        INPUT, MemoryRecords(log), aborted, offset, None, None, True, READ_COMMITTED
    )


def in_blocks(records: PartitionRecords, of: TopicPartition = INPUT) -> Any:
    """A fetcher that has fetched them, in blocks."""
    result = FetchResult(of, assignment=None, partition_records=records, backoff=0)
    return FetchedInBlocks("events", OrderedDict({of: result}))


@pytest.mark.parametrize("offset", range(13))
@pytest.mark.parametrize(
    "log",
    [
        batch(0, 13),
        batch(0, 5) + batch(5, 1) + batch(6, 7),
        batch(0, 4) + batch(6, 2) + batch(9, 4),  # holes, as compaction leaves them
        batch(0, 3, 7) + batch(3, 1, 7, control=ABORT) + batch(4, 9),
        batch(0, 3, 7) + batch(3, 4) + batch(7, 1, 7, control=ABORT) + batch(8, 5, 7),
    ],
)
def test_the_same_records_and_positions(log: bytes, offset: int) -> None:
    aborted = [(7, 0)] if b"\x00\x00\x00\x00\x00\x00\x00\x07" in log else []
    plain = fetched(log, offset, list(aborted))
    expected = [(r.offset, r.timestamp, r.key, r.value) for r in plain]
    quick = fetched(log, offset, list(aborted))
    kept = in_blocks(quick)
    found = [(r.offset, r.timestamp, r.key, r.value) for r in records_of(quick)]
    assert found == expected
    assert quick.next_fetch_offset == plain.next_fetch_offset
    assert INPUT in kept


def test_aborted_messages_are_not_among_them() -> None:
    log = batch(0, 3, 7) + batch(3, 1, 7, control=ABORT) + batch(4, 2)
    quick = fetched(log, 0, [(7, 0)])
    kept = in_blocks(quick)
    assert [r.offset for r in records_of(quick)] == [4, 5]
    assert INPUT in kept


def test_other_topics_stay_as_they_are() -> None:
    records = fetched(batch(0, 2), 0, [])
    kept = in_blocks(records, OTHER)
    assert [record.offset for record in records] == [0, 1]
    assert OTHER in kept


def test_what_comes_later_comes_in_blocks_too_and_errors_pass() -> None:
    fetcher = SimpleNamespace(_records=OrderedDict())
    fetch_in_blocks(fetcher, "events")
    fetch_in_blocks(fetcher, "events")
    records = fetched(batch(0, 3), 0, [])
    fetcher._records[INPUT] = FetchResult(
        INPUT, assignment=None, partition_records=records, backoff=0
    )
    fetcher._records[OTHER] = error = object()
    assert [[r.offset for r in block] for block in records] == [[0, 1, 2]]
    assert fetcher._records[OTHER] is error


def test_what_was_fetched_goes_from_memory_at_once() -> None:
    gc.disable()
    try:
        records = fetched(batch(0, 3), 0, [])
        kept = in_blocks(records)
        gone = weakref.ref(records)
        list(records)
        del records, kept
        assert gone() is None
    finally:
        gc.enable()
