"""A notifier that sends late, when another one has told the end already: the end stays the last word."""

from __future__ import annotations

import contextlib
import uuid

import pytest

from analytics_service.adapters.timescale.deliveries import note_sent, read_view, tell_end_again
from devstack.ports import free_port
from tests.alert_rows import add_deliveries, fire, resolve, rule
from tests.databases import Database
from tests.faults.proxy import Proxy
from tests.integration.alert_topic import AlertTopic
from tests.waiting import wait_until

SOON_S = 60.0
LATE = str(uuid.uuid4())
_SETTLED = """
    UPDATE notified_episodes SET status = 'resolved', settled_at = now(), settled_channels = '{pagerduty,slack}',
        notification_channels = '{pagerduty,slack}'
"""


def told_and_over(database: Database, end: str) -> None:
    """Both channels were told of the beginning and of the end; PagerDuty's first message is on its way once more."""
    about = rule()
    number = fire(database, about)
    resolve(database, about, "api", 1_769_904_100.0)
    rows = [
        {"channel": channel, "kind": kind, "status": "sent", "finished_at": "2026-02-01T00:02:00Z"}
        for channel in ("pagerduty", "slack")
        for kind in ("firing", end)
    ]
    add_deliveries(database, number, *rows)
    database.execute(
        "UPDATE alert_deliveries SET message_id = %s WHERE channel = 'pagerduty' AND kind = 'firing'",
        LATE,
    )
    database.execute(_SETTLED)


@pytest.mark.parametrize("end", ["resolved", "passed"])
def test_the_end_is_told_again_after_what_came_late(database: Database, end: str) -> None:
    told_and_over(database, end)
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        note_sent(cur, "pagerduty", LATE)
        assert tell_end_again(cur, "pagerduty", LATE) == 1
        (told,) = read_view(cur, "pagerduty", 60.0).told.values()
        assert (told.kind, told.result, told.next_try_s) == (end, "trying", None)
        # Slack has nothing to do with it.
        assert read_view(cur, "slack", 60.0).told == {}
    found = "SELECT channel, kind, status FROM alert_deliveries ORDER BY channel, id"
    assert database.rows(found) == [
        ("pagerduty", "firing", "sent"),
        ("pagerduty", end, "pending"),
        ("slack", "firing", "sent"),
        ("slack", end, "sent"),
    ]


def test_nothing_is_told_again_when_nothing_came_late(database: Database) -> None:
    told_and_over(database, "resolved")
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        assert tell_end_again(cur, "slack", LATE) == 0
        assert tell_end_again(cur, "pagerduty", str(uuid.uuid4())) == 0
        assert read_view(cur, "pagerduty", 60.0).told == {}


def test_a_trigger_that_arrives_after_the_end_does_not_stay_open(alerts: AlertTopic) -> None:
    """A notifier freezes with its request on the way; another one tells the whole episode; then the request arrives."""
    url = alerts.web.pagerduty_url
    with Proxy(free_port(), alerts.web.port) as proxy:
        way_round = url.replace(f":{alerts.web.port}/", f":{proxy.port}/")
        slow = alerts.start(PAGERDUTY_EVENTS_URL=way_round).wait_ready()
        wait_until(lambda: slow.metric("stacklens_notifier_leader") == 1, SOON_S, "it sends")
        alerts.start().wait_ready()
        proxy.stall()
        alert = alerts.alert(channels=("pagerduty",)).fire()
        wait_until(lambda: proxy.holding == 1, SOON_S, "the trigger is on its way")
        slow.freeze()
        alert.resolve()
        wait_until(lambda: len(alerts.pager_events) == 2, SOON_S, "the other tells all of it")
        proxy.resume()
        wait_until(lambda: len(alerts.pager_events) == 3, SOON_S, "the trigger arrives")
        slow.thaw()
        wait_until(lambda: len(alerts.pager_events) == 4, SOON_S, "the end is told again")
    actions = [action for action, _ in alerts.pager_events]
    assert actions == ["trigger", "resolve", "trigger", "resolve"]
    assert len({key for _, key in alerts.pager_events}) == 1
