"""Somebody is killed or frozen in each stage of an episode: its clocks go on, and all of it is told.

What every test ends with is `verdict`: history, topic, messages and outbreaks compared as after a whole run.
"""

from __future__ import annotations

import threading
from itertools import groupby

import pytest

from tests.fakes.rules import Reply
from tests.faults.alerts.stage import SOON_S, Stage
from tests.waiting import wait_until

# Four of these are part of every run; all of them of `make test-faults-alerts`.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
TAKEN = Reply(200, "ok")
# Longer than a sender waits for an answer (8 s).
NEVER_S = 3600.0


def in_order(stage: Stage, alert_id: int, channel: str) -> list[str]:
    """What a channel has taken, repeats in a row once.

    At least once: whoever dies or sleeps between sending and writing it down leaves it to be sent again.
    """
    return [kind for kind, _ in groupby(stage.kinds(alert_id, channel))]


def test_every_kill_in_one_episode(stage: Stage) -> None:
    """The leader while it is pending, the database while it fires, the notifier once taken on, then the broker."""
    stage.rule("one", duration_s=4, keep_s=4)
    stage.ward.fall_ill("one")
    alert_id = stage.wait("one", "pending")
    pending_s = stage.alert("one").pending_s
    stage.kill(stage.leader())
    assert stage.wait("one", "active") == alert_id
    active_s = stage.alert("one").active_s
    stage.kill_database()
    wait_until(lambda: in_order(stage, alert_id, "slack") == ["firing"], SOON_S, "Slack is told")
    wait_until(
        lambda: in_order(stage, alert_id, "pagerduty") == ["firing"], SOON_S, "as PagerDuty is"
    )
    stage.acknowledge(alert_id)
    stage.kill(stage.sender())
    heard = ["firing", "acknowledged"]
    wait_until(
        lambda: in_order(stage, alert_id, "pagerduty") == heard, SOON_S, "PagerDuty hears it"
    )
    stage.ward.recover("one")
    wait_until(lambda: stage.clear_since("one"), SOON_S, "the rule is clear")
    stage.scene.arena.broker.kill(0)
    assert stage.wait("one", "resolved") == alert_id
    assert stage.verdict() == []
    assert (stage.alert("one").pending_s, stage.alert("one").active_s) == (pending_s, active_s)
    assert in_order(stage, alert_id, "pagerduty") == ["firing", "acknowledged", "over"]


@pytest.mark.long
def test_leader_killed_while_pending(stage: Stage) -> None:
    stage.rule("pending", duration_s=10)
    stage.ward.fall_ill("pending")
    alert_id = stage.wait("pending", "pending")
    begun_s = stage.alert("pending").pending_s
    killed = stage.leader()
    stage.kill(killed)
    assert stage.wait("pending", "active") == alert_id
    assert stage.leader() is not killed
    fired = stage.alert("pending")
    assert fired.pending_s == begun_s
    stage.ward.recover("pending")
    stage.wait("pending", "resolved")
    assert stage.verdict() == []


def test_leader_killed_between_active_and_its_message(stage: Stage) -> None:
    """Nothing can be published while it fires; who could have told is dead when it can."""
    # Pending until the broker is out of reach, and firing at once then: 10 s after the last event that could be
    # read nothing is judged any more.
    stage.rule("untold", duration_s=1)
    last = "UPDATE analytics_alert_rules SET duration_seconds = %s WHERE service = 'untold'"
    stage.scene.database.execute(last, 3600)
    stage.ward.fall_ill("untold")
    stage.wait("untold", "pending")
    proxy = stage.scene.arena.broker_proxy
    proxy.refuse()
    proxy.cut()
    try:
        stage.scene.database.execute(last, 1)
        alert_id = stage.wait("untold", "active")
        assert stage.count("SELECT count(*) FROM alert_outbox WHERE sent_at IS NULL") == 2
        stage.kill(stage.leader())
    finally:
        proxy.accept()
    wait_until(lambda: stage.kinds(alert_id, "slack") == ["firing"], SOON_S, "Slack is told")
    stage.ward.recover("untold")
    stage.wait("untold", "resolved")
    assert stage.verdict() == []


def test_leader_frozen_while_active_wakes_after_another_has_resolved_it(stage: Stage) -> None:
    stage.rule("asleep")
    stage.ward.fall_ill("asleep")
    alert_id = stage.wait("asleep", "active")
    sleeper = stage.leader()
    with stage.scene.workers.borrowed(0, pid=sleeper.process.pid):
        sleeper.process.freeze()
        stage.ward.recover("asleep")
        try:
            assert stage.wait("asleep", "resolved") == alert_id
        finally:
            sleeper.process.thaw()
    wait_until(
        lambda: sleeper.process.metric("stacklens_evaluator_leader") == 0, SOON_S, "it noticed"
    )
    assert stage.verdict() == []
    assert stage.last("asleep") == (alert_id, "resolved")


def test_notifier_killed_between_sending_and_writing_down(stage: Stage) -> None:
    """Slack has it, and whoever sent it dies before the answer: it is told again, which Slack cannot be spared."""
    stage.rule("unwritten", channels=("slack", "pagerduty"))
    stage.scene.web.slack.script(TAKEN.after(NEVER_S))
    stage.ward.fall_ill("unwritten")
    alert_id = stage.wait("unwritten", "active")
    wait_until(lambda: stage.kinds(alert_id, "slack") == ["firing"], SOON_S, "Slack has it")
    stage.kill(stage.sender())
    wait_until(lambda: len(stage.kinds(alert_id, "slack")) == 2, SOON_S, "Slack has it again")
    stage.ward.recover("unwritten")
    stage.wait("unwritten", "resolved")
    assert stage.verdict() == []
    assert stage.kinds(alert_id, "slack") == ["firing", "firing", "over"]


@pytest.mark.long
def test_database_killed_while_a_message_is_being_sent(stage: Stage) -> None:
    """The one notifier that there is hears the answer when there is no database, and keeps it until there is one."""
    stage.rule("answered", channels=("slack",))
    spare = stage.one_notifier()
    try:
        stage.scene.web.slack.script(TAKEN.after(4.0))
        stage.ward.fall_ill("answered")
        alert_id = stage.wait("answered", "active")
        wait_until(lambda: stage.kinds(alert_id, "slack") == ["firing"], SOON_S, "Slack has it")
        stage.kill_database(5.0)
        wait_until(lambda: stage.sent(alert_id, "slack", "firing"), SOON_S, "it is written down")
        assert stage.kinds(alert_id, "slack") == ["firing"]
        stage.ward.recover("answered")
        stage.wait("answered", "resolved")
        assert stage.verdict() == []
        assert stage.kinds(alert_id, "slack") == ["firing", "over"]
    finally:
        spare()


@pytest.mark.long
def test_broker_killed_while_the_outbox_is_full(stage: Stage) -> None:
    """Alerts with two steps each have nowhere to go; then all of them go, in order."""
    services = [f"many-{n:02}" for n in range(40)]
    for service in services:
        stage.rule(service, duration_s=6, channels=("pagerduty",))
        stage.ward.fall_ill(service)
    pending = "SELECT count(*) FROM analytics_alerts WHERE status = 'pending'"
    wait_until(lambda: stage.count(pending) == 40, SOON_S, "all are pending")
    killing = threading.Thread(target=stage.scene.arena.broker.kill, args=(8.0,))
    killing.start()
    unsent = "SELECT count(*) FROM alert_outbox WHERE sent_at IS NULL"
    # As many as fire in the first look that fires any: the next one waits for the broker.
    wait_until(lambda: stage.count(unsent) >= 10, SOON_S, "the outbox fills")
    killing.join()
    for service in services:
        stage.ward.recover(service)
    for service in services:
        stage.wait(service, "resolved")
    assert stage.verdict() == []


@pytest.mark.long
def test_no_notifier_for_a_whole_episode(stage: Stage) -> None:
    stage.rule("unheard")
    crew = stage.scene.notifiers
    with stage.scene.spell("no notifier at all"):
        for notifier in crew.all:
            if not notifier.ending:
                crew.kill(notifier)
        stage.ward.fall_ill("unheard")
        alert_id = stage.wait("unheard", "active")
        stage.ward.recover("unheard")
        stage.wait("unheard", "resolved")
        for _ in range(2):
            crew.start()
    assert stage.verdict() == []
    # What is over is told as over; PagerDuty has it on record all the same.
    assert stage.kinds(alert_id, "slack") == ["over"]
    assert stage.kinds(alert_id, "email") == ["over"]
    assert stage.kinds(alert_id, "pagerduty") == ["firing", "over"]


@pytest.mark.long
def test_notifier_frozen_while_it_sends_wakes_after_all_is_over(stage: Stage) -> None:
    stage.rule("dozing", channels=("slack", "pagerduty"))
    sleeper = stage.sender()
    stage.scene.web.slack.script(TAKEN.after(NEVER_S))
    stage.ward.fall_ill("dozing")
    alert_id = stage.wait("dozing", "active")
    wait_until(lambda: stage.kinds(alert_id, "slack") == ["firing"], SOON_S, "Slack has it")
    with (
        stage.scene.notifiers.borrowed(0, pid=sleeper.process.pid),
        stage.scene.spell("a notifier frozen"),
    ):
        sleeper.process.freeze()
        try:
            stage.ward.recover("dozing")
            stage.wait("dozing", "resolved")
            wait_until(lambda: "over" in stage.kinds(alert_id, "slack"), SOON_S, "all is told")
        finally:
            sleeper.process.thaw()
        wait_until(
            lambda: sleeper.process.metric("stacklens_notifier_leader") == 0, SOON_S, "it noticed"
        )
    assert stage.verdict() == []
    assert in_order(stage, alert_id, "pagerduty") == ["firing", "over"]


@pytest.mark.long
def test_database_killed_while_resolving(stage: Stage) -> None:
    """It has been clear for a while when the database goes: that while counts."""
    stage.rule("clear", keep_s=12)
    stage.ward.fall_ill("clear")
    alert_id = stage.wait("clear", "active")
    stage.ward.recover("clear")
    wait_until(lambda: stage.clear_since("clear"), SOON_S, "it is clear")
    clear_s = stage.clear_since("clear")
    stage.kill_database(1.0)
    stage.kill(stage.leader())
    wait_until(lambda: stage.clear_since("clear") is not None, SOON_S, "the database is back")
    assert stage.clear_since("clear") == clear_s
    assert stage.wait("clear", "resolved") == alert_id
    assert stage.verdict() == []


@pytest.mark.long
def test_both_killed_while_acknowledged(stage: Stage) -> None:
    stage.rule("taken-on")
    stage.ward.fall_ill("taken-on")
    alert_id = stage.wait("taken-on", "active")
    wait_until(lambda: stage.kinds(alert_id, "pagerduty") == ["firing"], SOON_S, "it is told")
    stage.acknowledge(alert_id)
    stage.kill(stage.leader())
    stage.kill(stage.sender())
    wait_until(
        lambda: in_order(stage, alert_id, "pagerduty") == ["firing", "acknowledged"],
        SOON_S,
        "PagerDuty hears who has it",
    )
    assert stage.last("taken-on") == (alert_id, "acknowledged")
    stage.ward.recover("taken-on")
    stage.wait("taken-on", "resolved")
    assert stage.verdict() == []
    assert in_order(stage, alert_id, "pagerduty") == ["firing", "acknowledged", "over"]
