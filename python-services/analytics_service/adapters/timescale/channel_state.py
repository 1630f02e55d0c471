"""Each notification channel as it stands: on or off, paused, and when it last told a digest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from psycopg2.extensions import cursor

from analytics_service.domain.rules import CHANNELS


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A row of alert_channels; epoch seconds, None as there."""

    on_since_s: float | None
    paused_until_s: float | None
    digest_s: float | None


OFF = ChannelState(None, None, None)


def switch(cur: cursor, channels_on: Collection[str]) -> None:
    """Note which channels are on from now and which are off; one that was on stays so since then. Does not commit.

    Who calls this begins with closed circuit breakers.
    """
    for channel in CHANNELS:
        cur.execute(
            """
            INSERT INTO alert_channels AS held (channel, on_since)
            VALUES (%(channel)s, CASE WHEN %(is_on)s THEN clock_timestamp() END)
            ON CONFLICT (channel) DO UPDATE SET
                breaker_open_since = NULL, last_error = NULL,
                on_since = CASE WHEN %(is_on)s THEN coalesce(held.on_since, clock_timestamp()) END
            """,
            {"channel": channel, "is_on": channel in channels_on},
        )


def read_channel(cur: cursor, channel: str) -> ChannelState:
    """The channel's row; `OFF` when there is none."""
    cur.execute(
        """
        SELECT
            extract(epoch FROM on_since)::double precision, extract(epoch FROM paused_until)::double precision,
            extract(epoch FROM digest_at)::double precision
        FROM alert_channels WHERE channel = %s
        """,
        (channel,),
    )
    row = cur.fetchone()
    return OFF if row is None else ChannelState(*row)


def pause(cur: cursor, channel: str, seconds: float) -> None:
    """Nothing is to be sent to the channel for so long from now. Does not commit."""
    cur.execute(
        """
        UPDATE alert_channels SET paused_until = greatest(
            paused_until, clock_timestamp() + make_interval(secs => %s)
        ) WHERE channel = %s
        """,
        (seconds, channel),
    )


def note_breaker(cur: cursor, channel: str, is_open: bool, error: str | None) -> None:
    """Whether the channel's circuit breaker is open after an attempt, and what went wrong in it. Does not commit."""
    cur.execute(
        """
        UPDATE alert_channels SET
            breaker_open_since = CASE WHEN %(is_open)s THEN coalesce(breaker_open_since, clock_timestamp()) END,
            last_error = %(error)s
        WHERE channel = %(channel)s
            AND (%(is_open)s, %(error)s::text) IS DISTINCT FROM (breaker_open_since IS NOT NULL, last_error)
        """,
        {"channel": channel, "is_open": is_open, "error": error},
    )


def note_digest(cur: cursor, channel: str) -> None:
    """A digest was sent just now. Does not commit."""
    cur.execute(
        "UPDATE alert_channels SET digest_at = clock_timestamp() WHERE channel = %s", (channel,)
    )
