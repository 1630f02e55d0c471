"""The made-up traffic: valid events, bad ones as announced, and lifelike in what can be measured."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest

from analytics_service.domain.reasons import REASONS
from analytics_service.domain.traffic import DAY_US, Burst, Traffic, TrafficPlan, timeline
from tests.reference.brute_force import Rules, judge
from tests.reference.fields import Event, Rejected

NOON_US = int(datetime(2026, 3, 14, 12, tzinfo=UTC).timestamp()) * 1_000_000


def made(plan: TrafficPlan, count: int, *, seed: int = 1, at_us: int = NOON_US) -> Burst:
    """One event a millisecond."""
    traffic = Traffic(plan, seed, started_us=at_us - 3_600_000_000)
    return traffic.burst([at_us + 1_000 * number for number in range(count)])


def events(burst: Burst) -> list[Event]:
    """The events of a burst without bad ones."""
    return [judge(value, Rules(), NOON_US) for value in burst.values]


def test_the_same_seed_gives_the_same_bytes() -> None:
    plan = TrafficPlan(bad_fraction=0.1)
    assert made(plan, 500) == made(plan, 500)
    assert made(plan, 500) != made(plan, 500, seed=2)


def test_no_moments_no_events() -> None:
    assert made(TrafficPlan(), 0) == Burst()


def test_bad_events_are_as_many_as_announced_and_of_every_reason() -> None:
    burst = made(TrafficPlan(bad_fraction=0.2), 3_000)
    found: Counter[str] = Counter()
    for value in burst.values:
        try:
            judge(value, Rules(), NOON_US)
        except Rejected as rejected:
            found[rejected.reason] += 1
    assert found == burst.bad
    assert 400 < burst.bad.total() < 800
    assert set(burst.bad) == set(REASONS) - {"processing_failed"}


def test_without_bad_ones_every_event_is_valid_and_at_its_moment_or_late() -> None:
    burst = made(TrafficPlan(late_fraction=0.1), 2_000)
    assert burst.bad == Counter()
    behind = [
        NOON_US + 1_000 * number - event.timestamp_us for number, event in enumerate(events(burst))
    ]
    late = [delay for delay in behind if delay]
    assert 120 < len(late) < 280
    assert min(late) > 0
    assert max(late) <= 600_000_000


def test_events_carry_what_real_ones_do() -> None:
    found = events(made(TrafficPlan(), 4_000))
    assert len({event.service for event in found}) == 12
    assert {event.level for event in found} >= {"debug", "info", "warning", "error"}
    assert 0.9 < sum(event.latency_ms is not None for event in found) / len(found) < 1
    assert {len(event.source_ip) for event in found if event.source_ip} == {4, 16}
    users = Counter(event.user_id for event in found if event.user_id is not None)
    assert len(users) > 300
    assert users.most_common(1)[0][1] > 300  # few users cause much of it
    risks = [event.risk_score for event in found if event.risk_score is not None]
    assert 0 < sum(risk > 0.8 for risk in risks) < len(risks) / 10
    assert all(event.error_message for event in found if event.level in ("error", "critical"))


def test_latencies_have_a_heavy_tail() -> None:
    """Heavier than lognormal: logarithms of lognormal values have a kurtosis of 3."""
    by_service = defaultdict(list)
    for event in events(made(TrafficPlan(), 20_000)):
        if event.latency_ms:
            by_service[event.service].append(math.log(event.latency_ms))
    assert len(by_service) == 12
    kurtoses = []
    for logs in by_service.values():
        middle = statistics.fmean(logs)
        fourth = statistics.fmean((value - middle) ** 4 for value in logs)
        kurtoses.append(fourth / statistics.pvariance(logs) ** 2)
    assert statistics.median(kurtoses) > 3.2


def test_an_incident_shows_in_errors_and_latency_and_grows() -> None:
    plan = TrafficPlan(incident="cart-service", late_fraction=0.0)
    traffic = Traffic(plan, 1, started_us=NOON_US)

    def look(at_us: int) -> tuple[float, float]:
        found = events(traffic.burst([at_us + number for number in range(8_000)]))
        ill = [event for event in found if event.service == "cart-service"]
        latencies = sorted(event.latency_ms for event in ill if event.latency_ms is not None)
        failed = sum(event.level in ("error", "critical") for event in ill)
        return failed / len(ill), latencies[len(latencies) // 2]

    (rate_before, median_before), (rate, median) = look(NOON_US), look(NOON_US + 20_000_000)
    assert rate_before < 0.05
    assert rate > 0.3
    assert median > 5 * median_before


def test_an_incident_is_over_when_it_was_to_be() -> None:
    """Grows for ten seconds, is over from 60 s to 70 s on."""
    traffic = Traffic(TrafficPlan(incident="cart-service", incident_s=60), 1, started_us=NOON_US)

    def failing(after_s: float) -> float:
        moment = NOON_US + round(after_s * 1e6)
        found = events(traffic.burst([moment + number for number in range(8_000)]))
        ill = [event for event in found if event.service == "cart-service"]
        return sum(event.level in ("error", "critical") for event in ill) / len(ill)

    assert failing(59) > 0.3
    assert failing(65) < failing(59)
    assert failing(71) < 0.05


def test_healthy_services_break_no_usual_rule_and_an_incident_breaks_them_all() -> None:
    """Error rate above 5 and 20 percent, p99 above 500 and 1,000 ms, a minute at a time, for any seed."""
    for seed in range(5):
        plan = TrafficPlan(incident="cart-service", late_fraction=0.0)
        traffic = Traffic(plan, seed, started_us=NOON_US - 60_000_000)
        by_service: dict[str, list[Event]] = {}
        for event in events(traffic.burst([NOON_US + number for number in range(12_000)])):
            by_service.setdefault(event.service, []).append(event)
        for name, found in by_service.items():
            latencies = sorted(event.latency_ms for event in found if event.latency_ms is not None)
            p99 = latencies[math.ceil(0.99 * len(latencies)) - 1]
            rate = sum(event.level in ("error", "critical") for event in found) / len(found)
            if name == "cart-service":
                assert p99 > 1_000
                assert rate > 0.2
            else:
                assert p99 < 500
                assert rate < 0.05


@pytest.mark.parametrize("name", ["unheard-of", 'quo"ted\\', "Größe"])
def test_an_incident_of_an_unknown_service_adds_it(name: str) -> None:
    plan = TrafficPlan(services=3, incident=name)
    assert Traffic(plan, 1, NOON_US).service_names[3:] == [name]
    assert name in {event.service for event in events(made(plan, 2_000))}


def test_many_services_have_names_of_their_own() -> None:
    names = Traffic(TrafficPlan(services=5_000), 1, NOON_US).service_names
    assert len(set(names)) == 5_000
    assert max(map(len, names)) < 255


def test_small_incidents_come_and_go() -> None:
    """Over a day some minutes are ill although no incident was asked for."""
    traffic = Traffic(TrafficPlan(services=2), 3, NOON_US)
    rates = []
    for minute in range(200):
        values = traffic.burst(
            [NOON_US + minute * 60_000_000 + number for number in range(2_000)]
        ).values
        levels = Counter(json.loads(value)["level"] for value in values)
        rates.append((levels["error"] + levels["critical"]) / len(values))
    rates.sort()
    usual = rates[len(rates) // 2]
    assert usual < 0.02
    assert rates[-1] > usual + 0.015


def test_a_service_is_busy_at_its_own_time_of_day() -> None:
    shares = []
    for hour in range(0, 24, 6):
        found = made(TrafficPlan(services=5), 4_000, at_us=NOON_US + hour * 3_600_000_000)
        names = Counter(json.loads(value)["service"] for value in found.values)
        shares.append(names["gateway-service"] / 4_000)
    assert max(shares) > 1.15 * min(shares)


def test_a_timeline_is_ascending_within_its_span_and_denser_by_day() -> None:
    midnight_us = NOON_US - DAY_US // 2
    moments = timeline(midnight_us, midnight_us + DAY_US, 24_000)
    assert len(moments) == 24_000
    assert moments == sorted(moments)
    assert midnight_us <= moments[0]
    assert moments[-1] < midnight_us + DAY_US
    hours = Counter((moment - midnight_us) // 3_600_000_000 for moment in moments)
    assert hours[13] > 2 * hours[1]
    assert timeline(0, 1, 0) == []
