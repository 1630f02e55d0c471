"""The channels by which people are told: a sender each, with a `name` and `send(...) -> Outcome`."""

from analytics_service.adapters.notifiers.channels import Sender, channels_from
from analytics_service.adapters.notifiers.email import EmailSender
from analytics_service.adapters.notifiers.pagerduty import PagerDutySender
from analytics_service.adapters.notifiers.slack import SlackSender

__all__ = ["EmailSender", "PagerDutySender", "Sender", "SlackSender", "channels_from"]
