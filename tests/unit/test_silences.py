"""What a silence is about: matchers with `*`, and durations as people type them."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics_service.domain.durations import parse_duration, parse_later
from analytics_service.domain.silences import Silence, Subject, matches, silence_of

SUBJECT = Subject(
    rule_name="High Error Rate", service="payment-api", severity="warning", metric_name="error_rate"
)
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        # without a star: the same text, nothing else
        ("api", "api", True),
        ("api", "API", False),
        ("api", "api-2", False),
        ("", "", True),
        # a star is any characters, none as well
        ("*", "", True),
        ("*", "anything", True),
        ("api*", "api", True),
        ("api*", "api-2", True),
        ("api*", "my-api", False),
        ("*api", "my-api", True),
        ("*api", "api-2", False),
        ("*pay*api*", "my-payment-api-2", True),
        ("*pay*api*", "api-pay", False),
        ("**", "x", True),
        ("a**b", "ab", True),
        # what one piece has taken no other can have
        ("ab*ba", "aba", False),
        ("ab*ba", "abba", True),
        ("a*a", "a", False),
        ("*aa*aa*", "aaa", False),
        ("*ab*ab", "ab", False),
        # everything else stands for itself: these are no expressions
        ("a.c", "abc", False),
        ("a?c", "abc", False),
        ("[ab]", "a", False),
        ("a%", "ab", False),
        (".*", "x", False),
        ("a\\*", "a*", False),
        ("*\n*", "one\ntwo", True),
        ("*", "one\ntwo", True),
        # and a star of the text is a character like any other
        ("a*", "a*b", True),
        ("ab", "a*", False),
    ],
)
def test_patterns(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


few = st.text(alphabet="ab*.\n", max_size=12)


@given(few, few)
@example("*a*b", "aab")
def test_a_pattern_is_what_an_expression_would_be(pattern: str, text: str) -> None:
    expression = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    assert matches(pattern, text) == bool(re.fullmatch(expression, text, re.DOTALL))


@given(st.text(max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_stars_in_place_of_anything_still_match(text: str, places: list[int]) -> None:
    pattern = text
    for place in places:
        pattern = pattern[:place] + "*" + pattern[place + 2 :]
    assert matches(pattern, text)


def test_a_malicious_pattern_is_not_slow() -> None:
    """An expression with backtracking would not come back within the age of the universe."""
    assert not matches("*a" * 120 + "b", "a" * 255)
    assert not matches("*a" * 120 + "*b*", "a" * 255)


@pytest.mark.parametrize(
    ("matchers", "expected"),
    [
        ({}, False),
        ({"service": "*"}, True),
        ({"service": "payment-*"}, True),
        ({"service": "payment-*", "rule_name": "*Latency*"}, False),
        ({"service": "*api", "rule_name": "High*", "severity": "warning"}, True),
        ({"service": "*api", "rule_name": "High*", "severity": "critical"}, False),
        ({"metric_name": "error_rate"}, True),
        ({"metric_name": "error_*"}, False),  # a star means something in names only
        ({"severity": "*"}, False),
        ({"rule_name": ""}, False),
    ],
)
def test_every_matcher_has_to_match(matchers: dict[str, str], expected: bool) -> None:
    silence = Silence(id=1, starts_s=100.0, ends_s=200.0, **matchers)
    assert silence.is_about(SUBJECT) is expected
    # begins at its beginning, is over at its end
    for now_s, in_force in ((99.9, False), (100.0, True), (199.9, True), (200.0, False)):
        assert silence.covers(SUBJECT, now_s) is (expected and in_force)


def test_the_first_that_covers() -> None:
    silences = [
        Silence(id=1, starts_s=0.0, ends_s=10.0, service="other"),
        Silence(id=2, starts_s=0.0, ends_s=10.0, service="pay*"),
        Silence(id=3, starts_s=0.0, ends_s=10.0, severity="warning"),
    ]
    found = silence_of(SUBJECT, silences, 5.0)
    assert found is not None
    assert found.id == 2
    assert silence_of(SUBJECT, silences, 10.0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("30m", 1800), ("2h", 7200), ("1d", 86_400), ("2w", 1_209_600), ("007m", 420)],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_later("+" + text, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "2", "h", "-2h", "+2h", "0h", "2 h", "2H", "1.5h", "2h30m", "٣h", "9" * 10 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 30m, 2h or 1d"):
        parse_duration(text)


def test_the_longest_duration() -> None:
    assert parse_duration("999999999d") == timedelta(days=999_999_999)
    with pytest.raises(ValueError, match="at most 999999999 days"):
        parse_duration("999999999w")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("-1h", datetime(2026, 3, 10, 11, 0, tzinfo=UTC)),
        ("2026-03-10T18:00", datetime(2026, 3, 10, 18, 0, tzinfo=UTC)),
        ("2026-03-10T18:00+02:00", datetime(2026, 3, 10, 16, 0, tzinfo=UTC)),
    ],
)
def test_moments_to_come(text: str, moment: datetime) -> None:
    assert parse_later(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("+", r"must be such as \+30m"),
        ("+0h", r"must be such as \+30m"),
        ("+-1h", r"must be such as \+30m"),
        ("+999999999w", r"must be such as \+30m"),
        ("+999999999d", "must lie before 9999-12-30"),
        ("+2912373d", "must lie before 9999-12-30"),  # noon of that day
        ("tomorrow", r"ISO 8601 .* or later than now such as \+2h"),
        ("", r"ISO 8601 .* or later than now such as \+2h"),
    ],
)
def test_what_is_no_moment_to_come(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_later(text, NOW)


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_later(text, NOW).tzinfo is UTC
