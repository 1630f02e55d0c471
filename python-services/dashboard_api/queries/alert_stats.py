"""Figures of alerts by severity, and of each channel."""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.rules import CHANNELS
from dashboard_api.schemas.alert_stats import ChannelFigures, DeliveryFigures, SeverityFigures

_FIGURES = tuple(SeverityFigures.__struct_fields__)
_DELIVERIES = """
    SELECT channel, status, count(*) FROM alert_deliveries
    WHERE coalesce(finished_at, created_at) >= now() - interval '24 hours'
    GROUP BY channel, status
"""


def severity_figures(cursor: Cursor) -> list[SeverityFigures]:
    """Four rows: critical, warning, info and all."""
    cursor.execute(
        f"SELECT {', '.join(_FIGURES)} FROM analytics_get_alert_stats()"  # noqa: S608  # fixed names
    )
    return [SeverityFigures(**dict(zip(_FIGURES, row, strict=True))) for row in cursor.fetchall()]


def channel_figures(cursor: Cursor) -> list[ChannelFigures]:
    """Every channel, whether anybody has heard of it or not."""
    cursor.execute(_DELIVERIES)
    counts: dict[str, dict[str, int]] = {channel: {} for channel in CHANNELS}
    for channel, status, count in cursor.fetchall():
        counts[channel][status] = count
    cursor.execute(
        "SELECT channel, on_since, paused_until, breaker_open_since, last_error FROM alert_channels"
    )
    known = {channel: row for channel, *row in cursor.fetchall()}
    figures = []
    for channel in CHANNELS:
        on_since, paused_until, open_since, error = known.get(channel, [None] * 4)
        state = "unknown" if channel not in known else "off" if on_since is None else "on"
        figures.append(
            ChannelFigures(
                channel=channel,
                state=state,
                on_since=on_since,
                paused_until=paused_until,
                breaker_open_since=open_since,
                last_error=error,
                deliveries_24h=DeliveryFigures(**counts[channel]),
            )
        )
    return figures
