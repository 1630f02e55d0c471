"""COPY's text format, read back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.adapters.timescale.copy_columns import (
    array_fields,
    bytes_fields,
    fields,
    lines,
    timestamp_fields,
)
from analytics_service.adapters.timescale.copy_text import array, escape
from analytics_service.adapters.timescale.event_copy_text import EVENT_COLUMNS, event_lines
from analytics_service.domain.event_columns import EventColumns
from analytics_service.domain.events import EVENT_FIELDS, Event
from tests.unit.copy_reading import read_field, read_rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, -1_000_000], "{1, -1000000}"),
        ([None, 2], "{NULL, 2}"),
        ((), "{}"),
    ],
)
def test_arrays_in_a_statement(values: Sequence[object], text: str) -> None:
    assert array(values) == text


@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.none() | TEXTS, min_size=width, max_size=width), min_size=1, max_size=5
        )
    )
)
def test_texts_are_read_back_as_they_were(rows: list[list[str | None]]) -> None:
    columns = [fields(pa.array(column, pa.string())) for column in zip(*rows, strict=True)]
    numbers = fields(pa.array(range(len(rows))))
    found = read_rows(bytes(lines([numbers, *columns])).decode())
    assert found == [[str(number), *row] for number, row in enumerate(rows)]
    assert found == [
        [str(number), *(None if value is None else read_field(escape(value)) for value in row)]
        for number, row in enumerate(rows)
    ]


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHORT_LISTS = st.lists(st.integers(-(2**40), 2**40), max_size=4)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.tuples(INTEGERS, st.none() | FINITE, FINITE, SHORT_LISTS, st.none() | st.binary())


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_numbers_and_bytes_are_read_back_as_they_were(
    rows: list[tuple[int, float | None, float, list[int], bytes | None]],
) -> None:
    ones, others, thirds, lists, blobs = zip(*rows, strict=True)
    columns = [
        fields(pa.array(ones)),
        fields(pa.array(others, pa.float64())),
        fields(pa.array(thirds)),
        array_fields(
            list(accumulate(map(len, lists), initial=0)), np.array([*chain(*lists)], np.int64)
        ),
        bytes_fields(blobs),
    ]
    read = []
    for one, other, third, numbers, blob in read_rows(bytes(lines(columns)).decode()):
        assert numbers is not None
        assert (numbers[0], numbers[-1]) == ("{", "}")
        assert blob is None or blob[:2] == "\\x"
        read.append(
            (
                int(one or ""),
                None if other is None else float(other),
                float(third or ""),
                [int(number) for number in numbers[1:-1].split(",") if number],
                None if blob is None else bytes.fromhex(blob[2:]),
            )
        )
    assert read == rows


@given(
    st.lists(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999), min_size=1, max_size=5)
)
def test_times_to_the_microsecond_from_year_1_to_9999(times: list[int]) -> None:
    read = [datetime.fromisoformat(text) for text in timestamp_fields(pa.array(times)).to_pylist()]
    assert read == [EPOCH + timedelta(microseconds=each) for each in times]


EVENTS = st.builds(
    Event,
    timestamp_us=st.integers(0, 4_000_000_000_000_000),
    service=TEXTS.filter(bool),
    level=st.sampled_from(["debug", "info", "warning", "error", "critical"]),
    latency_ms=st.none() | st.floats(0, 1e308),
    risk_score=st.none() | st.floats(0, 1),
    source_ip=st.none() | st.sampled_from(["10.0.0.1", "2001:db8::1"]),
    **{
        name: st.none() | TEXTS
        for name in (
            "user_id", "request_id", "trace_id", "span_id", "message", "error_message",
            "geo_country", "user_subscription_tier",
        )
    },
)  # fmt: skip


def expected_row(event: Event, offset: int) -> list[object]:
    """The event as it must come back, times and numbers by value."""
    values = [getattr(event, name) for name in EVENT_FIELDS]
    at = EPOCH + timedelta(microseconds=event.timestamp_us)
    return [at, *values[1:], 7, 3, offset]


def converted(row: list[str | None]) -> list[object]:
    """A read row with its times and numbers as such."""
    named = dict(zip(EVENT_COLUMNS, row, strict=True))
    found: list[object] = []
    for name, text in named.items():
        if name == "timestamp":
            found.append(datetime.fromisoformat(str(text)))
        elif name in ("latency_ms", "risk_score"):
            found.append(None if text is None else float(text))
        elif name in ("topic_incarnation", "kafka_partition", "kafka_offset"):
            found.append(int(str(text)))
        else:
            found.append(text)
    return found


def is_plain(event: Event) -> bool:
    """Whether no text of the event needs an escape."""
    texts = [value for value in (getattr(event, n) for n in EVENT_FIELDS) if isinstance(value, str)]
    return not any(char in text for text in texts for char in "\t\n\r\\")


def copy_text(events: list[Event], offsets: list[int], *, plain: bool) -> str:
    """What is sent for the events, of incarnation 7 and partition 3."""
    return bytes(event_lines(EventColumns.of(events), offsets, 7, 3, plain=plain)).decode()


@given(st.lists(EVENTS, max_size=6), st.randoms(use_true_random=False))
def test_events_are_read_back_as_they_were(events: list[Event], rng: random.Random) -> None:
    offsets = sorted(rng.sample(range(100), len(events)))
    beside = list(zip(events, offsets, strict=True))
    # Careful where it is needed, and sometimes where it is not.
    plain = all(map(is_plain, events)) and rng.random() < 0.5
    text = copy_text(events, offsets, plain=plain)
    assert [converted(row) for row in read_rows(text)] == [expected_row(e, o) for e, o in beside]


def test_a_slice_of_the_events_is_written_alone() -> None:
    events = [Event(n, "s", "info", message=f"m {n}") for n in range(5)]
    some = EventColumns.of(events).slice(1, 3)
    text = bytes(event_lines(some, [11, 12], 7, 3)).decode()
    assert text == copy_text(events[1:3], [11, 12], plain=True)
    assert len(read_rows(text)) == 2


def test_the_quick_and_the_careful_way_write_the_same() -> None:
    events = [
        Event(1_700_000_000_123_456 + n, "s", "info", latency_ms=n * 0.1, message=f"m {n}")
        for n in range(20)
    ]
    offsets = list(range(20))
    quick = copy_text(events, offsets, plain=True)
    assert quick == copy_text(events, offsets, plain=False)
    assert quick.splitlines()[1] == (
        "2023-11-14 22:13:20.123457Z\ts\tinfo\t0.1"
        + "\t\\N" * 5
        + "\tm 1"
        + "\t\\N" * 4
        + "\t7\t3\t1"
    )
