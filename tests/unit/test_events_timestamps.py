"""Event timestamps: every accepted form and the moment it means, the refused ones, the age limits."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.events import Event, EventRules, Rejection, parse_event
from tests.unit.domain_strategies import DAY_US, NOW, NOW_US, Literal, a_document, render, rules_of

ANY_AGE = EventRules(UTC, 10**18, 10**18)


def outcome_of(raw: str, rules: EventRules = ANY_AGE) -> Event | Rejection:
    """The outcome for a timestamp given as JSON text."""
    document = a_document(timestamp=Literal(raw))
    return parse_event(render(list(document.items())).encode(), rules, NOW_US)


def moment_of(raw: str, default_tz: tzinfo = UTC) -> str:
    """The moment a timestamp means, as ISO text in UTC."""
    event = outcome_of(raw, EventRules(default_tz, 10**18, 10**18))
    assert isinstance(event, Event), event
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (epoch + timedelta(microseconds=event.timestamp_us)).isoformat().removesuffix("+00:00")


TEXTS: list[tuple[str, str]] = [
    # zones
    ("2026-11-23T11:59:59Z", "2026-11-23T11:59:59"),
    ("2026-11-23t11:59:59z", "2026-11-23T11:59:59"),
    ("2026-11-23 11:59:59Z", "2026-11-23T11:59:59"),
    ("2026-11-23T11:59:59+00:00", "2026-11-23T11:59:59"),
    ("2026-11-23T11:59:59-00:00", "2026-11-23T11:59:59"),
    ("2026-11-23T11:59:59+05:30", "2026-11-23T06:29:59"),
    ("2026-11-23T11:59:59-0800", "2026-11-23T19:59:59"),
    ("2026-11-23T11:59:59+02", "2026-11-23T09:59:59"),
    ("2026-11-23T00:00:00+14:00", "2026-11-22T10:00:00"),
    ("2026-11-23T11:59:59", "2026-11-23T11:59:59"),
    # fractions: any number of digits, cut beyond microseconds
    ("2026-11-23T11:59:59.5Z", "2026-11-23T11:59:59.500000"),
    ("2026-11-23T11:59:59,25Z", "2026-11-23T11:59:59.250000"),
    ("2026-11-23T11:59:59.123456Z", "2026-11-23T11:59:59.123456"),
    ("2026-11-23T11:59:59.1234567Z", "2026-11-23T11:59:59.123456"),
    ("2026-11-23T11:59:59.999999999Z", "2026-11-23T11:59:59.999999"),
    ("2026-11-23T11:59:59.000000999999", "2026-11-23T11:59:59"),
    # less than seconds
    ("2026-11-23T11:59Z", "2026-11-23T11:59:00"),
    ("2026-11-23T11Z", "2026-11-23T11:00:00"),
    ("2026-11-23", "2026-11-23T00:00:00"),
    # basic format, weeks
    ("20261123T115959Z", "2026-11-23T11:59:59"),
    ("20261123T115959.25+0100", "2026-11-23T10:59:59.250000"),
    ("20261123T1159", "2026-11-23T11:59:00"),
    ("20261123", "2026-11-23T00:00:00"),
    ("2026-W48-1", "2026-11-23T00:00:00"),
    ("2026W481T11:59:59Z", "2026-11-23T11:59:59"),
    ("2026-W48", "2026-11-23T00:00:00"),
    # the end of a day is the next midnight
    ("2026-11-23T24:00:00Z", "2026-11-24T00:00:00"),
    ("2026-12-31T24:00:00.000", "2027-01-01T00:00:00"),
    ("2026-11-23T24:00+01:00", "2026-11-23T23:00:00"),
    ("20261123T240000Z", "2026-11-24T00:00:00"),
    # leap days
    ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00"),
    ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999"),
    ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
    ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
]


@pytest.mark.parametrize(("text", "moment"), TEXTS)
def test_a_text_means(text: str, moment: str) -> None:
    assert moment_of(f'"{text}"') == moment


NUMBERS: list[tuple[str, str]] = [
    # seconds
    ("1795435200", "2026-11-23T12:00:00"),
    ("1795435199.5", "2026-11-23T11:59:59.500000"),
    ("1.7954352e9", "2026-11-23T12:00:00"),
    ("0", "1970-01-01T00:00:00"),
    ("-0.0", "1970-01-01T00:00:00"),
    ("1e-400", "1970-01-01T00:00:00"),
    ("0e99999999999999999999", "1970-01-01T00:00:00"),
    ("-1", "1969-12-31T23:59:59"),
    ("-86400.5", "1969-12-30T23:59:59.500000"),
    # milliseconds from 1e11 on
    ("99999999999", "5138-11-16T09:46:39"),
    ("99999999999.999999", "5138-11-16T09:46:39.999999"),
    ("100000000000", "1973-03-03T09:46:40"),
    ("1e11", "1973-03-03T09:46:40"),
    ("1795435200123", "2026-11-23T12:00:00.123000"),
    ("1795435200123.456", "2026-11-23T12:00:00.123456"),
    # exact where float64 is not, cut beyond microseconds
    ("1795435199.1234567", "2026-11-23T11:59:59.123456"),
    ("1795435199.999999999999", "2026-11-23T11:59:59.999999"),
    ("1795435200123.4569", "2026-11-23T12:00:00.123456"),
    ("1795435199.0000010000000000000001", "2026-11-23T11:59:59.000001"),
]


@pytest.mark.parametrize(("number", "moment"), NUMBERS)
def test_a_number_means(number: str, moment: str) -> None:
    assert moment_of(number) == moment


REFUSED: list[str] = [
    # not ISO 8601
    '""',
    '" "',
    '"now"',
    '"1795435200"',
    '"1795435200.5"',
    '"23.11.2026"',
    '"2026-11-23T"',
    '"2026-11-23x11:59:59Z"',
    '"2026-11-23_11:59:59"',
    '"2026-11-23T11:59:59 Z"',
    '"2026-11-23T11:59:59ZZ"',
    '" 2026-11-23T11:59:59Z"',
    '"2026-11-23T11:59:59Z\\n"',
    '"2026-11-23Z"',
    '"2026-11-23T1:2:3"',
    '"2026-11-23T11:59:59."',
    '"+2026-11-23T11:59:59"',
    '"\u0662026-11-23"',
    '"2026-11-23T11:59:59\u0661"',
    '"2026-11-23T11:59:59\\u0000"',
    # no such moment
    '"2026-02-29"',
    '"2026-02-29T12:00:00"',
    '"2026-02-30T12:00:00Z"',
    '"2026-04-31T12:00:00.5+01:00"',
    '"2026-13-01"',
    '"2026-00-10"',
    '"0000-01-01"',
    '"2026-W54"',
    '"2026-11-23T25:00:00"',
    '"2026-11-23T24:00:01"',
    '"2026-11-23T24:00:00.1"',
    '"2026-11-23T11:60:00"',
    '"2026-11-23T23:59:60Z"',
    '"2026-11-23T11:59:59+24:00"',
    '"2026-11-23T11:59:59+01:60"',
    '"9999-12-31T24:00:00"',
    # neither text nor number, or infinite
    "true",
    "false",
    "[]",
    "{}",
    "1e999",
    "-1e999",
]


@pytest.mark.parametrize("raw", REFUSED)
def test_a_timestamp_is_refused(raw: str) -> None:
    outcome = outcome_of(raw)
    assert isinstance(outcome, Rejection), outcome
    assert outcome.reason == "invalid_field:timestamp"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        # 300 s ahead is allowed, a microsecond more is not
        ('"2026-11-23T12:05:00Z"', None),
        ('"2026-11-23T12:05:00.000001Z"', "future_timestamp"),
        # 7 days behind likewise
        ('"2026-11-16T12:00:00Z"', None),
        ('"2026-11-16T11:59:59.999999Z"', "too_old"),
        # far beyond any calendar
        ("1e300", "future_timestamp"),
        ("-1e300", "too_old"),
        ("1.7e308", "future_timestamp"),
        ("-1795435200", "too_old"),
        ("9" * 300, "future_timestamp"),
        ('"9999-12-31T23:59:59-23:59"', "future_timestamp"),
        ('"0001-01-01T00:00:00+23:59"', "too_old"),
        ("0", "too_old"),
    ],
)
def test_the_age_of_an_event(raw: str, reason: str | None) -> None:
    outcome = outcome_of(raw, rules_of())
    assert (outcome.reason if isinstance(outcome, Rejection) else None) == reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        # whatever the limits allow, a row holds the years 1 to 9999
        ("1e300", "future_timestamp"),
        ("-1e300", "too_old"),
        ('"9999-12-31T23:59:59-00:01"', "future_timestamp"),
        ('"0001-01-01T00:00:00+00:01"', "too_old"),
    ],
)
def test_no_limit_lets_a_moment_outside_of_the_calendar_in(raw: str, reason: str) -> None:
    outcome = outcome_of(raw, EventRules(UTC, 10**320, 10**320))
    assert isinstance(outcome, Rejection)
    assert outcome.reason == reason


LOCAL: list[tuple[str, str, str]] = [
    # Berlin: +1 in winter, +2 in summer
    ("2026-11-23T12:00:00", "Europe/Berlin", "2026-11-23T11:00:00"),
    ("2026-07-01T12:00:00", "Europe/Berlin", "2026-07-01T10:00:00"),
    ("2026-11-23", "Europe/Berlin", "2026-11-22T23:00:00"),
    # ambiguous (02:00-03:00 happens twice): the first, in summer time
    ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00"),
    # does not exist (02:00-03:00 is skipped): by the offset before
    ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00"),
    # a zone of its own is not touched
    ("2026-11-23T12:00:00Z", "Europe/Berlin", "2026-11-23T12:00:00"),
    ("2026-11-23T12:00:00+05:00", "Europe/Berlin", "2026-11-23T07:00:00"),
    # the end of a day, across the change of the clocks too
    ("2026-10-24T24:00:00", "Europe/Berlin", "2026-10-24T22:00:00"),
    ("2026-10-25T24:00:00", "Europe/Berlin", "2026-10-25T23:00:00"),
    ("2026-11-23T12:00:00", "Asia/Kathmandu", "2026-11-23T06:15:00"),
]


@pytest.mark.parametrize(("text", "zone", "moment"), LOCAL)
def test_a_zone_less_text_is_local_time(text: str, zone: str, moment: str) -> None:
    assert moment_of(f'"{text}"', ZoneInfo(zone)) == moment


@given(
    st.datetimes(datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30")),
    st.integers(-23 * 60, 23 * 60),
    st.sampled_from("T "),
)
def test_what_python_writes_is_read_back(moment: datetime, offset: int, separator: str) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    expected = aware.astimezone(UTC).replace(tzinfo=None).isoformat()
    assert moment_of(f'"{aware.isoformat(separator)}"') == expected


@given(st.integers(-NOW_US, NOW_US), st.integers(0, 999_999_999))
def test_an_epoch_number_is_cut_at_microseconds(whole: int, beyond: int) -> None:
    # "seconds.micros" and digits that must not count, for moments of either side of the epoch
    sign = "-" if whole < 0 else ""
    number = f"{sign}{abs(whole) // 10**6}.{abs(whole) % 10**6:06}{beyond:09}"
    event = outcome_of(number)
    assert isinstance(event, Event)
    assert event.timestamp_us == whole


def test_the_anchor_of_these_tests() -> None:
    assert NOW.timestamp() * 10**6 == NOW_US
    assert timedelta(days=1) / timedelta(microseconds=1) == DAY_US
