"""What another side says of when to come again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.adapters.notifiers.http import retry_after_s

NOW = datetime(2026, 2, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("2", 2.0),
        ("0", 0.0),
        ("1.5", 1.5),
        # A day at most.
        ("1e99", 86_400.0),
        ("Mon, 02 Feb 2026 12:00:01 GMT", 86_400.0),
        # Dates of HTTP: all three forms, and one with a zone of its own.
        ("Sun, 01 Feb 2026 12:02:00 GMT", 120.0),
        ("Sunday, 01-Feb-26 12:02:00 GMT", 120.0),
        ("Sun Feb  1 12:02:00 2026", 120.0),
        ("Sun, 01 Feb 2026 14:02:00 +0200", 120.0),
        ("Sun, 01 Feb 2026 12:00:00 GMT", 0.0),
        # What is past says nothing.
        ("Sun, 01 Feb 2026 11:59:59 GMT", None),
        ("-1", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sun, 31 Feb 2026 12:02:00 GMT", None),
        ("Sun, 01 Feb 2026 12:02:00 +99999999999999", None),
    ],
)
def test_seconds_and_dates(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header, None, NOW) == wait_s


@pytest.mark.parametrize(
    ("date", "wait_s"),
    [
        # Its clock is an hour behind ours, and only it knows what it means by its date.
        ("Sun, 01 Feb 2026 11:00:00 GMT", 60.0),
        ("nonsense", None),
        (None, None),
    ],
)
def test_a_date_is_told_by_the_clock_of_who_told_it(date: str | None, wait_s: float | None) -> None:
    assert retry_after_s("Sun, 01 Feb 2026 11:01:00 GMT", date, NOW) == wait_s


@given(st.text(), st.none() | st.text())
def test_no_header_is_too_odd(header: str, date: str | None) -> None:
    found = retry_after_s(header, date, NOW)
    assert found is None or 0 <= found <= 86_400
