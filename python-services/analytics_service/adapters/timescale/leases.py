"""Leases: what only one process may do at a time, fenced so that a frozen holder that wakes cannot go on.

Not an advisory lock: a frozen holder would keep it for ever, one cut off is not fenced, and any reader could take it.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import connection, cursor


class LeaseLost(Exception):
    """Somebody else holds the lease by now: roll back, and do nothing more in its name."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as this process was given it."""

    name: str
    holder: str
    epoch: int


def take(conn: connection, name: str, holder: str, seconds: float) -> Lease | None:
    """Take the lease, or renew it, for so long by the database's clock; None while another holds it. Commits."""
    with conn, conn.cursor() as cur:
        cur.execute(
            """
            INSERT INTO leases AS held (name, holder, epoch, expires_at)
            VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
            ON CONFLICT (name) DO UPDATE SET
                holder = excluded.holder,
                epoch = held.epoch + CASE WHEN held.holder = excluded.holder AND held.expires_at > clock_timestamp()
                    THEN 0 ELSE 1 END,
                expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
            WHERE held.holder = excluded.holder OR held.expires_at <= clock_timestamp()
            RETURNING epoch
            """,
            {"name": name, "holder": holder, "seconds": seconds},
        )
        row = cur.fetchone()
    return None if row is None else Lease(name, holder, int(row[0]))


def fence(cur: cursor, lease: Lease) -> None:
    """Lock the lease for the rest of this transaction, in which its holder may act; raises LeaseLost if it is gone."""
    cur.execute(
        """
        SELECT 1 FROM leases
        WHERE name = %s AND holder = %s AND epoch = %s AND expires_at > clock_timestamp()
        FOR UPDATE
        """,
        (lease.name, lease.holder, lease.epoch),
    )
    if cur.fetchone() is None:
        raise LeaseLost(f"{lease.name}: not ours any more (epoch {lease.epoch})")


def release(conn: connection, lease: Lease) -> None:
    """Let somebody else have it at once. Commits."""
    with conn, conn.cursor() as cur:
        cur.execute(
            "UPDATE leases SET expires_at = '-infinity' WHERE name = %s AND holder = %s AND epoch = %s",
            (lease.name, lease.holder, lease.epoch),
        )
