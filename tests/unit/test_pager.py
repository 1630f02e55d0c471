"""What a channel that keeps episodes itself is told: commented cases."""

from __future__ import annotations

import pytest

from analytics_service.domain.episodes import EpisodeStatus, Told
from analytics_service.domain.notices import PagerAction
from analytics_service.domain.pager import decide_events
from analytics_service.domain.telling import Channel
from tests.unit.test_notifications import episode, silence

SENT_TRIGGER = Told("firing", 5)
SENT_ACK = Told("acknowledged", 6)


@pytest.mark.parametrize(
    ("status", "last", "action"),
    [
        ("active", None, "trigger"),
        ("active", SENT_TRIGGER, None),
        ("active", Told("firing", 5, "trying", next_try_s=40), "trigger"),
        ("active", Told("firing", 5, "trying", next_try_s=60), None),
        ("active", Told("firing", 5, "failed"), None),
        ("acknowledged", SENT_TRIGGER, "acknowledge"),
        ("acknowledged", SENT_ACK, None),
        ("acknowledged", Told("acknowledged", 6, "trying", next_try_s=40), "acknowledge"),
        ("acknowledged", Told("acknowledged", 6, "failed"), None),
        ("acknowledged", None, None),
        # A trigger whose answer was lost may have opened an incident there: it is acknowledged at once.
        ("acknowledged", Told("firing", 5, "trying", next_try_s=60), "acknowledge"),
        ("acknowledged", Told("firing", 5, "failed"), None),
        ("resolved", SENT_TRIGGER, "resolve"),
        ("resolved", SENT_ACK, "resolve"),
        ("resolved", Told("acknowledged", 6, "failed"), "resolve"),
        ("resolved", Told("resolved", 7, "trying", next_try_s=40), "resolve"),
        ("resolved", Told("resolved", 7, "failed"), None),
        ("resolved", Told("resolved", 7), None),
        ("resolved", None, None),
        # A trigger tried in vain may have arrived: it is made sure of, so that the end finds it.
        ("resolved", Told("firing", 5, "trying", next_try_s=40), "trigger"),
        ("resolved", Told("firing", 5, "failed"), None),
    ],
)
def test_each_action_of_an_episode_once(
    status: EpisodeStatus, last: Told | None, action: PagerAction | None
) -> None:
    known = {} if last is None else {"e": last}
    due = decide_events([episode(status=status)], known, [], 50.0)
    assert [event.action for event in due.events] == ([] if action is None else [action])
    # A silence keeps a trigger back, and nothing else; after one that may have arrived the end is told.
    hushed = decide_events([episode(status=status)], known, [silence(service="api")], 50.0)
    instead = {None: [], "trigger": ["resolve"] if last and status == "resolved" else []}
    assert [event.action for event in hushed.events] == instead.get(action, [action])


def test_what_fired_and_was_over_while_nobody_listened_is_put_on_record() -> None:
    missed = episode(status="resolved", since_s=60, active_s=0, heard_s=3600)
    (event,) = decide_events([missed], {}, [], 4000.0).events
    assert (event.action, event.is_past) == ("trigger", True)
    (event,) = decide_events([missed], {"e": Told("firing", 4000)}, [], 4001.0).events
    assert (event.action, event.is_past) == ("resolve", False)
    done = decide_events([missed], {"e": Told("resolved", 4002)}, [], 4003.0)
    assert (done.events, done.settled) == ((), ("e",))
    # Not what was over before the channel was there.
    assert decide_events([missed], {}, [], 4000.0, channel=Channel(on_since_s=1)).events == ()


def test_what_was_refused_for_good_is_tried_again_after_a_restart() -> None:
    refused = {"e": Told("firing", 100, "failed")}
    quiet = decide_events([episode()], refused, [], 200.0)
    assert (quiet.events, quiet.withheld) == ((), {"e": "refused"})
    again = decide_events([episode()], refused, [], 200.0, channel=Channel(refused_before_s=150))
    assert [event.action for event in again.events] == ["trigger"]


def test_an_attempt_that_failed_is_waited_for_and_holds_up_nobody() -> None:
    alerts = [episode("a"), episode("b")]
    known = {"a": Told("firing", 5, "trying", next_try_s=60)}
    decision = decide_events(alerts, known, [], 50.0)
    assert [event.episode.episode_id for event in decision.events] == ["b"]
    assert (decision.next_s, decision.withheld) == (60.0, {"a": "waiting"})


def test_criticals_go_first_and_ends_last() -> None:
    alerts = [
        episode("over", "resolved", severity="critical", service="d"),
        episode("info", severity="info", service="a"),
        episode("late", severity="critical", service="b", since_s=9),
        episode("early", severity="critical", service="c", since_s=3),
    ]
    due = decide_events(alerts, {"over": SENT_TRIGGER}, [], 50.0)
    assert [event.episode.episode_id for event in due.events] == ["early", "late", "info", "over"]


def test_five_hundred_services_are_five_hundred_events() -> None:
    alerts = [episode(f"{n}", service=f"s{n}", severity="critical") for n in range(500)]
    assert len(decide_events(alerts, {}, [], 50.0).events) == 500
