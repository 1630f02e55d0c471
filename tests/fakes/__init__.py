"""Slack, PagerDuty and a mail server on real sockets, for tests and for people; nothing of the product in them."""
