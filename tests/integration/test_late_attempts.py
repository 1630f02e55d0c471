"""A notifier that sends late, when another one has told the end already: the end stays the last word."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import cast

import pytest

from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.deliveries import note_sent, read_view, tell_end_again
from analytics_service.adapters.timescale.episodes import missed, take_in
from analytics_service.adapters.timescale.held_lease import HeldLease
from analytics_service.adapters.timescale.leases import Lease, take
from analytics_service.config import load_settings
from analytics_service.domain.alert_messages import read_alert_message
from analytics_service.domain.notices import Outcome
from analytics_service.notifying.dispatcher import Dispatcher
from analytics_service.notifying.manners import manner_of
from devstack.ports import free_port
from tests.alert_rows import add_deliveries, fire, resolve, rule
from tests.databases import Database
from tests.faults.proxy import Proxy
from tests.integration.alert_topic import AlertTopic
from tests.waiting import wait_until

SOON_S = 60.0
CHANNELS, SLACK = "{notification_channels}", '["slack"]'
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


class Waking:
    """A lease that is lost between the decision and the sending: its holder was frozen there."""

    is_caught_up = True

    def __init__(self, lease: Lease) -> None:
        self._answers: list[tuple[Lease, float] | None] = [(lease, 0.0)]

    def current(self) -> tuple[Lease, float] | None:
        """Ours, and then not."""
        return self._answers.pop() if self._answers else None


class Silent:
    """A channel that nothing must reach."""

    name = "slack"
    sent = 0

    def send(self, _: object) -> Outcome:
        """Count."""
        self.sent += 1
        return Outcome("sent", "ok")


def test_who_wakes_up_too_late_does_not_send(database: Database) -> None:
    settings = load_settings({**database.env, "APP_ENV": "test"}, env_file=None)
    fire(database, rule(), at_s=time.time())
    database.execute(
        "UPDATE alert_outbox SET message = jsonb_set(message, %s, %s)", CHANNELS, SLACK
    )
    with contextlib.closing(database.connect()) as conn:
        conn.autocommit = False
        lease = take(conn, "alert-notifier", "me", 600.0)
        assert lease is not None
        with conn, conn.cursor() as cur:
            for message in missed(cur, 600.0, late_s=0.0):
                take_in(cur, read_alert_message(message))
    sender = Silent()
    dispatcher = Dispatcher(
        sender, manner_of("slack", settings), parameters(settings), cast(HeldLease, Waking(lease))
    )
    # What fired just now waits a second for company; the decision comes after that.
    database.execute("UPDATE notified_episodes SET changed_at = now() - interval '20 seconds'")
    dispatcher.start()
    tried = "SELECT status, attempts FROM alert_deliveries"
    wait_until(lambda: database.rows(tried) == [("pending", 1)], SOON_S, "an attempt is noted")
    dispatcher.end()
    dispatcher.join()
    assert sender.sent == 0
    assert database.rows(tried) == [("pending", 1)]


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
