"""What was gathered for a flush becomes the parts of its work."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import partial
from typing import Any

from analytics_service.domain.decoding import DecodedBatch, decode_batch
from analytics_service.domain.event_columns import EventColumns
from analytics_service.domain.events import EventRules
from analytics_service.domain.replays import replayed_letter
from analytics_service.ingest.recalled import Recalled
from analytics_service.ingest.session import PartitionBatch, Session
from analytics_service.ingest.sources import Sources
from analytics_service.ingest.work import DeadLetter, Part, Work


def decode_work(
    session: Session, batches: Sequence[PartitionBatch], rules: EventRules, now_us: int
) -> Work:
    """Judge every record of the batches, all of them at once: a column's own cost is the same for few and for many.

    `now_us` (epoch microseconds) decides what is too old or in the future.
    """
    values = [record.value for batch in batches for record in batch.records]
    decoded = decode_batch(values, rules, now_us)
    parts = []
    first = 0
    for batch in batches:
        end = first + len(batch.records)
        parts.append(_part(batch, _between(decoded, first, end), values[first:end], rules, now_us))
        first = end
    return Work(session, parts)


def _between(decoded: DecodedBatch, first: int, end: int) -> DecodedBatch:
    """The outcome of the values from position `first` up to, not including, `end`, positions counted from there."""
    begin, stop = bisect_left(decoded.positions, first), bisect_left(decoded.positions, end)
    return DecodedBatch(
        decoded.columns.slice(begin, stop),
        [position - first for position in decoded.positions[begin:stop]],
        [(place - first, why) for place, why in decoded.rejected if first <= place < end],
        decoded.plain,
    )


def _part(
    batch: PartitionBatch,
    decoded: DecodedBatch,
    values: Sequence[bytes | None],
    rules: EventRules,
    now_us: int,
) -> Part:
    records = batch.records
    offsets = [record.offset for record in records]
    keys = [record.key for record in records]
    fetched = Sources(values, None if keys.count(None) == len(keys) else keys)
    replays = _replays(records)
    letters = [
        DeadLetter(
            batch.partition,
            offsets[position],
            rejection.reason,
            rejection.detail,
            fetched.key(position),
            values[position],
            replays.get(offsets[position]),
        )
        for position, rejection in decoded.rejected
    ]
    sources = fetched
    if letters:
        offsets = [offsets[position] for position in decoded.positions]
        sources = fetched.take(decoded.positions)
    return Part(
        partition=batch.partition,
        first_offset=records[0].offset,
        next_offset=batch.next_offset,
        lag=batch.lag,
        events=Recalled(decoded.columns, partial(_decode_again, sources, rules, now_us)),
        offsets=offsets,
        sources=sources,
        letters=letters,
        plain=decoded.plain,
        size_bytes=batch.size_bytes,
        produced_ms=_plausible_ms(records[0].timestamp, now_us),
        # A producer's clock, or an older event's time passed on as the record's, may say too little.
        newest_ms=max(
            _plausible_ms(records[-1].timestamp, now_us),
            min(int(batch.ended_s * 1000), now_us // 1000),
        ),
        replays=replays,
    )


def _plausible_ms(record_ms: int, now_us: int) -> int:
    """A record's time stamp; now, where the producer made it the future, or gave none (-1)."""
    now_ms = now_us // 1000
    return record_ms if 0 <= record_ms <= now_ms else now_ms


def _replays(records: Sequence[Any]) -> dict[int, int]:
    """Offset -> id of the dead letter, for the records that are replays."""
    with_headers = [record for record in records if record.headers]
    found = {record.offset: replayed_letter(record.headers) for record in with_headers}
    return {offset: letter_id for offset, letter_id in found.items() if letter_id is not None}


def _decode_again(sources: Sources, rules: EventRules, now_us: int) -> EventColumns:
    """The events of `sources`, which were all valid at `now_us`."""
    return decode_batch(sources.values, rules, now_us).columns
