"""The brute-force reference: right about what can be worked out by hand, and the core agrees with it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from analytics_service.domain.aggregation import roll_up
from analytics_service.domain.decoding import decode_batch
from analytics_service.domain.events import EventRules, Rejection, parse_event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import WINDOWS
from tests.reference.bad_values import bad_values
from tests.reference.brute_force import (
    Expected,
    Figures,
    Message,
    Rules,
    judge,
    nearest_rank,
    single_pass,
)
from tests.reference.compare import window_problems
from tests.reference.fields import Event, Rejected
from tests.reference.generated_day import Value, generated_day, shuffled
from tests.reference.truth import load_truth, real_values

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
GOOD = {"timestamp": "2026-03-14T15:00:00Z", "service": "a", "level": "info"}


def judged(**fields: object) -> Event:
    """The event of GOOD with other or more fields."""
    return judge(json.dumps({**GOOD, **fields}).encode(), Rules(), NOW_US)


def reason_of(value: bytes | None) -> str | None:
    """Why `value` is rejected; None when it is not."""
    try:
        judge(value, Rules(), NOW_US)
    except Rejected as rejected:
        return rejected.reason
    return None


@pytest.fixture(scope="module")
def day() -> list[Value]:
    """A generated day."""
    return generated_day(seed=11, now=NOW, events=6_000)


@pytest.fixture(scope="module")
def expected(day: list[Value]) -> Expected:
    """What it must give; all messages in partition 0, in order."""
    return single_pass((Message(0, at, value) for at, value in enumerate(day)), Rules(), NOW_US)


def test_every_bad_value_is_rejected_for_its_reason() -> None:
    wrong = [
        (reason, reason_of(value), value)
        for reason, value in bad_values(NOW)
        if reason != reason_of(value)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("stamp", "iso"),
    [
        ("2026-03-14T15:00:00.123456Z", "2026-03-14T15:00:00.123456+00:00"),
        ("2026-03-14T15:00:00.123456999Z", "2026-03-14T15:00:00.123456+00:00"),  # cut, not rounded
        ("2026-03-14T15:00:00,5+01:30", "2026-03-14T13:30:00.500000+00:00"),
        ("2026-03-14 15:00", "2026-03-14T15:00:00+00:00"),
        (1773500400, "2026-03-14T15:00:00+00:00"),
        (1773500400.25, "2026-03-14T15:00:00.250000+00:00"),
        (1773500400250, "2026-03-14T15:00:00.250000+00:00"),
        (1773500400250.125, "2026-03-14T15:00:00.250125+00:00"),
    ],
)
def test_times(stamp: object, iso: str) -> None:
    at = datetime.fromisoformat(iso)
    assert judged(timestamp=stamp).timestamp_us == round(at.timestamp() * 1e6)


def test_a_time_without_zone_is_local_and_its_first_occurrence_when_ambiguous() -> None:
    """On 2025-10-26 Berlin's clocks went from 03:00 (UTC+2) back to 02:00 (UTC+1)."""
    rules = Rules(zone=ZoneInfo("Europe/Berlin"), max_age_days=365)
    value = json.dumps({**GOOD, "timestamp": "2025-10-26T02:30:00"}).encode()
    at = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert judge(value, rules, NOW_US).timestamp_us == int(at.timestamp()) * 1_000_000


def test_first_name_wins_and_numbers_are_their_text() -> None:
    event = judged(
        risk_score=0.25,
        business_risk_score="not looked at",
        user_id=None,
        enriched={"user_id": 12.50, "ip_address": "2001:DB8::1", "request_id": "r"},
        request_id="outer",
        geo_country_code="DE",
        geo_country_name="Germany",
    )
    assert (event.risk_score, event.user_id, event.request_id) == (0.25, "12.5", "outer")
    assert event.geo_country == "Germany"
    assert event.source_ip == ipaddress.ip_address("2001:db8::1").packed


def test_the_edges_of_the_allowed_span_belong_to_it() -> None:
    latest, earliest = NOW_US + 300_000_000, NOW_US - 7 * 86_400_000_000
    for at_us, reason in (
        (latest, None),
        (latest + 1, "future_timestamp"),
        (earliest, None),
        (earliest - 1, "too_old"),
    ):
        seconds, micros = divmod(at_us, 1_000_000)
        stamp = f"{seconds}.{micros:06d}"
        value = f'{{"timestamp":{stamp},"service":"a","level":"info"}}'
        assert reason_of(value.encode()) == reason, stamp


def test_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 201)]
    assert nearest_rank(ordered, 50) == 100
    assert nearest_rank(ordered, 95) == 190
    assert nearest_rank(ordered, 99) == 198
    assert nearest_rank([7.0], 99) == 7.0
    assert nearest_rank([1.0, 2.0, 3.0], 50) == 2.0
    assert nearest_rank([], 50) is None


def test_windows_worked_out_by_hand() -> None:
    """Two services; 14:59:59.9 is in another minute, five minutes and hour than 15:00:00."""
    rows: list[dict[str, object]] = [
        {"timestamp": "2026-03-14T14:59:59.9Z", "latency_ms": 1, "user_id": "x"},
        {"level": "error", "latency_ms": 10, "risk_score": 0.9, "user_id": 7, "source_ip": "::1"},
        {
            "level": "fatal",
            "latency_ms": 30,
            "risk_score": 0.8,
            "user_id": "7",
            "source_ip": "0::1",
        },
        {"timestamp": "2026-03-14T15:00:59.999999Z", "ip_address": "10.0.0.1"},
        {"service": "b", "level": "DEBUG"},
    ]
    values = [json.dumps({**GOOD, **row}).encode() for row in rows]
    expected = single_pass((Message(0, n, v) for n, v in enumerate(values)), Rules(), NOW_US)
    three = int(datetime(2026, 3, 14, 15, tzinfo=UTC).timestamp())
    alone = Figures(1, 0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 0, None, 0)
    full = Figures(3, 2, 10.0, 10.0, 30.0, 30.0, 30.0, 20.0, 1, 2, 0.85, 1)
    quiet = Figures(1, 0, None, None, None, None, None, None, 0, 0, None, 0)
    for window, seconds in (("1min", 60), ("5min", 300), ("1hour", 3600)):
        wanted = {("a", three - seconds): alone, ("a", three): full, ("b", three): quiet}
        figures = expected.figures(window)
        assert figures.keys() == wanted.keys()
        for key, found in figures.items():
            assert found.risk_mean == pytest.approx(wanted[key].risk_mean)
            assert replace(found, risk_mean=None) == replace(wanted[key], risk_mean=None)


def test_the_real_day_gives_the_published_answers() -> None:
    truth = load_truth()
    values = real_values()
    now_us = int(datetime(2023, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000
    expected = single_pass((Message(0, n, v) for n, v in enumerate(values)), Rules(), now_us)
    assert (len(expected.events), expected.rejected) == (truth.events, {})
    for window, published in truth.windows.items():
        figures = expected.figures(window)
        assert figures.keys() == published.keys()
        for key, wanted in published.items():
            found = figures[key]
            assert found.latency_mean == pytest.approx(wanted.latency_mean, rel=1e-12)
            assert replace(found, latency_mean=None) == replace(wanted, latency_mean=None)


def test_a_generated_day_is_the_same_every_time_and_holds_every_reason(
    day: list[Value], expected: Expected
) -> None:
    assert generated_day(seed=11, now=NOW, events=6_000) == day
    assert generated_day(seed=12, now=NOW, events=6_000) != day
    assert sorted(shuffled(day, 1), key=repr) == sorted(day, key=repr)
    assert set(expected.rejected.values()) == {reason for reason, _ in bad_values(NOW)}
    crowd = expected.figures("1min")["crowded", int(NOW.timestamp()) - 43_200 - 26]
    assert crowd.total > 1_000


def test_the_core_agrees_about_every_message(day: list[Value], expected: Expected) -> None:
    rules = EventRules(UTC, max_future_us=300_000_000, max_age_us=7 * 86_400_000_000)
    assert list(_disagreements(day, expected, rules)) == []


def _disagreements(day: list[Value], expected: Expected, rules: EventRules) -> Iterator[object]:
    for at, value in enumerate(day):
        outcome = parse_event(value, rules, NOW_US)
        wanted = expected.events.get((0, at))
        if isinstance(outcome, Rejection):
            if outcome.reason != expected.rejected.get((0, at)):
                yield outcome, wanted, value
        elif wanted is None:
            yield outcome, expected.rejected[0, at], value
        else:
            packed = outcome.source_ip and ipaddress.ip_address(outcome.source_ip).packed
            found = {name: getattr(outcome, name) for name in asdict(wanted)} | {
                "source_ip": packed
            }
            if found != asdict(wanted):
                yield found, wanted, value


def test_the_core_agrees_about_every_window(day: list[Value], expected: Expected) -> None:
    rules = EventRules(UTC, max_future_us=300_000_000, max_age_us=7 * 86_400_000_000)
    batch = decode_batch(day, rules, NOW_US)
    minutes = fold_events(batch.events, high_risk_threshold=0.8)
    for window in WINDOWS:
        cells = minutes if window.name == "1min" else roll_up(minutes, window)
        figures = expected.figures(window.name)
        assert cells.keys() == figures.keys()
        problems = [
            (key, problem)
            for key, delta in cells.items()
            for problem in window_problems(delta.to_state(), figures[key])
        ]
        assert problems == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("total_requests", 11),
        ("successful_requests", 7),
        ("failed_requests", 3),
        ("high_risk_count", 1),
        ("error_rate", 20.0001),
        ("latency_min_ms", 1.0000001),
        ("latency_p50_ms", 5.06),
        ("latency_p95_ms", 9.89),
        ("latency_p99_ms", None),
        ("latency_max_ms", None),
        ("latency_mean_ms", 5.50000001),
        ("avg_risk_score", 0.0),
        ("unique_users", 4),
        ("unique_ips", 301 * 1.09),
    ],
)
def test_a_wrong_figure_is_noticed(column: str, value: object) -> None:
    wanted = Figures(10, 2, 1.0, 5.0, 10.0, 10.0, 10.0, 5.5, 3, 301, None, 0)
    row: dict[str, object] = {
        "total_requests": 10,
        "successful_requests": 8,
        "failed_requests": 2,
        "high_risk_count": 0,
        "error_rate": 20.0,
        "latency_min_ms": 1.0,
        "latency_p50_ms": 5.04,
        "latency_p95_ms": 9.91,
        "latency_p99_ms": 10.0,
        "latency_max_ms": 10.0,
        "latency_mean_ms": 5.5,
        "avg_risk_score": None,
        "unique_users": 3,
        "unique_ips": 310,
    }
    assert list(window_problems(row, wanted)) == []
    (problem,) = window_problems({**row, column: value}, wanted)
    assert problem.startswith(f"{column} {value}")
