"""A rule that gets another channel while its alert is open."""

from __future__ import annotations

import contextlib
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from analytics_service.adapters.timescale.deliveries import read_view
from analytics_service.adapters.timescale.episodes import add_channels, take_in
from analytics_service.domain.alert_messages import AlertMessage
from tests.alert_rows import add_rule, rule
from tests.databases import Database
from tests.integration.alert_topic import AlertTopic
from tests.waiting import wait_until

SOON_S = 60.0
EPISODE = uuid.uuid4()
RULE = "UPDATE analytics_alert_rules SET notification_channels = %s"


def message(status: Literal["active", "resolved"], sequence: int, *channels: str) -> AlertMessage:
    """A transition of the one episode, with the channels of its rule at that time."""
    about: dict[str, Any] = {"severity": "critical", "metric_name": "error_rate", "threshold": 5.0}
    return AlertMessage(
        transition_id=uuid.uuid4(), episode_id=EPISODE, sequence=sequence, alert_id=1, fingerprint="f",
        from_status="inactive" if sequence == 1 else "active", to_status=status, at=datetime.now(UTC),
        rule_name="errors", service="api", window_size="1min", operator=">", notification_channels=list(channels),
        **about,
    )  # fmt: skip


def channels(database: Database) -> list[str]:
    """Who is to hear of it."""
    ((found,),) = database.rows("SELECT notification_channels FROM notified_episodes")
    return [str(each) for each in found]


def do(database: Database, *messages: AlertMessage) -> int:
    """Take messages in, and look at the rules; how many episodes got a channel."""
    with contextlib.closing(database.connect()) as conn, conn, conn.cursor() as cur:
        for each in messages:
            assert take_in(cur, each)
        return add_channels(cur)


def test_an_open_alert_gets_the_channels_that_its_rule_gets(database: Database) -> None:
    add_rule(database, rule())
    database.execute(RULE, ["slack"])
    assert do(database, message("active", 1, "slack")) == 0
    database.execute(RULE, ["email", "pagerduty"])
    assert do(database) == 1
    assert channels(database) == ["email", "pagerduty", "slack"]
    assert do(database) == 0
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        assert len(read_view(cur, "email", 60.0).known) == 1
    # The rule is gone when it is over: all who heard of it hear of that.
    database.execute("DELETE FROM analytics_alert_rules")
    assert do(database, message("resolved", 2)) == 0
    assert channels(database) == ["email", "pagerduty", "slack"]


def test_a_channel_that_comes_when_it_is_over_hears_nothing(database: Database) -> None:
    """Told late that it "fired and is over" it would be, though nobody wanted it told there while it fired."""
    add_rule(database, rule())
    database.execute(RULE, ["email", "slack"])
    assert (
        do(database, message("active", 1, "slack"), message("resolved", 2, "email", "slack")) == 0
    )
    assert channels(database) == ["slack"]


@pytest.mark.parametrize("change", ["enabled = false", "service = 'web'"])
def test_a_rule_that_is_not_about_it_any_more_adds_nothing(database: Database, change: str) -> None:
    add_rule(database, rule())
    database.execute(RULE, ["email", "slack"])
    database.execute(f"UPDATE analytics_alert_rules SET {change}")  # noqa: S608  # the cases above
    assert do(database, message("active", 1, "slack")) == 0
    assert channels(database) == ["slack"]


def test_the_new_channel_is_told_and_hears_of_the_end(alerts: AlertTopic) -> None:
    add_rule(alerts.database, rule())
    alerts.database.execute(RULE, ["slack"])
    notifier = alerts.start().wait_ready()
    alert = alerts.alert(channels=("slack",)).fire()
    wait_until(lambda: len(alerts.slack_texts) == 1, SOON_S, "Slack is told")
    alerts.database.execute(RULE, ["slack", "pagerduty"])
    wait_until(lambda: len(alerts.pager_events) == 1, SOON_S, "PagerDuty is told as well")
    alert.resolve(notification_channels=["slack", "pagerduty"])
    wait_until(lambda: len(alerts.pager_events) == 2, SOON_S, "and of the end")
    assert [action for action, _ in alerts.pager_events] == ["trigger", "resolve"]
    assert notifier.terminate() == 0
