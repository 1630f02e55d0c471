"""Moments as people type them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.times import epoch_us, from_epoch_us, parse_moment

NOW = datetime(2026, 3, 10, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-03-10T12:00:00+00:00"),
        ("-1h", "2026-03-10T11:00:00+00:00"),
        ("-30m", "2026-03-10T11:30:00+00:00"),
        ("-90s", "2026-03-10T11:58:30+00:00"),
        ("-2d", "2026-03-08T12:00:00+00:00"),
        ("-1w", "2026-03-03T12:00:00+00:00"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31 12:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T12:00:00.25+02:00", "2026-01-31T10:00:00.250000+00:00"),
        ("20260131T120000Z", "2026-01-31T12:00:00+00:00"),
        # the plus sign of a zone, not escaped in a query, arrives as a blank
        ("2026-01-31T12:00:00 02:00", "2026-01-31T10:00:00+00:00"),
        ("2026-01-31T12:00:00.5 0200", "2026-01-31T10:00:00.500000+00:00"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert parse_moment(text, NOW).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "yesterday", "1h", "+1h", "-1", "-h", "-1.5h", "-1y", "--1h", "-1h ", "-٣h",
        "1767225600", "2026-13-01", "2026-02-30", "2026-01-31T25:00:00Z", "NaN", "infinity",
        "-999999999w", "-999999999999d", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
        "0001-01-01", "2026-01-31T12:00:00Z; DROP TABLE x", "2026-01-31\x00",
    ],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_moment(text, NOW)


@given(st.text())
def test_any_text_is_a_moment_in_utc_or_refused(text: str) -> None:
    try:
        moment = parse_moment(text, NOW)
    except ValueError:
        return
    assert moment.utcoffset() == timedelta(0)


@given(st.datetimes(timezones=st.just(UTC)))
def test_epoch_microseconds_there_and_back(moment: datetime) -> None:
    assert from_epoch_us(epoch_us(moment)) == moment


@pytest.fixture
def _host_in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_host_in_new_york")
def test_a_time_without_a_zone_is_utc_wherever_the_host_is() -> None:
    assert parse_moment("2026-01-31T12:00:00", NOW).isoformat() == "2026-01-31T12:00:00+00:00"
