"""Decode a batch of message values, fast.

Three ways that give the same results, each slower and more patient than the one before: a chunk of values whole into
columns (`json_columns`), its values one by one with msgspec (`wire`), and what is odd in any way, in either direction,
by `events.parse_event`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from analytics_service.domain.event_columns import NONE, EventColumns
from analytics_service.domain.events import Event, EventRules, Rejection, parse_event
from analytics_service.domain.json_columns import read_columns
from analytics_service.domain.understanding import understand
from analytics_service.domain.understanding_columns import understand_columns
from analytics_service.domain.wire import (
    ESCAPED_NUL,
    USUAL_BYTES,
    doubtful,
    is_utf8,
    read_wire_event,
)

# Values that become columns together: as many as make a call's own cost small. Where one of them is odd they are tried
# again in fewer, so that the others are not held up by it.
_LARGE: Final = 4096
_SMALL: Final = 256


@dataclass(slots=True)
class DecodedBatch:
    """What a batch of values holds: valid events with their positions, and the rejected rest.

    ``positions[i]`` is the index in the batch of row ``i`` of ``columns``; both and ``rejected`` are in the order of
    the batch. ``plain`` promises that no text of any event holds a tab, newline, carriage return or backslash.
    """

    columns: EventColumns
    positions: list[int] = field(default_factory=list)
    rejected: list[tuple[int, Rejection]] = field(default_factory=list)
    plain: bool = True

    @property
    def events(self) -> list[Event]:
        """The valid events one by one."""
        return self.columns.events()


def decode_batch(values: Sequence[bytes | None], rules: EventRules, now_us: int) -> DecodedBatch:
    """The same as `parse_event` on each value. ``now_us``: epoch microseconds."""
    batch = DecodedBatch(NONE)
    parts: list[EventColumns] = []
    for start in range(0, len(values), _LARGE):
        large = values[start : start + _LARGE]
        if _decode_columns(large, start, batch, parts, rules, now_us):
            continue
        for first in range(0, len(large), _SMALL):
            small = large[first : first + _SMALL]
            if not _decode_columns(small, start + first, batch, parts, rules, now_us):
                parts.append(_decode_each(small, start + first, batch, rules, now_us))
    batch.columns = EventColumns.concat(parts)
    return batch


def _decode_columns(
    values: Sequence[bytes | None],
    start: int,
    batch: DecodedBatch,
    parts: list[EventColumns],
    rules: EventRules,
    now_us: int,
) -> bool:
    """Add the ``values``, whose first has the position ``start``, as columns; False, and nothing, if they cannot be."""
    read = read_columns(values, rules.max_value_bytes)
    if read is None:
        return False
    table, plain = read
    batch.plain = batch.plain and plain
    columns, odd = understand_columns(table, rules, now_us)
    if not odd.any():
        parts.append(columns)
        batch.positions += range(start, start + len(values))
        return True
    kept = np.flatnonzero(~odd)
    judged = {
        place: parse_event(values[place], rules, now_us) for place in np.flatnonzero(odd).tolist()
    }
    valid = {place: event for place, event in judged.items() if isinstance(event, Event)}
    batch.rejected += [
        (start + place, outcome)
        for place, outcome in judged.items()
        if isinstance(outcome, Rejection)
    ]
    places = np.concatenate((kept, np.array(list(valid), dtype=np.int64)))
    order = np.argsort(places)
    together = EventColumns.concat([columns.take(kept), EventColumns.of(list(valid.values()))])
    parts.append(together.take(order) if valid else together)
    batch.positions += (places[order] + start).tolist()
    return True


def _decode_each(
    values: Sequence[bytes | None],
    start: int,
    batch: DecodedBatch,
    rules: EventRules,
    now_us: int,
) -> EventColumns:
    """The valid events of ``values``, whose first has the position ``start``; all else goes into ``batch``."""
    readable, plain = _readable(values, rules)
    batch.plain = batch.plain and plain
    places, events = _read(readable)
    odd = understand(events, rules, now_us)
    understood = dict(zip(places, events, strict=True))
    for index in odd:
        del understood[places[index]]
    valid: list[Event] = []
    for place, value in enumerate(values):
        outcome = understood.get(place) or parse_event(value, rules, now_us)
        if isinstance(outcome, Rejection):
            batch.rejected.append((start + place, outcome))
        else:
            valid.append(outcome)
            batch.positions.append(start + place)
    return EventColumns.of(valid)


def _readable(
    values: Sequence[bytes | None], rules: EventRules
) -> tuple[Sequence[bytes | None], bool]:
    """The values with None for the `doubtful` ones; whether no text can hold what is not plain.

    Looking at all of them together costs a twentieth of looking at each.
    """
    present = [value for value in values if value is not None]
    joined = b"\n".join(present)
    plain = b"\\" not in joined  # in JSON only an escape makes a control character or a backslash
    longest = max(map(len, present), default=0)
    usual = longest <= min(USUAL_BYTES, rules.max_value_bytes)
    if usual and (plain or ESCAPED_NUL not in joined) and is_utf8(joined):
        return values, plain
    doubts = (doubtful(value, rules.max_value_bytes) for value in values)
    return [None if doubt else value for value, doubt in zip(values, doubts, strict=True)], plain


def _read(values: Sequence[bytes | None]) -> tuple[list[int], list[Any]]:
    """The places of the values that msgspec could read, and their events."""
    places: list[int] = []
    events: list[Any] = []
    for place, value in enumerate(values):
        if value is None:
            continue
        try:
            events.append(read_wire_event(value))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        places.append(place)
    return places, events
