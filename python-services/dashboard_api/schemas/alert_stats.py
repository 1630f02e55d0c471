"""Figures of alerts and of what was told of them, as they are answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from dashboard_api.schemas.base import Answer
from dashboard_api.schemas.texts import Channel


class SeverityFigures(Answer, kw_only=True):
    """Alerts of one severity, or of `all`; means in seconds from firing, null: there is none to take it of."""

    severity: str
    open_alerts: int
    pending: int
    active: int
    acknowledged: int
    resolved: int
    opened_24h: int
    resolved_24h: int
    mean_seconds_to_acknowledge: float | None
    mean_seconds_to_resolve: float | None


class DeliveryFigures(Answer, kw_only=True):
    """Deliveries that became due or were finished within 24 hours, by how they went."""

    pending: int = 0
    sent: int = 0
    failed: int = 0
    withheld: int = 0
    replaced: int = 0


class ChannelFigures(Answer, kw_only=True):
    """A channel as the notifier that runs has it."""

    channel: Channel
    state: Annotated[
        str,
        Meta(
            description="unknown: no notifier has run yet.",
            extra_json_schema={"enum": ["on", "off", "unknown"]},
        ),
    ]
    on_since: datetime | None
    paused_until: Annotated[
        datetime | None, Meta(description="The other side asked not to be spoken to before.")
    ]
    breaker_open_since: Annotated[
        datetime | None,
        Meta(
            description="Attempts failed in a row: but for a try now and then it is left alone; null: it is not."
        ),
    ]
    last_error: Annotated[
        str | None, Meta(description="Of the last attempt; null: it went well, or there was none.")
    ]
    deliveries_24h: DeliveryFigures


class AlertStats(Answer, kw_only=True):
    """critical, warning, info and all; and each channel."""

    severities: list[SeverityFigures]
    channels: list[ChannelFigures]
    timestamp: datetime
