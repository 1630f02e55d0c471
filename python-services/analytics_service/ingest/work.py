"""What one flush carries: decoded parts of partitions, in the order they were read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from analytics_service.domain.event_columns import NONE, EventColumns
from analytics_service.ingest.recalled import Recalled
from analytics_service.ingest.session import Session
from analytics_service.ingest.sources import Sources


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot be stored: where it stood, why, and its original bytes.

    `replay_of` is the id of the earlier dead letter that it is a replay of, if it is one.
    """

    partition: int
    offset: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    replay_of: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive messages of one partition, decoded.

    Covers the offsets from `first_offset` up to, not including, `next_offset`; `offsets` and `sources` (what the events
    came from) run beside `events`.
    `plain`: no text of any event holds a control character or a backslash. `produced_ms` is the time stamp of the
    first message; everything produced before `newest_ms` lies before `next_offset`, as far as that is known.
    `replays` gives the id of the dead letter for each offset that is a replay of one; `ignored` counts replays left out
    because their letters had been settled before.
    """

    partition: int
    first_offset: int
    next_offset: int
    lag: int
    events: Recalled
    offsets: Sequence[int]
    sources: Sources
    letters: Sequence[DeadLetter]
    plain: bool
    size_bytes: int
    produced_ms: int
    newest_ms: int
    replays: Mapping[int, int] = field(default_factory=dict)
    ignored: int = 0


@dataclass(slots=True)
class Work:
    """Parts of one session, to be committed together.

    `prepared` is what the sink made ready ahead, if it did; nobody else looks at it.
    """

    session: Session
    parts: list[Part] = field(default_factory=list)
    prepared: object | None = None

    @property
    def events(self) -> int:
        """Number of events."""
        return sum(len(part.events) for part in self.parts)

    @property
    def messages(self) -> int:
        """Number of messages: events and dead letters."""
        return sum(len(part.events) + len(part.letters) for part in self.parts)

    @property
    def size_bytes(self) -> int:
        """Bytes of the messages as read."""
        return sum(part.size_bytes for part in self.parts)

    def all_events(self) -> EventColumns:
        """Every event, part by part."""
        return EventColumns.concat([part.events.columns for part in self.parts])

    def next_offsets(self) -> dict[int, int]:
        """The offset after the last message, for each partition."""
        return {part.partition: part.next_offset for part in self.parts}

    def lags(self) -> dict[int, int]:
        """Messages behind the last one read, for each partition."""
        return {part.partition: part.lag for part in self.parts}

    def forget_events(self) -> None:
        """Drop the decoded events from memory; they are decoded again should somebody look at them."""
        for part in self.parts:
            part.events.forget()

    def replays(self) -> list[tuple[int, int, int]]:
        """(id of the dead letter, partition, offset) of each replay, in the order they were read."""
        return [
            (letter_id, part.partition, offset)
            for part in self.parts
            for offset, letter_id in sorted(part.replays.items())
        ]

    def leave_out(self, places: Collection[tuple[int, int]]) -> None:
        """Take the messages at these (partition, offset) out; their offsets still count as read."""
        self.prepared = None
        self.parts = [
            _without(part, {o for p, o in places if p == part.partition}) for part in self.parts
        ]

    def halves(self) -> Iterator[Work]:
        """Two smaller works that follow one another: by parts, or the one part cut in the middle."""
        if len(self.parts) > 1:
            middle = len(self.parts) // 2
            yield Work(self.session, self.parts[:middle])
            yield Work(self.session, self.parts[middle:])
            return
        part = self.parts[0]
        # By messages, not events alone: a lone event among dead letters must not end up with all of them again.
        places = sorted([*part.offsets, *(letter.offset for letter in part.letters)])
        cut = places[len(places) // 2]
        yield Work(self.session, [_slice(part, part.first_offset, cut)])
        yield Work(self.session, [_slice(part, cut, part.next_offset)])


def as_dead_letters(part: Part, reason: str, detail: str) -> Part:
    """The same offsets with every event turned into a dead letter with its original bytes."""
    letters = [
        DeadLetter(
            part.partition,
            offset,
            reason,
            detail,
            part.sources.key(place),
            value,
            part.replays.get(offset),
        )
        for place, (offset, value) in enumerate(zip(part.offsets, part.sources.values, strict=True))
    ]
    return replace(
        part,
        events=Recalled(NONE),
        offsets=(),
        sources=Sources(),
        letters=(*part.letters, *letters),
    )


def _slice(part: Part, first: int, end: int) -> Part:
    """The messages of `part` from offset `first` up to, not including, `end`."""
    begin, stop = bisect_left(part.offsets, first), bisect_left(part.offsets, end)
    return replace(
        part,
        first_offset=first,
        next_offset=end,
        lag=part.lag + part.next_offset - end,
        events=Recalled(part.events.columns.slice(begin, stop)),
        offsets=part.offsets[begin:stop],
        sources=part.sources.slice(begin, stop),
        letters=[letter for letter in part.letters if first <= letter.offset < end],
        newest_ms=part.newest_ms if end == part.next_offset else part.produced_ms,
        replays={o: letter for o, letter in part.replays.items() if first <= o < end},
        ignored=0,
    )


def _without(part: Part, offsets: Collection[int]) -> Part:
    """`part` without the messages at `offsets`."""
    left_out = {offset for offset in offsets if part.first_offset <= offset < part.next_offset}
    if not left_out:
        return part
    kept = [place for place, offset in enumerate(part.offsets) if offset not in left_out]
    return replace(
        part,
        events=Recalled(part.events.columns.take(kept)),
        offsets=[part.offsets[place] for place in kept],
        sources=part.sources.take(kept),
        letters=[letter for letter in part.letters if letter.offset not in left_out],
        replays={o: letter for o, letter in part.replays.items() if o not in left_out},
        ignored=part.ignored + len(left_out),
    )
