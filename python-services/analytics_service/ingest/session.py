"""A session: the time between two (re)starts of reading, within which offsets only move forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class Session:
    """What the worker may read and where it stands; compared by identity.

    `read_positions` is the next offset expected from the broker for each partition, `committed` the next offset stored
    in the database. Both belong to one incarnation of the topic, the one with `topic_id`.
    """

    topic: str
    topic_id: str
    incarnation: int
    read_positions: dict[int, int]
    committed: dict[int, int]


@dataclass(frozen=True, slots=True)
class PartitionBatch:
    """Consecutive records of one partition as fetched; `next_offset` is the one after the last.

    `expected_offset` is the `next_offset` of the batch before: the first record may lie behind it, where the log has
    holes.
    `lag` counts the messages of the partition that are behind this batch; `size_bytes` are those of keys and values.
    `ended_s`: when the partition ended with this batch, in epoch seconds; 0: more was there, or it is not known.
    """

    session: Session
    partition: int
    expected_offset: int
    next_offset: int
    lag: int
    records: Sequence[Any]
    size_bytes: int = 0
    ended_s: float = 0.0


def size_of(records: Sequence[Any]) -> int:
    """Bytes of their keys and values."""
    values, keys = [record.value for record in records], [record.key for record in records]
    return sum(map(len, filter(None, values))) + sum(map(len, filter(None, keys)))
