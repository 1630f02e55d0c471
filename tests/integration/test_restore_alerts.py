"""Alerts after a restore: what was told before the backup is not told again, what fires still is told as new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.databases import Database, drop_database
from tests.integration.alert_topic import AlertTopic, open_alert_topic
from tests.integration.sending import Outgoing
from tests.integration.test_dead_letters import good_value
from tests.integration.test_restore_drill import Figures, back_up, restore
from tests.integration.whole_way import WholeWay, open_way
from tests.stack_fixtures import Topics
from tests.waiting import wait_until

SOON_S = 180.0
RULE = """
    INSERT INTO analytics_alert_rules
        (rule_name, metric_name, operator, threshold, severity, duration_seconds, keep_firing_seconds,
         no_data_policy, notification_channels)
    VALUES ('errors', 'error_rate', '>', 5, 'critical', 0, 3600, 'keep', ARRAY['slack', 'pagerduty'])
"""


def triggers(alerts: AlertTopic, service: str) -> set[str]:
    """The keys under which PagerDuty was told that a service's alert fires; each message once."""
    taken = [each.json for each in alerts.web.pagerduty.all if each.status == 202]
    keys = [
        each["dedup_key"]
        for each in taken
        if each["event_action"] == "trigger" and service in json.dumps(each["payload"])
    ]
    assert len(keys) == len(set(keys)), "an episode was told twice"
    return set(keys)


def break_service(way: WholeWay, service: str) -> None:
    """Some errors now."""
    way.send([Outgoing(n, good_value(service=service, level="error")) for n in range(6)])


def fires(way: WholeWay, alerts: AlertTopic, service: str, episodes: int) -> None:
    """Errors, until PagerDuty has been told of so many episodes of the service."""

    def told() -> bool:
        break_service(way, service)
        return len(triggers(alerts, service)) == episodes

    wait_until(told, SOON_S, f"PagerDuty is told of {service}")


@pytest.mark.slow
def test_alerts_after_a_restore_to_an_older_state(
    database: Database, topics: Topics, tmp_path: Path
) -> None:
    with (
        open_way(database, topics, tmp_path / "worker") as way,
        open_alert_topic(database, topics, tmp_path / "notifier") as alerts,
    ):
        database.execute(RULE)
        worker = way.start().wait_ready()
        notifier = alerts.start().wait_ready()
        fires(way, alerts, "told-before", 1)
        sent = "SELECT count(*) FROM alert_deliveries WHERE status = 'sent'"
        wait_until(lambda: database.rows(sent) == [(2,)], SOON_S, "both channels are through")
        file = back_up(way, Figures())
        fires(way, alerts, "told-after", 1)
        ((lost_id, lost_episode),) = database.rows(
            "SELECT id, episode_id::text FROM analytics_alerts WHERE service = 'told-after'"
        )
        drop_database(database.stack, database.name)
        restore(way, file, Figures())

        # It still fires: a new episode, told as such, under a number that nothing else has had.
        fires(way, alerts, "told-after", 2)
        ((new_id, new_episode),) = database.rows(
            "SELECT id, episode_id::text FROM analytics_alerts WHERE service = 'told-after'"
        )
        assert lost_id < 1_000_000 < new_id
        assert new_episode != lost_episode
        # Both processes came through without being started again, and the one told before was not told anew.
        break_service(way, "told-before")
        way.wait_settled()
        assert len(triggers(alerts, "told-before")) == 1
        assert sum("told-before" in text for text in alerts.slack_texts) == 1
        assert way.differences() == []
        assert (worker.exit_code, notifier.exit_code) == (None, None)
        assert [worker.terminate(), notifier.terminate()] == [0, 0]
