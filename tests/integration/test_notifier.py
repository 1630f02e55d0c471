"""A notifier between a real topic, a real database and three channels on real sockets."""

from __future__ import annotations

from tests.integration.alert_topic import AlertTopic
from tests.waiting import wait_until

SOON_S = 60.0


def test_an_episode_is_told_once_on_every_channel(alerts: AlertTopic) -> None:
    notifier = alerts.start().wait_ready()
    alert = alerts.alert().fire()
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "Slack is told")
    wait_until(lambda: len(alerts.subjects) == 1, SOON_S, "a mail is sent")
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "PagerDuty is told")
    # The same messages again, as a relay that wakes up late publishes them.
    alert.again(0)
    alert.acknowledge()
    wait_until(lambda: len(alerts.pager_events) == 2, SOON_S, "PagerDuty hears who has it")
    alert.again(0)
    alert.resolve()
    wait_until(lambda: len(alerts.slack_texts) == 2, SOON_S, "Slack hears of the end")
    wait_until(lambda: len(alerts.subjects) == 2, SOON_S, "a mail tells of the end")
    wait_until(lambda: len(alerts.pager_events) == 3, SOON_S, "PagerDuty hears of the end")
    for number in range(3):
        alert.again(number)
    settled = "SELECT settled_at IS NOT NULL FROM notified_episodes"
    wait_until(lambda: alerts.database.rows(settled) == [(True,)], SOON_S, "it is laid aside")
    notifier.expect(5, "stacklens_alert_messages_total", outcome="known")

    fired, resolved = alerts.slack_texts
    assert "payment" in fired
    assert "31.5" in fired
    assert "20" in fired
    assert "payment" in resolved
    actions = [action for action, _ in alerts.pager_events]
    assert actions == ["trigger", "acknowledge", "resolve"]
    assert len({key for _, key in alerts.pager_events}) == 1
    assert alerts.deliveries(alert) == [
        ("email", "firing", "sent", None),
        ("email", "resolved", "sent", None),
        ("pagerduty", "firing", "sent", None),
        ("pagerduty", "acknowledged", "sent", None),
        ("pagerduty", "resolved", "sent", None),
        ("slack", "firing", "sent", None),
        ("slack", "resolved", "sent", None),
    ]
    notifier.expect(2, "stacklens_deliveries_total", channel="slack", result="sent")
    assert notifier.metric("stacklens_notifier_leader") == 1
    assert {
        name: notifier.metric("stacklens_channel_on", channel=name)
        for name in ("slack", "email", "pagerduty")
    } == {"slack": 1, "email": 1, "pagerduty": 1}
    assert notifier.terminate() == 0
    assert alerts.web.slack_url.rpartition("/")[2] not in notifier.output
    assert alerts.env["PAGERDUTY_SERVICE_KEY"] not in notifier.output


def test_a_notifier_leaves_the_worker_s_settings_in_the_database_alone(alerts: AlertTopic) -> None:
    """SQL functions go by them; the two may be configured differently."""
    alerts.database.execute("INSERT INTO system_config (key, value) VALUES ('retention_hot', '3')")
    notifier = alerts.start(RETENTION_HOT="5").wait_ready()
    query = "SELECT key, value FROM system_config WHERE key IN ('retention_hot', 'retention_warm')"
    assert alerts.database.rows(query) == [("retention_hot", "3")]
    assert notifier.terminate() == 0


def test_a_notifier_killed_at_every_step_tells_each_thing_once(alerts: AlertTopic) -> None:
    first = alerts.start().wait_ready()
    alert = alerts.alert().fire()
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "Slack is told")
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "PagerDuty is told")
    wait_until(lambda: len(alerts.subjects) == 1, SOON_S, "a mail is sent")
    sent = "SELECT count(*) FROM alert_deliveries WHERE status = 'sent'"
    wait_until(lambda: alerts.database.rows(sent) == [(3,)], SOON_S, "all is written down")
    first.kill()
    alert.acknowledge()
    second = alerts.start().wait_ready()
    wait_until(lambda: len(alerts.pager_events) == 2, SOON_S, "the next notifier goes on")
    wait_until(lambda: alerts.database.rows(sent) == [(4,)], SOON_S, "all is written down")
    second.kill()
    alert.resolve()
    third = alerts.start().wait_ready()
    wait_until(lambda: alerts.database.rows(sent) == [(7,)], SOON_S, "the end is told")
    assert third.terminate() == 0
    assert [action for action, _ in alerts.pager_events] == ["trigger", "acknowledge", "resolve"]
    assert len(alerts.slack_texts) == len(alerts.subjects) == 2


def test_a_channel_that_does_not_work_delays_no_other(alerts: AlertTopic) -> None:
    from tests.fakes.rules import Reply

    alerts.web.slack.always = Reply(500, "rollup_error")
    notifier = alerts.start(BREAKER_RESET_SEC="2").wait_ready()
    alert = alerts.alert().fire()
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "PagerDuty is told")
    wait_until(lambda: len(alerts.subjects) == 1, SOON_S, "a mail is sent")
    alerts.web.slack.wait(3, SOON_S)
    assert alerts.slack_texts == []
    alert.resolve()
    wait_until(lambda: len(alerts.pager_events) == 2, SOON_S, "PagerDuty hears of the end")
    alerts.web.slack.always = None
    # Slack never heard of it firing: both are told in one.
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "Slack is told")
    wait_until(
        lambda: ("slack", "passed", "sent", None) in alerts.deliveries(alert), SOON_S, "it is done"
    )
    assert [each for each in alerts.deliveries(alert) if each[0] == "slack"] == [
        ("slack", "firing", "replaced", None),
        ("slack", "passed", "sent", None),
    ]
    assert notifier.terminate() == 0


def test_the_database_knows_of_an_open_breaker(alerts: AlertTopic) -> None:
    """For the page: which channel is left alone, since when, and what it said."""
    from tests.fakes.rules import Reply

    state = """SELECT breaker_open_since BETWEEN now() - interval '1 minute' AND now(), last_error
               FROM alert_channels WHERE channel = %s"""
    alerts.web.slack.always = Reply(500, "rollup_error")
    notifier = alerts.start(BREAKER_RESET_SEC="2").wait_ready()
    alerts.alert().fire()
    alerts.web.slack.wait(1, SOON_S)
    wait_until(
        lambda: alerts.database.rows(state, "slack")[0][0], SOON_S, "the breaker of Slack is open"
    )
    ((_, error),) = alerts.database.rows(state, "slack")
    assert "500" in error
    assert alerts.web.slack_url.rpartition("/")[2] not in error
    assert alerts.database.rows(state, "pagerduty") == [(None, None)]
    alerts.web.slack.always = None
    wait_until(
        lambda: alerts.database.rows(state, "slack") == [(None, None)], SOON_S, "it is closed"
    )
    assert notifier.terminate() == 0


def test_rubbish_on_the_topic_holds_up_nobody(alerts: AlertTopic) -> None:
    notifier = alerts.start().wait_ready()
    for rubbish in (b"not json", b"{}", b"[]", b"", b'{"sequence": 1}', b"\xff\xfe"):
        alerts.publish(rubbish)
    broken = alerts.alert(service="nul\0")
    broken.fire()
    alerts.alert().fire()
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "the good one is told")
    notifier.expect(7, "stacklens_alert_messages_total", outcome="rejected")
    assert notifier.terminate() == 0


def test_what_happened_while_no_notifier_ran_is_told_without_a_storm(alerts: AlertTopic) -> None:
    """An hour ago: 30 services broke; 20 of them were over soon. Then a notifier that had run before comes back."""
    alerts.start().wait_ready().terminate()
    alerts.database.execute("UPDATE alert_channels SET on_since = now() - interval '2 hours'")
    broken = [alerts.alert(service=f"s{n:02}").fire(ago_s=3600) for n in range(30)]
    for alert in broken[:20]:
        alert.resolve(ago_s=3000)
    notifier = alerts.start().wait_ready()
    wait_until(lambda: len(alerts.slack_texts) >= 1, SOON_S, "Slack is told")
    wait_until(lambda: len(alerts.subjects) >= 1, SOON_S, "a mail is sent")
    wait_until(lambda: len(alerts.pager_events) == 50, SOON_S, "PagerDuty has it on record")
    told = """
        SELECT channel, kind, count(*) FROM alert_deliveries
        WHERE channel <> 'pagerduty' AND status = 'sent' GROUP BY 1, 2 ORDER BY 1, 2
    """
    wanted = [(c, k, n) for c in ("email", "slack") for k, n in (("firing", 10), ("passed", 20))]
    wait_until(lambda: alerts.database.rows(told) == wanted, SOON_S, "all are told of all")
    assert len(alerts.slack_texts) == 1
    assert len(alerts.subjects) == 1
    triggered = {key for action, key in alerts.pager_events if action == "trigger"}
    resolved = {key for action, key in alerts.pager_events if action == "resolve"}
    assert len(triggered) == 30
    assert len(resolved) == 20
    assert resolved < triggered
    assert notifier.terminate() == 0


def test_a_notifier_that_is_new_tells_nothing_of_the_past(alerts: AlertTopic) -> None:
    for number in range(5):
        alerts.alert(service=f"past-{number}").fire(ago_s=3600).resolve(ago_s=1800)
    alerts.alert(service="present").fire(ago_s=3600)
    notifier = alerts.start().wait_ready()
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "what fires still is told")
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "on Slack as well")
    settled = "SELECT count(*) FROM notified_episodes WHERE settled_at IS NOT NULL"
    wait_until(lambda: alerts.database.rows(settled) == [(5,)], SOON_S, "the past is laid aside")
    assert "present" in alerts.slack_texts[0]
    assert len(alerts.pager_events) == 1
    assert notifier.terminate() == 0


def test_two_notifiers_and_one_that_freezes(alerts: AlertTopic) -> None:
    first = alerts.start().wait_ready()
    second = alerts.start().wait_ready()
    wait_until(
        lambda: (
            first.metric("stacklens_notifier_leader") + second.metric("stacklens_notifier_leader")
            == 1
        ),
        SOON_S,
        "one of them sends",
    )
    sending = first if first.metric("stacklens_notifier_leader") == 1 else second
    other = second if sending is first else first
    alert = alerts.alert().fire()
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "it is told")
    # One that is frozen between sending and writing down is another matter: that is told twice.
    sent = "SELECT count(*) FROM alert_deliveries WHERE status = 'sent'"
    wait_until(lambda: alerts.database.rows(sent) == [(3,)], SOON_S, "all is written down")
    sending.freeze()
    wait_until(lambda: other.metric("stacklens_notifier_leader") == 1, SOON_S, "the other sends")
    alert.resolve()
    # Whoever has the partition: what the topic does not bring in time comes by way of the database.
    # Kafka waits for the frozen one before it gives its partition away.
    wait_until(lambda: len(alerts.pager_events) == 2, 3 * SOON_S, "the end is told")
    sending.thaw()
    wait_until(lambda: sending.metric("stacklens_notifier_leader") == 0, SOON_S, "it has noticed")
    wait_until(lambda: len(alerts.slack_texts) == 2, SOON_S, "Slack knows both")
    assert [action for action, _ in alerts.pager_events] == ["trigger", "resolve"]
    for process in (first, second):
        assert process.terminate() == 0


def test_a_warning_is_told_when_its_critical_twin_is_over_and_it_is_not(alerts: AlertTopic) -> None:
    notifier = alerts.start().wait_ready()
    twin = alerts.alert("critical errors", channels=("slack",)).fire()
    warning = alerts.alert("errors", severity="warning", channels=("slack",)).fire()
    muted = ("slack", "firing", "withheld", "muted")
    wait_until(lambda: muted in alerts.deliveries(warning), SOON_S, "the warning is muted")
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "the critical one is told")
    twin.resolve()
    wait_until(
        lambda: ("slack", "firing", "sent", None) in alerts.deliveries(warning), SOON_S, "now it is"
    )
    warning.resolve()
    settled = "SELECT count(*) FROM notified_episodes WHERE settled_at IS NOT NULL"
    wait_until(lambda: alerts.database.rows(settled) == [(2,)], SOON_S, "both are laid aside")
    assert [each[1:] for each in alerts.deliveries(twin)] == [
        ("firing", "sent", None),
        ("resolved", "sent", None),
    ]
    assert notifier.terminate() == 0


def test_a_mail_that_did_not_reach_everybody_says_so(alerts: AlertTopic) -> None:
    alerts.smtp.script("RCPT", None, "450 4.2.1 busy")
    notifier = alerts.start(ALERT_EMAIL_TO="oncall@example.org, away@example.org").wait_ready()
    alert = alerts.alert(channels=("email",)).fire()
    found = "SELECT status, last_error FROM alert_deliveries WHERE episode_id = %s"
    trouble = f"127.0.0.1:{alerts.smtp.port} took it, but refused 1 of 2 recipients (450)"
    sent = [("sent", trouble)]
    wait_until(lambda: alerts.database.rows(found, alert.episode_id) == sent, SOON_S, "it is noted")
    state = "SELECT last_error FROM alert_channels WHERE channel = 'email'"
    assert alerts.database.rows(state) == [(trouble,)]
    (mail,) = alerts.smtp.all
    assert mail.recipients == ("oncall@example.org",)
    assert notifier.terminate() == 0
    (line,) = [each for each in notifier.output.splitlines() if "not to everybody" in each]
    assert "warning" in line
    assert trouble in line
