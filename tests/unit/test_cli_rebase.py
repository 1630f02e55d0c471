"""Moving events in time: the stamp changes, the rest of the line does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.entrypoints.cli.rebase import shift, stamp_us

BERLIN = ZoneInfo("Europe/Berlin")
DAY_US = 86_400_000_000


def epoch_us(iso: str) -> int:
    """Epoch microseconds of an aware ISO text."""
    return (datetime.fromisoformat(iso) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@pytest.mark.parametrize(
    ("stamp", "iso"),
    [
        ('"2026-03-14T15:00:00Z"', "2026-03-14T15:00:00+00:00"),
        ('"2026-03-14T15:00:00.123456789+02:00"', "2026-03-14T13:00:00.123456+00:00"),
        ('"2026-03-14 15:00:00"', "2026-03-14T14:00:00+00:00"),
        ("1773500400", "2026-03-14T15:00:00+00:00"),
        ("1773500400.5", "2026-03-14T15:00:00.5+00:00"),
        ("1773500400250", "2026-03-14T15:00:00.25+00:00"),
    ],
)
def test_reading_a_stamp(stamp: str, iso: str) -> None:
    assert stamp_us(f'{{"service": "a", "timestamp": {stamp}}}'.encode(), BERLIN) == epoch_us(iso)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"timestamp": null}',
        b'{"timestamp": true}',
        b'{"timestamp": "yesterday"}',
        b'{"timestamp": "\xff"}',
        b'{"timestamp": 1e300}',
        b'{"timestamp": ["2026-03-14T15:00:00Z"]}',
    ],
)
def test_a_line_without_a_readable_stamp_is_left_alone(line: bytes) -> None:
    assert stamp_us(line, UTC) is None
    assert shift(line, DAY_US, UTC) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"2026-03-14T15:00:00Z"', '"2026-03-15T15:00:00.000000Z"'),
        ('"2026-03-14T15:00:00.25+02:00"', '"2026-03-15T13:00:00.250000Z"'),
        ('"2026-03-14T15:00:00"', '"2026-03-15T14:00:00.000000Z"'),
        ("1773500400", "1773586800"),
        ("1773500400.5", "1773586800.5"),
        ("1773500400250", "1773586800250"),
    ],
)
def test_only_the_bytes_of_the_stamp_change(before: str, after: str) -> None:
    template = ' {{ "service":"x\\ty" ,"timestamp" : {} ,"n":1.50,"m":"timestamp","é":[{{}}]}} '
    moved = shift(template.format(before).encode(), DAY_US, BERLIN)
    assert moved == template.format(after).encode()


@pytest.mark.parametrize(
    "line",
    [
        '{"enriched":{"timestamp":"2020-01-01T00:00:00Z"},"timestamp":"2026-03-14T15:00:00Z","x":"é"}',
        '{"\\u0074imestamp":"2026-03-14T15:00:00Z","x":"é","enriched":{"timestamp":"2020-01-01T00:00:00Z"}}',
    ],
)
def test_another_member_called_timestamp_is_not_touched(line: str) -> None:
    moved = shift(line.encode(), DAY_US, UTC)
    assert moved is not None
    assert json.loads(moved) == {
        "enriched": {"timestamp": "2020-01-01T00:00:00Z"},
        "timestamp": "2026-03-15T15:00:00.000000Z",
        "x": "é",
    }


def test_beyond_the_calendar_there_is_nothing_to_move_to() -> None:
    assert shift(b'{"timestamp":"9999-12-31T00:00:00Z"}', 2 * DAY_US, UTC) is None


@given(
    at=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 (naive on purpose)
    delta_us=st.integers(-(10**15), 10**15),
)
def test_moved_times_lie_exactly_that_far_apart(at: datetime, delta_us: int) -> None:
    line = json.dumps({"timestamp": at.isoformat(), "service": "a"}).encode()
    before = stamp_us(line, UTC)
    moved = shift(line, delta_us, UTC)
    assert before is not None
    assert moved is not None
    assert stamp_us(moved, UTC) == before + delta_us
