"""`decode_batch` gives what `parse_event` gives for each value, whatever the values are."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_service.domain.decoding import DecodedBatch, decode_batch
from analytics_service.domain.events import EVENT_FIELDS, Event, EventRules, Rejection, parse_event
from tests.unit.domain_strategies import (
    NOW_US,
    Literal,
    a_document,
    any_values,
    encode,
    iso_texts,
    odd_values,
    render,
    rules_of,
    timestamps,
    valid_documents,
)
from tests.unit.test_events import BROKEN, NO_OBJECTS, READ_AS
from tests.unit.test_events_timestamps import LOCAL, NUMBERS, REFUSED, TEXTS

NEZHA = Path(__file__).parents[3] / "shared" / "data" / "nezha_tt_requests.ndjson.gz"
NOT_PLAIN = frozenset("\t\n\r\\")
local = datetime.fromisoformat


def assert_same(values: Sequence[bytes | None], rules: EventRules, now_us: int) -> DecodedBatch:
    """decode_batch against parse_event, value by value, types and signs of zero included."""
    batch = decode_batch(values, rules, now_us)
    assert len(batch.events) == len(batch.positions)
    outcomes: dict[int, Event | Rejection] = dict(zip(batch.positions, batch.events, strict=True))
    outcomes.update(batch.rejected)
    for _, rejection in batch.rejected:  # both become columns and headers
        assert "\0" not in (rejection.reason + rejection.detail).encode("utf-8").decode()
    assert sorted(outcomes) == list(range(len(values)))
    assert batch.positions == sorted(batch.positions)
    assert [place for place, _ in batch.rejected] == sorted(place for place, _ in batch.rejected)
    for place, value in enumerate(values):
        assert described(outcomes[place]) == described(parse_event(value, rules, now_us)), value
    if batch.plain:
        for event in batch.events:
            held = [getattr(event, name) for name in EVENT_FIELDS]
            assert not any(NOT_PLAIN & set(text) for text in held if isinstance(text, str))
    return batch


def described(outcome: Event | Rejection) -> object:
    """Everything that must agree; repr tells 0.0 from -0.0 and 1 from 1.0."""
    if isinstance(outcome, Rejection):
        return outcome
    values = [getattr(outcome, name) for name in EVENT_FIELDS]
    return [(type(value), repr(value)) for value in values]


@settings(max_examples=150)
@given(st.lists(any_values(), max_size=8))
def test_any_values(values: list[bytes | None]) -> None:
    assert_same(values, rules_of(), NOW_US)


@settings(max_examples=150)
@given(any_values())
def test_any_value_alone_and_among_usual_ones(value: bytes | None) -> None:
    """Not held up by others that are odd: as many values as can be are read as columns."""
    assert_same([value], rules_of(), NOW_US)
    usual = encode(a_document())
    assert_same([usual, value, usual], rules_of(), NOW_US)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "2", "-1", "null"])
def test_a_number_behind_another_name_is_not_looked_at_but_has_to_be_json(number: str) -> None:
    usual = encode({**a_document(), "risk_score": 0.5, "business_risk_score": 0.25})
    assert b"0.25" in usual
    assert_same([*[usual] * 3, usual.replace(b"0.25", number.encode())], rules_of(), NOW_US)


@pytest.mark.parametrize(
    "values",
    [
        # objects that do not end where the values do, although their number is right
        [b'{"a":1', b'"b":2}', b'{"c":1}{"d":2}'],
        ["%", "% %"],
        ["%%", " "],
        ["%%", "{"],
        ["%\n%", "%"],
        ['{"x":%', "}%"],
        ['{"x":[%', "%]}%"],
        ['{"x":"%}', '{%"}%'],
        ['{"x":"}', '{"}%'],
        ["[%", "%]"],
        ["%,", "%"],
        ["%", ",%"],
        ["%/**/", "%"],
        ["// %", "%"],
        ["\ufeff%", "%"],
        ["%", "\x0b%"],
        ["%", "%\n"],
        ["%\r", "\r%"],
    ],
)
def test_values_that_are_not_one_object_each(values: list[str | bytes]) -> None:
    usual = encode(a_document())
    raw = [v if isinstance(v, bytes) else v.encode().replace(b"%", usual) for v in values]
    assert_same(raw, rules_of(), NOW_US)
    assert_same([usual, *raw, usual], rules_of(), NOW_US)
    assert_same(raw[::-1], rules_of(), NOW_US)


@settings(max_examples=100)
@given(st.lists(valid_documents(), min_size=1, max_size=60))
def test_valid_documents_are_all_accepted(documents: list[dict[str, object]]) -> None:
    batch = assert_same([encode(document) for document in documents], rules_of(), NOW_US)
    assert not batch.rejected


@settings(max_examples=100)
@given(
    st.lists(st.one_of(timestamps, odd_values), max_size=6),
    iso_texts,
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]),
    st.booleans(),
)
def test_timestamps_among_many_of_one_shape(
    stamps: list[object], common: str, zone: str, unlimited: bool
) -> None:
    # Enough of one shape to be read by columns, the odd ones in between.
    stamps = [common] * 20 + stamps + [common] * 20
    values = [render(list(a_document(timestamp=stamp).items())) for stamp in stamps]
    rules = rules_of(ZoneInfo(zone))
    if unlimited:
        rules = EventRules(rules.default_tz, 10**30, 10**30)
    assert_same([value.encode("utf-8", "surrogatepass") for value in values], rules, NOW_US)


@settings(max_examples=100)
@given(
    st.lists(st.datetimes(local("1900-01-01"), local("2100-01-01")), min_size=40, max_size=60),
    st.sampled_from(["UTC", "Europe/Berlin", "Africa/Monrovia", "Asia/Kathmandu"]),
    st.sampled_from(["", "Z", "+05:45", "-0330", "+24:00", "-00:00"]),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_timestamps_of_one_shape(
    moments: list[datetime], zone: str, suffix: str, precision: str
) -> None:
    values = [
        encode(a_document(timestamp=moment.isoformat(timespec=precision) + suffix))
        for moment in moments
    ]
    assert_same(values, EventRules(ZoneInfo(zone), 10**30, 10**30), NOW_US)


@pytest.mark.parametrize(
    "zone", [UTC, ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=-3, minutes=-30))]
)
def test_local_times_around_the_change_of_the_clocks(zone: tzinfo) -> None:
    start = local("2026-10-25")
    stamps = [(start + timedelta(minutes=7 * i)).isoformat() for i in range(60)]
    values = [encode(a_document(timestamp=stamp)) for stamp in stamps]
    batch = assert_same(values, EventRules(zone, 10**18, 10**18), NOW_US)
    assert len(batch.events) == 60


def test_texts_of_one_length_that_differ_in_what_is_no_digit() -> None:
    texts = ["2026-11-23T12:00:00+01:00", "2026-11-23T12:00:00+02:00", "2026-11-23 12:00:00-01:00"]
    texts += ["2026-11-23T12:00:00,00000", "2026-11-23t12:00:00.0000z", "2026-11-23T12:00:00+0x:00"]
    for first in texts:
        stamps = [first, *texts] * 10
        values = [encode(a_document(timestamp=stamp)) for stamp in stamps]
        assert_same(values, EventRules(UTC, 10**18, 10**18), NOW_US)


class WithinAMinute(tzinfo):
    """A zone whose clocks go an hour forward at 12:00:30, as zones did once."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        return timedelta(hours=moment.replace(tzinfo=None) >= local("2026-11-23T12:00:30"))

    def dst(self, _moment: datetime | None) -> None:
        return None

    def tzname(self, _moment: datetime | None) -> str:
        return "within a minute"


def test_clocks_that_change_within_a_minute() -> None:
    stamps = [(local("2026-11-23T11:59:00") + timedelta(seconds=i)).isoformat() for i in range(120)]
    values = [encode(a_document(timestamp=stamp)) for stamp in stamps]
    batch = assert_same(values, rules_of(WithinAMinute()), NOW_US)
    assert [event.timestamp_us for event in batch.events[88:92]] == [
        *(NOW_US + 28_000_000, NOW_US + 29_000_000),
        *(NOW_US - 3_570_000_000, NOW_US - 3_569_000_000),
    ]


def test_positions_and_order_with_bad_values_in_between() -> None:
    good = encode(a_document())
    values = [None, good, b"{", good, b"[]", b"", good, encode(a_document(level="x"))]
    batch = assert_same(values, rules_of(), NOW_US)
    assert batch.positions == [1, 3, 6]
    assert [(place, rejection.reason) for place, rejection in batch.rejected] == [
        (0, "empty"),
        (2, "invalid_json"),
        (4, "not_an_object"),
        (5, "empty"),
        (7, "invalid_field:level"),
    ]


def test_an_event_is_equal_to_the_references_event() -> None:
    value = encode(a_document(user_id="u", ip_address="::1"))
    (event,) = decode_batch([value], rules_of(), NOW_US).events
    reference = parse_event(value, rules_of(), NOW_US)
    assert event == reference
    assert reference == event
    assert (event != reference) is (reference != event) is False


def test_positions_across_more_values_than_are_handled_at_once() -> None:
    values = [encode(a_document(user_id=f"u{i}")) if i % 700 else None for i in range(2500)]
    batch = decode_batch(values, rules_of(), NOW_US)
    assert [place for place, _ in batch.rejected] == [0, 700, 1400, 2100]
    assert [event.user_id for event in batch.events] == [f"u{i}" for i in range(2500) if i % 700]
    assert batch.positions == [i for i in range(2500) if i % 700]


def test_no_values_are_no_events() -> None:
    batch = assert_same([], rules_of(), NOW_US)
    assert (batch.events, batch.positions, batch.rejected, batch.plain) == ([], [], [], True)


def test_every_row_of_the_tables_of_rules() -> None:
    values = [value for value, _ in NO_OBJECTS]
    values += [encode(a_document(**changes)) for changes, _ in BROKEN]
    values += [encode(a_document(**changes)) for changes, _, _ in READ_AS]
    assert_same(values, rules_of(), NOW_US)
    for value in values:  # alone, too: a batch of odd values is handled with more care
        assert_same([value], rules_of(), NOW_US)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_every_row_of_the_tables_of_timestamps(zone: str) -> None:
    stamps = [f'"{text}"' for text, *_ in (*TEXTS, *LOCAL)]
    stamps += [number for number, _ in NUMBERS] + REFUSED
    documents = [a_document(timestamp=Literal(stamp)) for stamp in stamps]
    values = [render(list(document.items())).encode() for document in documents]
    rules = EventRules(ZoneInfo(zone), 10**18, 10**18)
    assert_same(values, rules, NOW_US)
    for value in values:  # and as one among many of the same shape
        assert_same([value] * 40, rules, NOW_US)
        assert_same([encode(a_document(timestamp="2026-11-23T11:59:59"))] * 40 + [value], rules, 0)


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("GET /", True),
        ("\u00e9\U0001f600", True),
        ('quoted "x"', False),
        ("tab\t", False),
        ("line\n", False),
        ("back\\slash", False),
    ],
)
def test_plain_is_a_promise_about_every_text(message: str, plain: bool) -> None:
    values = [encode(a_document()), encode(a_document(message=message))]
    assert assert_same(values, rules_of(), NOW_US).plain is plain


@pytest.mark.parametrize(
    ("limit", "size", "reasons"),
    [
        (100, 100, []),
        (100, 101, ["too_large"]),
        (65536, 65536, []),
        (65536, 65537, ["too_large"]),
    ],
)
def test_the_limit_of_size_is_that_of_the_rules(limit: int, size: int, reasons: list[str]) -> None:
    value = encode(a_document(message=""))
    value = encode(a_document(message="x" * (size - len(value))))
    assert len(value) == size
    batch = assert_same([value], rules_of(max_value_bytes=limit), NOW_US)
    assert [rejection.reason for _, rejection in batch.rejected] == reasons


@pytest.mark.parametrize("depth", [400, 498, 499, 500, 501, 502, 900, 1100, 20_000])
@pytest.mark.parametrize("name", ["ignored", "enriched", "message"])
def test_nesting(depth: int, name: str) -> None:
    nested = Literal("[" * depth + "]" * depth)
    inner = [("x", nested)] if name == "enriched" else nested
    value = render([*a_document().items(), (name, inner)]).encode()
    assert_same([value], rules_of(), NOW_US)


@pytest.mark.parametrize(
    "piece",
    [
        # text that only looks like an escape or like structure
        r'"\\u0000"',
        r'"\\\u0041"',
        r'"\\ud800"',
        '"}{"',
        '"[[[[{{{{"',
        # numbers as texts
        "0",
        "-0",
        "-0.0",
        "1.50",
        "1.0",
        "1E400",
        "18446744073709551616",
        "-9223372036854775809",
        "1" * 5000,
        # numbers at the edge of float64
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "2.2250738585072011e-308",
        "4.9e-324",
        "2e-324",
        "0.1000000000000000055511151231257827021181583404541015625",
        "9007199254740993",
    ],
)
@pytest.mark.parametrize(
    "name", ["user_id", "message", "service", "latency_ms", "risk_score", "timestamp", "x"]
)
def test_pieces_that_parsers_disagree_about(piece: str, name: str) -> None:
    document = {**a_document(), name: Literal(piece)}
    assert_same([render(list(document.items())).encode()], rules_of(), NOW_US)


def test_the_recorded_requests() -> None:
    if not NEZHA.exists():
        pytest.skip(f"needs {NEZHA}, which is not part of the checkout")
    with gzip.open(NEZHA) as lines:
        values = [line.rstrip(b"\n") for line in lines][::29]
    rules = EventRules(UTC, 0, 10**18)
    batch = assert_same(values, rules, NOW_US)
    assert batch.plain
    assert not batch.rejected
    first = json.loads(values[0])
    assert batch.events[0].service == first["service"]
    assert batch.events[0].latency_ms == first["latency_ms"]
