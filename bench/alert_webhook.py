"""The last stretch of an alert: a real notifier, and PagerDuty played by a server of the tests.

PagerDuty, because it hears of each episode by itself: so many services that break within a minute are a storm for
Slack, and most of them would be told in a digest after some waiting, as they should be.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.alert_episodes import PREFIX
from bench.child import Child
from bench.site import Site
from tests.fakes.records import Recorded
from tests.fakes.webhooks import FakeWebhooks, Request

READY: Final = "partitions assigned"
CHANNEL: Final = "pagerduty"
SERVICE_KEY: Final = "0123456789abcdef0123456789abcdef"
_SERVICE = re.compile(re.escape(PREFIX) + r"\d+")


@dataclass(slots=True)
class WebhookArrivals:
    """When PagerDuty was told of each service; of nothing else, for nothing ends while it is measured."""

    seen: dict[str, list[float]] = field(default_factory=dict)

    def listen(self, record: Recorded) -> None:
        """Take note of a request; those that were refused do not count."""
        now = time.time()
        assert isinstance(record, Request)
        if record.status < 300:
            for service in set(_SERVICE.findall(record.body.decode())):
                self.seen.setdefault(service, []).append(now)


@contextlib.contextmanager
def webhook() -> Iterator[tuple[FakeWebhooks, WebhookArrivals]]:
    """The server, and what came to it."""
    arrivals = WebhookArrivals()
    with FakeWebhooks(routing_key=SERVICE_KEY, listener=arrivals.listen) as server:
        yield server, arrivals


def notifier(site: Site, database: str, topic: str, server: FakeWebhooks) -> Child:
    """A notifier whose only channel is the server, started; to be used as a context manager."""
    return Child(
        "the notifier",
        [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "notifier"],
        {
            **site.environment(database, topic, f"{database}-group"),
            "KAFKA_NOTIFIER_GROUP": f"{database}-notifier",
            "NOTIFIER_METRICS_PORT": "0",
            "PAGERDUTY_EVENTS_URL": server.pagerduty_url,
            "PAGERDUTY_SERVICE_KEY": SERVICE_KEY,
        },
        site.directory,
        markers=[READY],
    )
