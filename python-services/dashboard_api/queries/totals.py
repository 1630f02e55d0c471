"""How much has been consumed in all."""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

_NAMES = (
    "events_stored",
    "events_dead_lettered",
    "events_lost_to_retention",
    "dead_letters_pending",
)
_TOTALS = """
    SELECT
        coalesce(sum(events_stored), 0)::bigint,
        coalesce(sum(events_dead_lettered), 0)::bigint,
        coalesce(sum(events_lost), 0)::bigint,
        (SELECT count(*) FROM analytics_dead_letters WHERE status = 'pending')
    FROM kafka_offsets
"""


def totals(cursor: Cursor) -> dict[str, int]:
    """Totals over all topics since the database was made."""
    cursor.execute(_TOTALS)
    row = cursor.fetchone()
    assert row is not None
    return dict(zip(_NAMES, row, strict=True))
