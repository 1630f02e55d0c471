"""A dispatcher that waits for transitions on their way, with one that never arrives: it costs time and no alert."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.held_lease import HeldLease
from analytics_service.adapters.timescale.leases import take
from analytics_service.config import load_settings
from analytics_service.domain.notices import Outcome
from analytics_service.notifying import dispatcher as dispatching
from analytics_service.notifying.dispatcher import Dispatcher
from analytics_service.notifying.manners import manner_of
from tests.alert_rows import add_deliveries, fire, rule
from tests.databases import Database
from tests.waiting import wait_until

SOON_S = 60.0
# What is told at once is told sooner, however busy the machine is.
AGES_S = 15.0
# As if it had happened just now, for as long as the test lasts.
_LOST = """
    INSERT INTO alert_outbox (fingerprint, message, created_at)
    SELECT 'lost', jsonb_build_object('episode_id', gen_random_uuid(), 'sequence', 1), now() + interval '1 hour'
"""


class Slack:
    """Takes everything."""

    name = "slack"

    def __init__(self) -> None:
        self.sent_at: list[float] = []

    def send(self, _: object) -> Outcome:
        """Remember when."""
        self.sent_at.append(time.monotonic())
        return Outcome("sent", "ok")


@contextlib.contextmanager
def dispatcher(database: Database, slack: Slack, *, is_caught_up: bool) -> Iterator[None]:
    """A dispatcher that holds the lease and runs."""
    settings = load_settings(
        {**database.env, "APP_ENV": "test", "NOTIFY_GROUP_INTERVAL_SEC": "1"}, env_file=None
    )
    held = HeldLease(600.0)
    with contextlib.closing(database.connect()) as conn:
        conn.autocommit = False
        lease = take(conn, "alert-notifier", "me", 600.0)
        assert lease is not None
    held.renewed(lease, time.monotonic())
    if is_caught_up:
        held.caught_up()
    running = Dispatcher(slack, manner_of("slack", settings), parameters(settings), held)
    running.start()
    try:
        yield
    finally:
        running.end()
        running.join()


def alert(database: Database, name: str, service: str) -> None:
    """An alert of some time ago that has been taken in."""
    add_deliveries(database, fire(database, rule(name), service))
    database.execute("DELETE FROM alert_outbox WHERE fingerprint <> 'lost'")
    database.execute(
        "UPDATE notified_episodes SET notification_channels = '{slack}', active_since = changed_at,"
        " changed_at = now() - interval '20 seconds'"
    )


def test_a_transition_that_never_arrives_holds_up_nobody_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic has been read to its end: that does not begin the wait for the lost one anew."""
    monkeypatch.setattr(dispatching, "ON_THEIR_WAY_S", 0.3)
    alert(database, "errors", "first")
    database.execute(_LOST)
    slack = Slack()
    with dispatcher(database, slack, is_caught_up=True):
        wait_until(lambda: slack.sent_at, SOON_S, "it is told all the same")


@pytest.mark.slow
def test_a_topic_that_cannot_be_read_is_waited_for_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is on its way: that does not begin the wait anew after each message."""
    monkeypatch.setattr(dispatching, "CATCHING_UP_S", AGES_S)
    alert(database, "errors", "first")
    alert(database, "errors", "second")
    slack = Slack()
    with dispatcher(database, slack, is_caught_up=False):
        wait_until(lambda: len(slack.sent_at) == 2, SOON_S, "both are told")
    first, second = slack.sent_at
    assert second - first < AGES_S
