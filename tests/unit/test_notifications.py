"""Whom to tell what and when: commented cases."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from analytics_service.domain.notifications import (
    Action,
    Decision,
    Episode,
    EpisodeStatus,
    Item,
    Pace,
    Told,
    decide,
    decide_events,
    needs_digest,
    worst,
)
from analytics_service.domain.silences import Silence, Subject

PACE = Pace(group_wait_s=1, group_interval_s=60, repeat_s=14_400)


def episode(
    name: str = "e",
    status: EpisodeStatus = "active",
    *,
    service: str = "api",
    severity: str = "warning",
    metric: str = "error_rate",
    since_s: float = 0.0,
) -> Episode:
    """An episode of a rule called as itself."""
    subject = Subject(
        rule_name=f"rule {name}", service=service, severity=severity, metric_name=metric
    )
    return Episode(name, subject, status, since_s, 1)


def silence(**matchers: str) -> Silence:
    """From 10 up to 100 s."""
    return Silence(id=1, starts_s=10, ends_s=100, **matchers)


def told(decision: Decision) -> list[tuple[str, list[tuple[str, str]]]]:
    """Service, and (episode, kind) of each group."""
    return [
        (group.service, [(item.episode.episode_id, item.kind) for item in group.items])
        for group in decision.groups
    ]


def test_a_new_alert_waits_a_moment_for_company() -> None:
    early = decide([episode()], {}, [], {}, 0.5, PACE)
    assert (early.groups, early.next_s, early.withheld) == ((), 1.0, {"e": "waiting"})
    assert told(decide([episode()], {}, [], {}, 1.0, PACE)) == [("api", [("e", "firing")])]


def test_alerts_of_a_service_go_together_the_worst_first() -> None:
    alerts = [
        episode("a"),
        episode("b", severity="critical", metric="latency_p99_ms"),
        episode("c", service="web", severity="critical"),
        episode("d", severity="info", service="batch"),
    ]
    assert told(decide(alerts, {}, [], {}, 5.0, PACE)) == [
        ("api", [("b", "firing"), ("a", "firing")]),
        ("web", [("c", "firing")]),
        ("batch", [("d", "firing")]),
    ]


def test_what_comes_after_a_message_waits_for_the_interval() -> None:
    alerts = [episode("a"), episode("b", since_s=20)]
    later = decide(alerts, {"a": Told("firing", 1)}, [], {"api": 1.0}, 30.0, PACE)
    assert (later.groups, later.next_s) == ((), 61.0)
    due = decide(alerts, {"a": Told("firing", 1)}, [], {"api": 1.0}, 61.0, PACE)
    assert told(due) == [("api", [("b", "firing")])]


def test_repeats_until_somebody_takes_it_on() -> None:
    last = {"e": Told("firing", 100)}
    quiet = decide([episode()], last, [], {"api": 100}, 14_499.0, PACE)
    assert (quiet.groups, quiet.next_s, quiet.withheld) == ((), 14_500.0, {"e": "told"})
    assert told(decide([episode()], last, [], {"api": 100}, 14_500.0, PACE)) == [
        ("api", [("e", "repeat")])
    ]
    taken = decide([episode(status="acknowledged")], last, [], {"api": 100}, 99_999.0, PACE)
    assert (taken.groups, taken.withheld) == ((), {"e": "acknowledged"})
    # Complaint 8: it stays quiet for as long as the episode lasts, and its end is told.
    over = decide([episode(status="resolved")], last, [], {"api": 100}, 99_999.0, PACE)
    assert told(over) == [("api", [("e", "resolved")])]


def test_over_before_it_was_told_is_silent() -> None:
    decision = decide([episode(status="resolved")], {}, [], {}, 99.0, PACE)
    assert (decision.groups, decision.withheld) == ((), {"e": "over before it was told"})
    done = decide([episode(status="resolved")], {"e": Told("resolved", 5)}, [], {}, 99.0, PACE)
    assert (done.groups, done.withheld) == ((), {"e": "told"})


@pytest.mark.parametrize(
    ("matchers", "is_silent"),
    [
        ({"service": "api"}, True),
        ({"severity": "warning", "metric_name": "error_rate"}, True),
        ({"rule_name": "rule e"}, True),
        ({"service": "api", "severity": "critical"}, False),
        ({"service": "web"}, False),
        ({}, False),  # nothing named: nothing silenced
    ],
)
def test_silences_match_by_all_they_name(matchers: dict[str, str], is_silent: bool) -> None:
    decision = decide([episode()], {}, [silence(**matchers)], {}, 50.0, PACE)
    assert bool(decision.groups) is not is_silent


def test_a_silence_ends_by_itself_and_what_still_fires_is_told() -> None:
    hushed = decide([episode()], {}, [silence(service="api")], {}, 99.9, PACE)
    assert (hushed.groups, hushed.next_s, hushed.withheld) == ((), 100.0, {"e": "silenced"})
    assert told(decide([episode()], {}, [silence(service="api")], {}, 100.0, PACE)) == [
        ("api", [("e", "firing")])
    ]


def test_what_was_told_as_firing_is_told_as_resolved_whatever_was_silenced_since() -> None:
    decision = decide(
        [episode(status="resolved")],
        {"e": Told("firing", 5)},
        [silence(service="api")],
        {},
        50.0,
        PACE,
    )
    assert told(decision) == [("api", [("e", "resolved")])]


def test_a_warning_is_muted_by_its_critical_twin() -> None:
    twin = episode("critical", severity="critical")
    decision = decide([episode(), twin], {}, [], {}, 5.0, PACE)
    assert (told(decision), decision.withheld) == (
        [("api", [("critical", "firing")])],
        {"e": "muted"},
    )
    # Not by another metric's, not by another service's, not by one that is over; and never a critical one.
    for other in (
        replace(twin, subject=replace(twin.subject, metric_name="latency_p99_ms")),
        replace(twin, subject=replace(twin.subject, service="web")),
        replace(twin, status="resolved"),
    ):
        assert "muted" not in decide([episode(), other], {}, [], {}, 5.0, PACE).withheld.values()
    both = [twin, episode("second", severity="critical")]
    assert len(decide(both, {}, [], {}, 5.0, PACE).groups[0].items) == 2


def test_a_restart_decides_the_same_whatever_the_order() -> None:
    dice = random.Random(5)
    alerts = [
        episode(f"{n}", service=f"s{n % 7}", severity=dice.choice(["info", "warning", "critical"]))
        for n in range(60)
    ]
    first = decide(alerts, {}, [silence(service="s3")], {"s1": 1.0}, 50.0, PACE)
    for _ in range(5):
        dice.shuffle(alerts)
        again = decide(alerts, {}, [silence(service="s3")], {"s1": 1.0}, 50.0, PACE)
        assert [g.service for g in again.groups] == [g.service for g in first.groups]
        assert again.withheld == first.withheld


def test_a_digest_names_the_ten_worst() -> None:
    items = [
        Item(
            episode(f"{n}", severity="critical" if n % 5 == 0 else "info", since_s=100 - n),
            "firing",
        )
        for n in range(40)
    ]
    assert [item.episode.episode_id for item in worst(items)] == [
        "35", "30", "25", "20", "15", "10", "5", "0", "39", "38",
    ]  # fmt: skip
    assert [needs_digest(n) for n in (1, 10, 11)] == [False, False, True]


@pytest.mark.parametrize(
    ("status", "last", "action"),
    [
        ("active", None, "trigger"),
        ("active", "trigger", None),
        ("acknowledged", "trigger", "acknowledge"),
        ("acknowledged", "acknowledge", None),
        ("acknowledged", None, None),
        ("resolved", "trigger", "resolve"),
        ("resolved", "acknowledge", "resolve"),
        ("resolved", "resolve", None),
        ("resolved", None, None),
    ],
)
def test_each_action_of_an_episode_once(
    status: EpisodeStatus, last: Action | None, action: Action | None
) -> None:
    known = {} if last is None else {"e": last}
    due = decide_events([episode(status=status)], known, [], 50.0)
    assert [event.action for event in due] == ([] if action is None else [action])
    # A silence keeps a trigger back, and nothing else.
    hushed = decide_events([episode(status=status)], known, [silence(service="api")], 50.0)
    assert [event.action for event in hushed] == ([] if action in (None, "trigger") else [action])


def test_events_of_criticals_go_first() -> None:
    alerts = [
        episode("over", "resolved", severity="critical", service="d"),
        episode("info", severity="info", service="a"),
        episode("late", severity="critical", service="b", since_s=9),
        episode("early", severity="critical", service="c", since_s=3),
    ]
    due = decide_events(alerts, {"over": "trigger"}, [], 50.0)
    assert [event.episode.episode_id for event in due] == ["early", "late", "info", "over"]
