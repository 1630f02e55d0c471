"""Decode a batch of message values, fast.

msgspec makes the events and numpy reads their timestamps. Whatever is odd about a value, in either
direction, sends that one value to `events.parse_event`, so that the results are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np

from analytics_service.domain.addresses import all_dotted_quads, canonical_address
from analytics_service.domain.events import Event, EventRules, Rejection, parse_event
from analytics_service.domain.fields import LEVELS
from analytics_service.domain.moments import read_moments
from analytics_service.domain.wire import (
    ESCAPED_NUL,
    USUAL_BYTES,
    doubtful,
    is_utf8,
    merge_other_names,
    read_wire_event,
)

# Values handled together: enough for numpy, few enough to stay in the processor's cache.
_CHUNK: Final = 1000
# The spellings that are met in practice; parse_event knows the others.
_SPELLINGS: Final = {
    spelling(name): level
    for name, level in LEVELS.items()
    for spelling in (str.lower, str.upper, str.capitalize)
}
_canonical_address: Final = lru_cache(maxsize=32_768)(canonical_address)


@dataclass(slots=True)
class DecodedBatch:
    """What a batch of values holds: valid events with their positions, and the rejected rest.

    ``positions[i]`` is the index in the batch of ``events[i]``; both and ``rejected`` are in the
    order of the batch. ``plain`` promises that no text of any event holds a tab, newline, carriage
    return or backslash.
    """

    events: list[Event] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejected: list[tuple[int, Rejection]] = field(default_factory=list)
    plain: bool = True


def decode_batch(values: Sequence[bytes | None], rules: EventRules, now_us: int) -> DecodedBatch:
    """The same as `parse_event` on each value. ``now_us``: epoch microseconds."""
    batch = DecodedBatch()
    for start in range(0, len(values), _CHUNK):
        _decode_chunk(values[start : start + _CHUNK], start, batch, rules, now_us)
    return batch


def _decode_chunk(
    values: Sequence[bytes | None],
    start: int,
    batch: DecodedBatch,
    rules: EventRules,
    now_us: int,
) -> None:
    """Add to ``batch`` what is in ``values``, whose first has the position ``start``."""
    readable, plain = _readable(values, rules)
    batch.plain = batch.plain and plain
    places, events = _read(readable)
    odd = _understand(events, rules, now_us)
    if not odd and len(events) == len(values):
        batch.events += events
        batch.positions += range(start, start + len(values))
        return
    understood = dict(zip(places, events, strict=True))
    for index in odd:
        del understood[places[index]]
    for place, value in enumerate(values):
        outcome = understood.get(place) or parse_event(value, rules, now_us)
        if isinstance(outcome, Rejection):
            batch.rejected.append((start + place, outcome))
        else:
            batch.events.append(outcome)
            batch.positions.append(start + place)


def _readable(
    values: Sequence[bytes | None], rules: EventRules
) -> tuple[Sequence[bytes | None], bool]:
    """The values with None for the `doubtful` ones; whether no text can hold what is not plain.

    Looking at all of them together costs a twentieth of looking at each.
    """
    present = [value for value in values if value is not None]
    joined = b"\n".join(present)  # the newline keeps broken characters from mending each other
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


def _understand(events: list[Any], rules: EventRules, now_us: int) -> set[int]:
    """Turn what was read into events, in place; the indexes of those that are odd in any way."""
    moments = read_moments([event.timestamp_us for event in events], rules.default_tz)
    first, last = rules.allowed_span(now_us)
    odd = set(np.flatnonzero((moments < first) | (moments > last)).tolist())
    for i, (event, moment) in enumerate(zip(events, moments.tolist(), strict=True)):
        try:
            event.timestamp_us = moment
            event.level = _SPELLINGS[event.level]
            if (
                event.business_risk_score is not None
                or event.ip_address is not None
                or event.enriched is not None
                or event.geo_country_name is not None
                or event.geo_country_code is not None
            ):
                merge_other_names(event)
            if event.user_id.__class__ is int:
                event.user_id = _json_text(event.user_id)
            if not event.latency_ms and event.latency_ms is not None:
                event.latency_ms = 0.0  # from -0.0
            if not event.risk_score and event.risk_score is not None:
                event.risk_score = 0.0
        except (KeyError, ValueError):
            odd.add(i)
    return odd | _make_addresses_canonical(events)


def _make_addresses_canonical(events: list[Any]) -> set[int]:
    """Rewrite the addresses in place; the indexes of the events whose address is none."""
    texts = [event.source_ip for event in events if event.source_ip is not None]
    wrong: set[int] = set()
    if all_dotted_quads(texts):
        return wrong
    for i, event in enumerate(events):
        if event.source_ip is not None:
            try:
                event.source_ip = _canonical_address(event.source_ip)
            except ValueError:
                wrong.add(i)
    return wrong


def _json_text(number: int) -> str:
    """The text of an int as it was written; ValueError when that cannot be told."""
    if number == 0:
        raise ValueError("0 or -0")
    return str(number)
