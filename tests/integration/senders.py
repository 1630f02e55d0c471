"""Senders of each channel to the fakes of its other side."""

from __future__ import annotations

from analytics_service.adapters.notifiers import (
    EmailSender,
    PagerDutySender,
    SlackSender,
)
from analytics_service.adapters.notifiers.smtp import Server
from tests.fakes.rules import Reply
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhooks import FakeWebhooks

KEY = "0123456789abcdef0123456789abcdef"
# Nobody listens there.
CLOSED = "http://127.0.0.1:1"
# Long enough for a machine that has other things to do; only silence takes all of it.
PATIENCE_S = 30.0
SHORT_S = 0.3
OK = Reply(200, "ok")
ONE, TWO = "ops@example.com", "oncall@example.com"


def slack(web: FakeWebhooks) -> SlackSender:
    """A sender to the fake."""
    return SlackSender(web.slack_url, PATIENCE_S)


def pagerduty(web: FakeWebhooks) -> PagerDutySender:
    """A sender to the fake."""
    return PagerDutySender(KEY, web.pagerduty_url, PATIENCE_S)


def email(
    fake: FakeSmtp,
    *recipients: str,
    tls: str = "starttls",
    login: tuple[str, str] = ("", ""),
    deadline_s: float = PATIENCE_S,
) -> EmailSender:
    """A sender to the fake, which it trusts."""
    server = Server("127.0.0.1", fake.port, tls, *login, fake.trusting())
    sender = "StackLens <alerts@stacklens.example>"
    return EmailSender(server, sender, recipients or (ONE,), deadline_s)
