"""Everything breaks at once: one digest where people read, one event an episode where they are paged."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.databases import Database
from tests.integration.alert_topic import open_alert_topic
from tests.integration.sending import Outgoing
from tests.integration.test_dead_letters import good_value
from tests.integration.whole_way import open_way
from tests.stack_fixtures import Topics
from tests.waiting import wait_until

SERVICES = 500
SOON_S = 120.0
RULES = """
    INSERT INTO analytics_alert_rules
        (rule_name, metric_name, operator, threshold, severity, duration_seconds,
        notification_channels, enabled, service)
    SELECT 'errors of ' || n, 'error_rate', '>', 5, CASE WHEN n %% 5 = 0 THEN 'critical' ELSE 'warning' END, 0,
        ARRAY['slack', 'email', 'pagerduty'], false, 'service-' || n
    FROM generate_series(0, %s - 1) AS n
"""


def told_all(database: Database, channel: str) -> bool:
    """Whether a channel has been told of every service."""
    sent = "SELECT count(*) FROM alert_deliveries WHERE channel = %s AND status = 'sent'"
    return database.rows(sent, channel) == [(SERVICES,)]


@pytest.mark.slow
def test_five_hundred_services_break_in_the_same_second(
    database: Database, topics: Topics, tmp_path: Path
) -> None:
    with (
        open_way(database, topics, tmp_path / "worker") as way,
        open_alert_topic(database, topics, tmp_path / "notifier") as alerts,
    ):
        database.execute(RULES, SERVICES)
        worker = way.start().wait_ready()
        notifier = alerts.start(NOTIFY_GROUP_INTERVAL_SEC="60").wait_ready()
        way.send(
            [
                Outgoing(n % 6, good_value(service=f"service-{n}", level="error"))
                for n in range(SERVICES)
                for _ in range(3)
            ]
        )
        # So that one look finds them all: what fires 3 s later comes in another digest.
        way.wait_settled()
        database.execute("UPDATE analytics_alert_rules SET enabled = true")
        for channel in ("pagerduty", "slack", "email"):
            all_told = partial(told_all, database, channel)
            wait_until(all_told, SOON_S, f"{channel} knows all")
        assert len(alerts.slack_texts) == 1
        assert str(SERVICES) in alerts.slack_texts[0]
        assert len(alerts.subjects) == 1
        assert str(SERVICES) in alerts.subjects[0]
        events = [each.json for each in alerts.web.pagerduty.all]
        assert len({event["dedup_key"] for event in events}) == len(events) == SERVICES
        payloads = [event["payload"] for event in events]
        assert Counter(each["severity"] for each in payloads) == {"critical": 100, "warning": 400}
        severities = [each["severity"] for each in payloads]
        assert severities == sorted(severities)  # the criticals come first
        assert database.rows(
            "SELECT count(DISTINCT service), count(*) FROM analytics_alerts WHERE status = 'active'"
        ) == [(SERVICES, SERVICES)]
        assert worker.terminate() == 0
        assert notifier.terminate() == 0
