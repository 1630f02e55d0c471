"""The channels that the settings switch on."""

from __future__ import annotations

from analytics_service.adapters.notifiers.email import EmailSender
from analytics_service.adapters.notifiers.pagerduty import PagerDutySender
from analytics_service.adapters.notifiers.slack import SlackSender
from analytics_service.adapters.notifiers.smtp import Server
from analytics_service.config import Settings

Sender = SlackSender | EmailSender | PagerDutySender


def channels_from(settings: Settings) -> tuple[Sender, ...]:
    """A sender for each channel with settings; a channel with nothing set is off and has none."""
    senders: list[Sender] = []
    if settings.slack_webhook_url:
        senders.append(SlackSender(settings.slack_webhook_url))
    if settings.smtp_host:
        senders.append(_email(settings))
    if settings.pagerduty_service_key:
        senders.append(
            PagerDutySender(settings.pagerduty_service_key, settings.pagerduty_events_url)
        )
    return tuple(senders)


def _email(settings: Settings) -> EmailSender:
    server = Server(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_tls,
        settings.smtp_user,
        settings.smtp_password,
    )
    recipients = settings.alert_email_to
    domain = recipients[0].rpartition("@")[2]
    sender = settings.smtp_from or f"StackLens <stacklens@{domain}>"
    return EmailSender(server, sender, recipients)
