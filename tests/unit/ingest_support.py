"""Sessions, batches and parts for the tests of the ingest side, made of plain values."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analytics_service.domain.event_columns import EventColumns
from analytics_service.domain.events import Event
from analytics_service.ingest.recalled import Recalled
from analytics_service.ingest.session import PartitionBatch, Session
from analytics_service.ingest.sources import Sources
from analytics_service.ingest.work import DeadLetter, Part


@dataclass(frozen=True)
class Record:
    """What the pipeline reads of a fetched record."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 1_700_000_000_000
    headers: Sequence[tuple[str, bytes]] = ()


def session(partitions: int = 3) -> Session:
    """A session that begins with every partition at 0."""
    return Session(
        "topic", "id", 1, dict.fromkeys(range(partitions), 0), dict.fromkeys(range(partitions), 0)
    )


def good_value(number: int = 0) -> bytes:
    """An event of this moment; `number` is its user."""
    return f'{{"timestamp":{time.time():.3f},"service":"s","level":"info","user_id":{number}}}'.encode()


def batch(
    of: Session, partition: int, offsets: Iterable[int], *, bad: Sequence[int] = ()
) -> PartitionBatch:
    """Records at `offsets`; those in `bad` are no events."""
    records = [Record(o, b"bad" if o in bad else good_value(o), b"key %d" % o) for o in offsets]
    end = records[-1].offset + 1
    expected = of.read_positions[partition]
    of.read_positions[partition] = end
    return PartitionBatch(of, partition, expected, end, 0, records)


def part(
    partition: int = 0,
    events: Sequence[int] = (),
    letters: Sequence[int] = (),
    *,
    first: int | None = None,
    end: int | None = None,
    size_bytes: int = 0,
    lag: int = 0,
) -> Part:
    """A part with events and dead letters at these offsets."""
    places = sorted([*events, *letters])
    return Part(
        partition=partition,
        first_offset=places[0] if first is None else first,
        next_offset=places[-1] + 1 if end is None else end,
        lag=lag,
        events=Recalled(
            EventColumns.of(
                [Event(1_700_000_000_000_000 + o, "s", "info", user_id=str(o)) for o in events]
            )
        ),
        offsets=list(events),
        sources=Sources([b"value %d" % o for o in events], [b"key %d" % o for o in events]),
        letters=[DeadLetter(partition, o, "empty", "no value", None, None) for o in letters],
        plain=True,
        size_bytes=size_bytes,
        produced_ms=0,
        newest_ms=0,
    )


def users(events: EventColumns) -> list[str | None]:
    """The offsets that the events of `part` and `batch` carry as their users."""
    return [event.user_id for event in events.events()]
