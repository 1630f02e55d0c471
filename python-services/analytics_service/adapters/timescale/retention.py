"""From when on each tier is whole, as whoever writes windows must see it."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2.extensions import cursor

HOT = "hot"
COLD = "cold"


def lock_kept_since(cur: cursor) -> dict[str, int]:
    """`kept_since`, and archiving excluded until the transaction ends, as flushes exclude it."""
    cur.execute("LOCK TABLE retention_tiers IN ROW SHARE MODE")
    return kept_since(cur)


def kept_since(cur: cursor) -> dict[str, int]:
    """`archived_before` in epoch seconds, rounded up, of each tier of which anything is archived."""
    cur.execute(
        """
        SELECT tier, ceil(extract(epoch FROM archived_before))::bigint
        FROM retention_tiers WHERE isfinite(archived_before)
        """
    )
    return {tier: int(since) for tier, since in cur.fetchall()}


def latest(limits: dict[str, int], tiers: Iterable[str]) -> int | None:
    """The moment from which on all of `tiers` are whole; None when nothing of them is archived."""
    return max((limits[tier] for tier in tiers if tier in limits), default=None)
