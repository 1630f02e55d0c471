"""Which episodes that are over are laid aside, with channels that are off or do not answer."""

from __future__ import annotations

import contextlib

import pytest

from analytics_service.adapters.timescale.deliveries import give_up, waiting
from analytics_service.adapters.timescale.episodes import settle_done
from tests.alert_rows import add_deliveries, fire, rule
from tests.databases import Database
from tests.integration.alert_topic import AlertTopic
from tests.waiting import wait_until

SOON_S = 60.0
DAY_S = 86_400.0
SLACK = "{slack}"
BOTH = "{pagerduty,slack}"
_OVER = """
    UPDATE notified_episodes SET status = 'resolved', notification_channels = %s, settled_channels = %s,
        changed_at = clock_timestamp() - make_interval(secs => %s)
"""


def over(
    database: Database, *deliveries: tuple[str, str], settled: str = SLACK, ago_s: float = 60.0
) -> None:
    """An episode for Slack and PagerDuty that is over; what PagerDuty was told: kind and status."""
    rows = [{"channel": "pagerduty", "kind": kind, "status": each} for kind, each in deliveries]
    add_deliveries(database, fire(database, rule()), *rows)
    database.execute(_OVER, BOTH, settled, ago_s)


def settle(database: Database, *channels_on: str) -> tuple[int, int]:
    """How many episodes are laid aside, and how many deliveries given up."""
    with contextlib.closing(database.connect()) as conn, conn, conn.cursor() as cur:
        return settle_done(cur, channels_on), give_up(cur)


@pytest.mark.parametrize(
    ("deliveries", "is_settled"),
    [
        # PagerDuty is off. It never heard of it, or will not take it, or knows the end.
        ([], True),
        ([("firing", "withheld")], True),
        ([("firing", "failed")], True),
        ([("firing", "sent"), ("resolved", "sent")], True),
        ([("firing", "replaced"), ("passed", "sent")], True),
        ([("firing", "sent"), ("resolved", "failed")], True),
        # It is open there, or may be.
        ([("firing", "sent")], False),
        ([("firing", "pending")], False),
        ([("firing", "sent"), ("acknowledged", "sent")], False),
        ([("firing", "sent"), ("acknowledged", "failed")], False),
        ([("firing", "sent"), ("repeat", "pending")], False),
        ([("firing", "sent"), ("resolved", "pending")], False),
    ],
)
def test_a_channel_that_is_off_is_waited_for_only_when_it_has_to_hear_of_the_end(
    database: Database, deliveries: list[tuple[str, str]], is_settled: bool
) -> None:
    over(database, *deliveries)
    assert settle(database, "slack") == (int(is_settled), 0)


def test_a_channel_that_is_on_is_waited_for(database: Database) -> None:
    over(database)
    assert settle(database, "slack", "pagerduty") == (0, 0)
    assert settle(database, "slack") == (1, 0)


@pytest.mark.parametrize(("days", "settled"), [(29.9, (0, 0)), (30.1, (1, 1))])
@pytest.mark.parametrize("channels_on", [("slack",), ("slack", "pagerduty")])
def test_nothing_is_waited_for_for_ever(
    database: Database, channels_on: tuple[str, ...], days: float, settled: tuple[int, int]
) -> None:
    """A channel that stays off, or does not answer for a month."""
    over(database, ("firing", "pending"), ago_s=days * DAY_S)
    assert settle(database, *channels_on) == settled
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        assert list(waiting(cur)) == ([] if settled[0] else ["pagerduty"])


def test_what_fires_is_never_laid_aside(database: Database) -> None:
    over(database, ago_s=90 * DAY_S)
    database.execute("UPDATE notified_episodes SET status = 'active'")
    assert settle(database, "slack") == (0, 0)


def test_a_channel_that_was_off_when_it_was_over_hears_of_the_end(alerts: AlertTopic) -> None:
    notifier = alerts.start().wait_ready()
    alert = alerts.alert(channels=("slack", "pagerduty")).fire()
    sent = "SELECT count(*) FROM alert_deliveries WHERE status = 'sent'"
    wait_until(lambda: alerts.database.rows(sent) == [(2,)], SOON_S, "both are told")
    assert notifier.terminate() == 0
    without = alerts.start(PAGERDUTY_SERVICE_KEY="").wait_ready()
    alert.resolve()
    wait_until(lambda: alerts.database.rows(sent) == [(3,)], SOON_S, "Slack hears of the end")
    never_heard = alerts.alert("others", channels=("pagerduty",)).fire().resolve()
    settled = "SELECT count(*) FROM notified_episodes WHERE settled_at IS NOT NULL"
    wait_until(lambda: alerts.database.rows(settled) == [(1,)], SOON_S, "what it never heard of is")
    assert without.terminate() == 0
    assert alerts.start().wait_ready()
    wait_until(lambda: alerts.database.rows(settled) == [(2,)], SOON_S, "now both are laid aside")
    assert [action for action, _ in alerts.pager_events] == ["trigger", "resolve"]
    assert alerts.deliveries(never_heard) == []
