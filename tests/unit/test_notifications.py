"""Whom to tell what and when: commented cases."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from analytics_service.domain.episodes import Episode, EpisodeStatus, Pending, Told
from analytics_service.domain.notifications import Decision, Item, decide, needs_digest, worst
from analytics_service.domain.pager import decide_events
from analytics_service.domain.silences import Silence, Subject
from analytics_service.domain.telling import Channel, Pace

PACE = Pace(group_wait_s=1, group_interval_s=60, repeat_s=14_400)


def episode(
    name: str = "e",
    status: EpisodeStatus = "active",
    *,
    service: str = "api",
    severity: str = "warning",
    metric: str = "error_rate",
    since_s: float = 0.0,
    active_s: float | None = None,
    heard_s: float | None = None,
) -> Episode:
    """An episode of a rule called as itself."""
    subject = Subject(
        rule_name=f"rule {name}", service=service, severity=severity, metric_name=metric
    )
    return Episode(name, subject, status, since_s, 1, active_s=active_s, heard_s=heard_s)


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
    ("heard_s", "last", "what"),
    [
        # It came and went while its group waited: nobody is told.
        (0.2, None, None),
        # The notifier was away for longer than a group waits: it is told late, not lost.
        (3600.0, None, "passed"),
        # Slack was tried in vain until it was over (complaint 2: neither is lost).
        (0.2, Told("firing", 5, "trying", next_try_s=70), "passed"),
        (0.2, Told("firing", 5, "failed"), "passed"),
        # Told as firing: its end is told as such.
        (0.2, Told("firing", 5), "resolved"),
        (0.2, Told("repeat", 5, "trying"), "resolved"),
        (0.2, Told("repeat", 5, "failed"), "resolved"),
        # The end is told once, and tried until it is.
        (0.2, Told("resolved", 90, "trying", next_try_s=95), "resolved"),
        (0.2, Told("passed", 90, "trying", next_try_s=95), "passed"),
        (3600.0, Told("passed", 90), None),
        (0.2, Told("resolved", 90, "failed"), None),
    ],
)
def test_what_is_told_of_an_alert_that_is_over(
    heard_s: float, last: Told | None, what: str | None
) -> None:
    over = episode(status="resolved", since_s=50, active_s=0, heard_s=heard_s)
    known = {} if last is None else {"e": last}
    decision = decide([over], known, [], {}, 4000.0, PACE)
    assert told(decision) == ([] if what is None else [("api", [("e", what)])])
    # What is never spoken of again is laid aside, and nothing else.
    assert decision.settled == (("e",) if what is None else ())


@pytest.mark.parametrize(
    ("lasted_s", "kept_back", "late"),
    [
        # A group waits 61 s, and 15 s in a storm: it may come and go within that.
        (75, False, False),
        # Longer: its channel was paused, its breaker open, or the notifier gone just after it had heard of it.
        (77, False, True),
        (3600, False, True),
        # Somebody knew, or it was silenced or muted for some of that time.
        (3600, True, False),
    ],
)
def test_what_lasted_is_told_late_when_it_could_not_be_told_in_time(
    lasted_s: float, kept_back: bool, late: bool
) -> None:
    over = episode(status="resolved", since_s=lasted_s, active_s=0, heard_s=0.2)
    over = replace(over, was_kept_back=kept_back)
    assert told(decide([over], {}, [], {}, 4000.0, PACE)) == (
        [("api", [("e", "passed")])] if late else []
    )
    events = decide_events([over], {}, [], 4000.0, PACE).events
    assert [(event.action, event.is_past) for event in events] == (
        [("trigger", True)] if late else []
    )


def test_an_attempt_that_may_have_arrived_is_followed_by_the_end_even_under_a_silence() -> None:
    """Nobody knows whether the other side took it: it must not be left firing there for ever."""
    over = episode(status="resolved", since_s=50, active_s=0, heard_s=0.2)
    tried = {"e": Told("firing", 5, "trying", next_try_s=70)}
    hush = [Silence(id=1, starts_s=10, ends_s=1000, service="api")]
    assert told(decide([over], tried, hush, {}, 80.0, PACE)) == [("api", [("e", "passed")])]
    events = decide_events([over], tried, hush, 80.0, PACE).events
    assert [(event.action, event.is_past) for event in events] == [("resolve", False)]


def test_what_was_over_before_the_channel_was_switched_on_is_none_of_its_business() -> None:
    over = episode(status="resolved", since_s=50, active_s=10, heard_s=3600)
    assert decide([over], {}, [], {}, 4000.0, PACE, Channel(on_since_s=11)).groups == ()
    assert decide([over], {}, [], {}, 4000.0, PACE, Channel(on_since_s=10)).groups != ()
    # What fires still is, whenever it began.
    fires = episode(since_s=10, heard_s=3600)
    assert decide([fires], {}, [], {}, 4000.0, PACE, Channel(on_since_s=11)).groups != ()


def test_what_was_missed_while_silenced_or_muted_stays_untold() -> None:
    missed = episode(status="resolved", since_s=50, active_s=20, heard_s=3600)
    silenced = decide([missed], {}, [silence(service="api")], {}, 4000.0, PACE)
    assert (silenced.groups, silenced.withheld) == ((), {"e": "silenced"})
    twin = episode("c", "resolved", severity="critical", since_s=60, active_s=20, heard_s=3600)
    muted = decide([missed, twin], {}, [], {}, 4000.0, PACE)
    assert (told(muted), muted.withheld) == ([("api", [("c", "passed")])], {"e": "muted"})


def test_a_failed_attempt_holds_up_its_own_group_only() -> None:
    alerts = [episode("a"), episode("b", service="web")]
    known = {"a": Told("firing", 2, "trying", next_try_s=8)}
    early = decide(alerts, known, [], {}, 5.0, PACE)
    assert (told(early), early.next_s) == ([("web", [("b", "firing")])], 8.0)
    late = decide(alerts, known, [], {}, 8.0, PACE)
    assert [group.service for group in late.groups] == ["api", "web"]


def test_what_was_refused_for_good_is_tried_again_after_a_restart_or_as_a_repeat() -> None:
    known = {"e": Told("firing", 100, "failed")}
    quiet = decide([episode()], known, [], {}, 200.0, PACE)
    assert (quiet.groups, quiet.next_s, quiet.withheld) == ((), 14_500.0, {"e": "refused"})
    assert told(decide([episode()], known, [], {}, 14_500.0, PACE)) == [("api", [("e", "repeat")])]
    again = decide([episode()], known, [], {}, 200.0, PACE, Channel(refused_before_s=150))
    assert told(again) == [("api", [("e", "firing")])]


def test_repeats_are_numbered_and_one_that_failed_keeps_its_number() -> None:
    def number(last: Told) -> int:
        decision = decide([episode()], {"e": last}, [], {}, 99_999.0, PACE)
        return decision.groups[0].items[0].repetition

    assert number(Told("firing", 5)) == 1
    assert number(Told("repeat", 5, repetition=1)) == 2
    assert number(Told("repeat", 5, "trying", repetition=2)) == 2


def storm(services: int, *, first_s: float = 0.0, step_s: float = 0.0) -> list[Episode]:
    """One alert in each of so many services, one after the other."""
    return [
        episode(f"{n}", service=f"s{n:03}", since_s=first_s + n * step_s) for n in range(services)
    ]


def test_more_than_ten_groups_are_one_digest_once_the_storm_is_over() -> None:
    """Ten are told one by one; the eleventh makes it a digest, which waits for 3 s of quiet, 15 s at most.

    since:   0 .......... 10 x 0.5 s = 5       quiet from 5 on, due at 8
    """
    assert len(decide(storm(10), {}, [], {}, 1.0, PACE).groups) == 10
    alerts = storm(11, step_s=0.5)
    waits = decide(alerts, {}, [], {}, 7.9, PACE)
    assert (waits.groups, waits.next_s, set(waits.withheld.values())) == ((), 8.0, {"waiting"})
    due = decide(alerts, {}, [], {}, 8.0, PACE)
    assert (len(due.groups), due.is_digest) == (11, True)
    # It goes on breaking: the digest goes out all the same, 15 s after the first.
    endless = storm(40, step_s=1.0)
    assert decide(endless[:15], {}, [], {}, 14.9, PACE).groups == ()
    assert len(decide(endless[:16], {}, [], {}, 15.0, PACE).groups) == 16


def test_a_digest_does_not_follow_the_last_one_at_once() -> None:
    after = Channel(digest_s=100.0)
    alerts = storm(30, first_s=110.0)
    waits = decide(alerts, {}, [], {}, 159.0, PACE, after)
    assert (waits.groups, waits.next_s) == ((), 160.0)
    assert decide(alerts, {}, [], {}, 160.0, PACE, after).is_digest
    # A few more are told one by one, digest or not.
    assert len(decide(alerts[:10], {}, [], {}, 120.0, PACE, after).groups) == 10


def test_a_digest_that_failed_waits_as_it_was_told_to() -> None:
    alerts = storm(20)
    known = {each.episode_id: Told("firing", 4, "trying", next_try_s=34) for each in alerts}
    assert decide(alerts, known, [], {}, 33.0, PACE).next_s == 34.0
    assert decide(alerts, known, [], {}, 34.0, PACE).is_digest


def test_repeats_of_many_services_are_a_digest_at_once() -> None:
    alerts = storm(20)
    known = {each.episode_id: Told("firing", 4) for each in alerts}
    decision = decide(alerts, known, [], {}, 14_404.0, PACE, Channel(digest_s=4.0))
    assert (len(decision.groups), decision.is_digest) == (20, True)


def test_pending_alerts_are_nobody_s_business() -> None:
    decision = decide([episode(status="pending")], {}, [], {}, 99.0, PACE)
    assert (decision.groups, decision.withheld, decision.settled) == ((), {}, ())
    # Nor does a critical one that has not fired mute anybody.
    pending = episode("c", "pending", severity="critical")
    assert told(decide([episode(), pending], {}, [], {}, 99.0, PACE)) == [
        ("api", [("e", "firing")])
    ]


def pending(name: str, fires_s: float, *, severity: str = "warning", metric: str = "m") -> Pending:
    """An alert of service api that is about to fire."""
    subject = Subject(rule_name=name, service="api", severity=severity, metric_name=metric)
    return Pending(subject, fires_s)


def test_a_group_waits_for_alerts_of_its_service_that_are_about_to_fire() -> None:
    """Fires at 0; another is to fire at 7 (and is told at 8), or at 11, which is too late to wait for."""

    def due(now_s: float, *others: Pending) -> tuple[bool, float | None]:
        decision = decide([episode()], {}, [], {}, now_s, PACE, pending=others)
        return bool(decision.groups), decision.next_s

    assert due(1.0, pending("b", 7)) == (False, 8.0)
    assert due(8.0, pending("b", 7)) == (True, None)
    assert due(1.0, pending("b", 11)) == (True, None)
    assert due(1.0, pending("b", 10)) == (False, 10.0)
    # One of another service is no company.
    other = Pending(Subject(rule_name="b", service="web", severity="info", metric_name="m"), 7)
    assert due(1.0, other) == (True, None)
    # The end of an alert does not wait.
    over = episode(status="resolved", since_s=100)
    decision = decide(
        [over], {"e": Told("firing", 1)}, [], {}, 101, PACE, pending=[pending("b", 105)]
    )
    assert told(decision) == [("api", [("e", "resolved")])]


@pytest.mark.parametrize(
    ("fires_s", "reason"),
    [
        # Looked at 100: it fires now, or within 10 s.
        (100, "muted"),
        (110, "muted"),
        # Later than that is far away, and may never be: the warning goes out.
        (110.1, None),
        (595, None),
        # It was to fire a while ago: whoever evaluates is late, or is not there.
        (90.1, "muted"),
        (90, None),
    ],
)
def test_a_critical_twin_mutes_when_it_is_about_to_fire(fires_s: float, reason: str | None) -> None:
    twin = pending("c", fires_s, severity="critical", metric="error_rate")
    alert = episode(since_s=80)
    decision = decide([alert], {}, [], {}, 100.0, PACE, pending=[twin])
    assert decision.withheld == ({} if reason is None else {"e": reason})
    assert told(decision) == ([("api", [("e", "firing")])] if reason is None else [])
    events = decide_events([alert], {}, [], 100.0, PACE, pending=[twin])
    assert events.withheld == ({} if reason is None else {"e": reason})
    # Somebody looks again when it mutes no longer.
    assert decision.next_s == events.next_s == (None if reason is None else fires_s + 10)


def test_a_warning_waits_at_most_for_a_critical_twin_that_does_not_fire() -> None:
    """Told at 1 as its twin is to fire at 500; another's, whose twin is to fire at 8, is muted, and told when it did
    not.
    """
    far = pending("c", 500, severity="critical", metric="error_rate")
    assert told(decide([episode()], {}, [], {}, 1.0, PACE, pending=[far])) != []
    near = pending("c", 8, severity="critical", metric="error_rate")
    assert decide([episode()], {}, [], {}, 1.0, PACE, pending=[near]).withheld == {"e": "muted"}
    assert told(decide([episode()], {}, [], {}, 5.0, PACE)) == [("api", [("e", "firing")])]
    assert told(decide([episode()], {}, [], {}, 18.0, PACE, pending=[near])) != []
