"""Events as columns and back."""

from __future__ import annotations

from datetime import UTC

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.event_columns import NONE, EventColumns
from analytics_service.domain.events import Event
from analytics_service.domain.moments import read_text_moments
from analytics_service.domain.timestamps import parse_iso

TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
EVENTS = st.builds(
    Event,
    timestamp_us=st.integers(-(10**15), 10**15),
    service=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
    level=st.sampled_from(["info", "error"]),
    latency_ms=st.none() | st.floats(0, 1e308),
    user_id=TEXTS,
    message=TEXTS,
)


@given(st.lists(EVENTS, max_size=8), st.data())
def test_events_come_back_as_they_were(events: list[Event], data: st.DataObject) -> None:
    columns = EventColumns.of(events)
    assert columns.events() == events
    assert len(columns) == len(events)
    assert columns.times_us.tolist() == [event.timestamp_us for event in events]
    first = data.draw(st.integers(0, len(events)))
    end = data.draw(st.integers(0, len(events)))
    part = columns.slice(first, end)
    assert part.events() == events[first:end]
    assert part.times_us.tolist() == [event.timestamp_us for event in events[first:end]]
    places = data.draw(st.lists(st.integers(0, len(events) - 1), max_size=8)) if events else []
    assert columns.take(np.array(places, dtype=np.int64)).events() == [events[i] for i in places]
    assert EventColumns.concat([columns, part, NONE]).events() == [*events, *events[first:end]]


def test_no_events() -> None:
    assert EventColumns.concat([]).events() == NONE.events() == []


def test_moments_of_a_slice_of_texts() -> None:
    texts = [f"2026-11-23T11:59:{n % 60:02d}{'.5' * (n % 2)}Z" for n in range(200)]
    array = pa.array([None, "x", *texts, None])
    moments = read_text_moments(array.slice(2, 200), UTC)
    assert moments.tolist() == [parse_iso(text, UTC) for text in texts]
