"""What users of such systems complain about in public, one test each: here it does not happen.

The numbers are those of public issues. Complaints about sending are put to a whole notifier between real sockets.
"""

from __future__ import annotations

import contextlib
from datetime import UTC
from itertools import pairwise

import pytest

from analytics_service.adapters.notifiers import PagerDutySender
from analytics_service.adapters.timescale.observations import Clock, complete_start
from analytics_service.domain.decoding import decode_batch
from analytics_service.domain.episodes import Told
from analytics_service.domain.events import EventRules
from analytics_service.domain.notices import PagerAction, PagerEvent
from analytics_service.domain.notifications import decide
from analytics_service.domain.pager import decide_events
from analytics_service.domain.silences import Silence, Subject
from analytics_service.domain.windows import window_named
from dashboard_api.slo import service_level
from tests.databases import Database
from tests.fakes.rules import Reply
from tests.fakes.webhooks import FakeWebhooks
from tests.integration.alert_topic import SERVICE_KEY, AlertTopic
from tests.integration.complaint_cases import (
    NOTHING,
    PACE,
    a_rule,
    course,
    episode,
    look,
    seen,
    times,
)
from tests.unit.notice_examples import line
from tests.waiting import wait_until

SOON_S = 60.0
ACTIONS: tuple[PagerAction, ...] = ("trigger", "acknowledge", "resolve")
LIMITED = Reply(429, "", {"Retry-After": "2"})


def test_complaint_01_slack_429_is_retried(alerts: AlertTopic) -> None:
    """Slack says that it is too fast, and the message is gone.

    prometheus/alertmanager#2111, #2205
    """
    alerts.web.slack.script(LIMITED)
    alerts.start().wait_ready()
    alert = alerts.alert(channels=("slack",)).fire()
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "Slack is told all the same")
    limited, told = alerts.web.slack.all
    assert (limited.status, told.status) == (429, 200)
    assert told.at_s - limited.at_s >= 2.0, "not before Slack wants it"
    wait_until(
        lambda: alerts.deliveries(alert) == [("slack", "firing", "sent", None)], SOON_S, "noted"
    )


def test_complaint_02_a_limit_loses_neither_firing_nor_resolved(alerts: AlertTopic) -> None:
    """A limited channel loses both that something fires and that it is over.

    SigNoz/signoz#12891
    """
    alerts.web.slack.always = LIMITED
    alerts.start().wait_ready()
    first = alerts.alert(service="first", channels=("slack",)).fire()
    alerts.web.slack.wait(1, SOON_S)
    second = alerts.alert(service="second", channels=("slack",)).fire()
    first.resolve()
    alerts.web.slack.wait(2, SOON_S)
    alerts.web.slack.always = None
    wait_until(lambda: len(alerts.slack_texts) == 2, SOON_S, "both are told")
    second.resolve()
    wait_until(lambda: len(alerts.slack_texts) == 3, SOON_S, "so is the end of the second")
    over, fires = sorted(alerts.slack_texts[:2], key=lambda text: "second" in text)
    assert "first" in over
    assert "is over already" in over
    assert "second" in fires
    assert "[CRITICAL]" in fires
    assert "[RESOLVED] second" in alerts.slack_texts[2]


def test_complaint_02_what_waits_behind_a_limited_message_is_not_forgotten() -> None:
    """The same for an alert that came and went while the whole channel was paused, and was never tried.

    SigNoz/signoz#12891
    """
    over = episode(status="resolved", since_s=600.0)
    late = decide([over], {}, [], {}, 601.0, PACE)
    assert [(item.episode, item.kind) for group in late.groups for item in group.items] == [
        (over, "passed")
    ]


def test_complaint_03_a_restart_restarts_no_clock(database: Database) -> None:
    """After a restart a pending alert begins anew, and one that keeps firing resolves or fires again.

    prometheus/prometheus#15175, #13957
    """
    rule = a_rule(duration_seconds=60, keep_firing_seconds=60)
    with contextlib.closing(database.connect()) as conn:
        look(conn, rule, 1000.0, {"api": 50.0})
    # Each look is another process's, as far as it can tell.
    with contextlib.closing(database.connect()) as conn:
        look(conn, rule, 1059.0, {"api": 50.0})
        assert times(conn, "api") == ("pending", 1000.0, None)
    with contextlib.closing(database.connect()) as conn:
        look(conn, rule, 1060.0, {"api": 50.0})
        assert times(conn, "api") == ("active", 1000.0, 1060.0)
        look(conn, rule, 1100.0, {"api": 1.0})
    with contextlib.closing(database.connect()) as conn:
        look(conn, rule, 1159.0, {"api": 1.0})
        assert times(conn, "api") == ("active", 1000.0, 1060.0)
    with contextlib.closing(database.connect()) as conn:
        look(conn, rule, 1160.0, {"api": 1.0})
        assert times(conn, "api") == ("resolved", 1000.0, 1060.0)


def test_complaint_04_missing_data_resolve_nothing_at_once() -> None:
    """Data fail to come for a moment, and a false "resolved" goes out.

    prometheus/prometheus#17482, prometheus/alertmanager#2264
    """
    short = [(0.0, seen(50.0)), (1.0, NOTHING), (300.0, NOTHING), (300.5, seen(50.0))]
    assert course(a_rule(), *short) == ["active"] * 4
    # For ever is another thing: then the rule's policy decides, and says why.
    assert course(a_rule(), (0.0, seen(50.0)), (1.0, NOTHING), (301.0, NOTHING))[-1] == "inactive"


def test_complaint_05_no_data_honours_the_duration() -> None:
    """Absence fires at once although the rule says for how long.

    grafana/grafana#16290
    """
    rule = a_rule(no_data_policy="alert", duration_seconds=120)
    looks = [(at_s, NOTHING) for at_s in (0.0, 299.0, 300.0, 419.0, 420.0)]
    assert course(rule, *looks) == ["inactive", "inactive", "pending", "pending", "active"]


def test_complaint_06_keep_last_state_is_kept(database: Database) -> None:
    """A rule that keeps its last state without data forgets it.

    grafana/grafana#39056
    """
    rule = a_rule(no_data_policy="keep")
    looks = [(0.0, seen(50.0)), (301.0, NOTHING), (86_400.0, NOTHING), (86_401.0, seen(1.0))]
    assert course(rule, *looks) == ["active", "active", "active", "inactive"]
    # Nor does it with a restart in between.
    with contextlib.closing(database.connect()) as conn:
        look(conn, rule, 1000.0, {"api": 50.0})
    for now_s in (1400.0, 9000.0):
        with contextlib.closing(database.connect()) as conn:
            look(conn, rule, now_s, {})
            assert times(conn, "api") == ("active", 1000.0, 1000.0)


def test_complaint_07_silenced_then_resolved_closes_the_incident(alerts: AlertTopic) -> None:
    """A silence begins while an alert fires, swallows its end, and PagerDuty has it open for ever.

    prometheus/alertmanager#3664, #226
    """
    alerts.start().wait_ready()
    alert = alerts.alert().fire()
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "PagerDuty is told")
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "so is Slack")
    alerts.database.execute(
        "INSERT INTO alert_silences (service, ends_at, author, comment)"
        " VALUES ('payment', now() + interval '1 hour', 'bert', 'we know')"
    )
    alert.resolve()
    wait_until(lambda: len(alerts.pager_events) == 2, SOON_S, "PagerDuty hears of the end")
    wait_until(lambda: len(alerts.slack_texts) == 2, SOON_S, "so does Slack")
    assert [action for action, _ in alerts.pager_events] == ["trigger", "resolve"]
    assert len({key for _, key in alerts.pager_events}) == 1


def test_complaint_08_an_acknowledgement_lasts_as_long_as_the_episode() -> None:
    """An acknowledgement runs out, or outlives the episode it was about.

    prometheus/alertmanager#1860
    """
    told = {"e": Told("firing", 1.0)}
    for now_s in (20_000.0, 10 * 86_400.0):
        quiet = decide([episode(status="acknowledged")], told, [], {}, now_s, PACE)
        assert (quiet.groups, quiet.withheld) == ((), {"e": "acknowledged"})
    # The next episode is another one, and nobody has taken it on.
    next_one = decide([episode("next", since_s=100.0)], told, [], {}, 102.0, PACE)
    assert [item.kind for group in next_one.groups for item in group.items] == ["firing"]


def test_complaint_09_a_silence_ends_by_itself() -> None:
    """Somebody mutes "for an hour", and it is muted for ever, or there is no such thing as an hour.

    getsentry/sentry#116651, #84027
    """
    hour = Silence(id=1, starts_s=0.0, ends_s=3600.0, service="api")
    during = decide([episode()], {}, [hour], {}, 3599.0, PACE)
    assert (during.groups, during.withheld) == ((), {"e": "silenced"})
    assert during.next_s == 3600.0, "there is something to decide the moment it ends"
    after = decide([episode()], {}, [hour], {}, 3600.0, PACE)
    assert [item.kind for group in after.groups for item in group.items] == ["firing"]
    subject = Subject(rule_name="r", service="api", severity="info", metric_name="error_rate")
    assert [hour.covers(subject, at_s) for at_s in (0.0, 3599.9, 3600.0)] == [True, True, False]


def test_complaint_10_resolving_has_its_own_threshold() -> None:
    """A value about the threshold fires and resolves again and again; a lesser one counts as the end.

    prometheus/prometheus#6504, getsentry/sentry#29345
    """
    rule = a_rule(threshold=20.0, resolve_threshold=5.0)
    values = (21.0, 19.0, 21.0, 19.0, 6.0, 5.0, 19.0)
    looks = [(float(second), seen(value)) for second, value in enumerate(values)]
    assert course(rule, *looks) == ["active"] * 5 + ["inactive"] * 2


def test_complaint_11_what_goes_on_is_told_again_after_hours_not_every_minute() -> None:
    """A critical alert tells everybody every minute for as long as it is critical.

    getsentry/sentry#52956
    """
    told: dict[str, Told] = {}
    moments = []
    for minute in range(24 * 60):
        now_s = 60.0 * minute
        for group in decide([episode()], told, [], {}, now_s, PACE).groups:
            (item,) = group.items
            told["e"] = Told(item.kind, now_s, repetition=item.repetition)
            moments.append(now_s)
    assert len(moments) == 6, "in a day, every four hours"
    assert all(after - before == 14_400.0 for before, after in pairwise(moments))
    events = decide_events([episode()], {"e": Told("firing", 1.0)}, [], 86_400.0, PACE).events
    assert events == (), "and an incident is not opened twice"


def test_complaint_12_every_episode_has_a_key_of_its_own() -> None:
    """All alerts share one key, so that the end of one closes the incident of another.

    elastic/kibana#76908
    """
    with FakeWebhooks(routing_key=SERVICE_KEY) as web:
        sender = PagerDutySender(SERVICE_KEY, web.pagerduty_url, 30.0)
        # Two rules of a service, and an episode of the same rule after that.
        for episode_id, rule_name in (("e1", "errors"), ("e2", "latency"), ("e3", "errors")):
            about = line(episode_id=episode_id, rule_name=rule_name)
            for action in ACTIONS:
                sender.send(PagerEvent(action=action, line=about, at_s=1_769_904_000.0))
        keys = [request.json["dedup_key"] for request in web.pagerduty.all]
    assert keys == [key for key in (keys[0], keys[3], keys[6]) for _ in range(3)]
    assert len(set(keys)) == 3


def test_complaint_13_a_notification_that_fails_is_no_secret(alerts: AlertTopic) -> None:
    """Notifications fail, and nobody can see it.

    grafana/grafana#5852, #118274
    """
    alerts.web.slack.always = Reply(404, "channel_not_found")
    alerts.web.pagerduty.always = Reply(503, "")
    notifier = alerts.start().wait_ready()
    alert = alerts.alert(channels=("slack", "pagerduty")).fire()
    wait_until(
        lambda: ("slack", "firing", "failed", None) in alerts.deliveries(alert), SOON_S, "noted"
    )
    why = (
        "SELECT channel, attempts > 0, last_error FROM alert_deliveries"
        " WHERE episode_id = %s AND last_error IS NOT NULL ORDER BY channel"
    )
    found = wait_until(
        lambda: len(rows := alerts.database.rows(why, alert.episode_id)) == 2 and rows,
        SOON_S,
        "both are",
    )
    assert found == [
        ("pagerduty", True, "PagerDuty answered 503"),
        ("slack", True, "Slack answered 404 channel_not_found"),
    ]
    notifier.expect(1, "stacklens_deliveries_total", channel="slack", result="refused")
    assert notifier.metric("stacklens_deliveries_total", channel="pagerduty", result="retry") >= 1
    notifier.expect(1, "stacklens_delivery_backlog", channel="pagerduty")
    assert "refused for good: Slack answered 404" in notifier.output


@pytest.mark.parametrize(
    ("failed_in_hour", "failed_in_5m", "status"),
    [
        # 100,000 requests an hour, 0.1 percent may fail: 14.4 times that is 1,440.
        (1_500, 125, "page"),
        # It was bad, and is over: nobody is woken.
        (1_500, 0, "ok"),
        (100, 8, "ok"),
    ],
)
def test_complaint_14_burn_rates_come_ready_made(
    failed_in_hour: int, failed_in_5m: int, status: str
) -> None:
    """How fast an error budget burns is left to everybody's own arithmetic.

    SigNoz/signoz#5374, #658
    """
    level = service_level(
        "api",
        99.9,
        (30 * 2_400_000, failed_in_hour),
        {"5m": (8_333, failed_in_5m), "1h": (100_000, failed_in_hour)},
    )
    hour = next(rate for rate in level.burn_rates if rate.window == "1h")
    assert hour.burn_rate == pytest.approx(failed_in_hour / 100.0)
    assert level.status == status


def test_complaint_15_windows_go_by_the_clock_not_by_the_next_event() -> None:
    """One stamp of the future makes everything else late; the last window waits for an event that never comes.

    turbolytics/sql-flow#358, confluentinc/ksql#9007
    """
    now_us = 1_769_904_000_000_000
    rules = EventRules(UTC, max_future_us=300_000_000, max_age_us=86_400_000_000)
    values = [
        b'{"timestamp": "2126-02-01T00:00:00Z", "service": "api", "level": "info"}',
        b'{"timestamp": "2026-01-31T23:59:59Z", "service": "api", "level": "info"}',
        b'{"timestamp": "2026-01-31T23:58:00Z", "service": "api", "level": "info"}',
    ]
    batch = decode_batch(values, rules, now_us)
    assert [(place, rejection.reason) for place, rejection in batch.rejected] == [
        (0, "future_timestamp")
    ]
    assert len(batch.events) == 2, "what comes after it is as good as ever"
    # A window is complete by the clock, 5 s after its end, when all that was produced is stored: without any event.
    minute = window_named("1min")
    assert complete_start(minute, Clock(now_s=184.9, settled_s=184.0)) == 60
    assert complete_start(minute, Clock(now_s=185.0, settled_s=184.0)) == 120
    assert complete_start(minute, Clock(now_s=999.0, settled_s=150.0)) == 60
