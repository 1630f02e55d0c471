"""aiokafka's records a batch at a time.

aiokafka hands records over one by one, through two calls and a generator's turn for each. What it works on are batches
as the producer made them, so a batch that says it holds a single record, its block, makes it do all that once a block,
with its treatment of control batches and aborted transactions as it is. Private attributes of aiokafka: its version is
pinned and tests run against a real broker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any
from weakref import ref as weakref


class RecordBlock(list[Any]):
    """Records of one batch, at least one; stands where aiokafka expects a record."""

    @property
    def offset(self) -> int:
        """Where the block ends: the offset of its last record."""
        last: int = self[-1].offset
        return last


class _BlockBatch:
    """One batch: all that aiokafka asks it, and its records as one block."""

    def __init__(self, batch: Any, partition_records: weakref[Any]) -> None:
        self._batch = batch
        self._partition_records = partition_records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[RecordBlock]:
        block = RecordBlock(self._batch)
        partition_records = self._partition_records()
        wanted = 0 if partition_records is None else partition_records.next_fetch_offset
        if block and block[0].offset < wanted:
            block = RecordBlock(record for record in block if record.offset >= wanted)
        if block:
            yield block


class _BlockRecords:
    """The batches of a fetched partition, each as one of a block."""

    def __init__(self, records: Any, partition_records: weakref[Any]) -> None:
        self._records = records
        self._partition_records = partition_records

    def has_next(self) -> bool:
        """Whether there is one more."""
        return bool(self._records.has_next())

    def next_batch(self) -> _BlockBatch:
        """The next one."""
        return _BlockBatch(self._records.next_batch(), self._partition_records)


class FetchedInBlocks(OrderedDict[Any, Any]):
    """What a fetcher has fetched, by partition; results of one topic are made to give blocks as they come in."""

    def __init__(self, topic: str, fetched: Mapping[Any, Any]) -> None:
        super().__init__()
        self._topic = topic
        self.update(fetched)

    def __setitem__(self, partition: Any, result: Any) -> None:
        # An error has no records, and neither has a result that was taken.
        records = getattr(result, "_partition_records", None)
        if records is not None and partition.topic == self._topic:
            _make_blocks(records)
        super().__setitem__(partition, result)


def fetch_in_blocks(fetcher: Any, topic: str) -> None:
    """From now on the fetcher's results for the topic are lists of blocks instead of records."""
    # pylint: disable=protected-access  # see above
    if not isinstance(fetcher._records, FetchedInBlocks):
        fetcher._records = FetchedInBlocks(topic, fetcher._records)


def _make_blocks(partition_records: Any) -> None:
    # pylint: disable=protected-access  # see above
    partition_records._records = _BlockRecords(
        # Weakly, or what was fetched would stay in memory until the garbage collector looks for circles.
        partition_records._records,
        weakref(partition_records),
    )
    partition_records._consumer_record = _undressed


def records_of(blocks: Iterable[RecordBlock]) -> list[Any]:
    """The records of the blocks one after the other."""
    return list(chain.from_iterable(blocks))


def _undressed(_: Any, record: Any) -> Any:
    return record
