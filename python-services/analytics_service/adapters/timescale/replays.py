"""Replays of dead letters inside a flush: each letter turns from pending to replayed at most once."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from analytics_service.adapters.timescale.dead_letters import clean_detail
from analytics_service.ingest.work import DeadLetter


class ReplaysSettled(Exception):
    """Some replays are of letters that were settled before: leave these `places` (partition, offset) out, try again."""

    def __init__(self, places: set[tuple[int, int]]) -> None:
        super().__init__(f"{len(places)} replay(s) of dead letters that were settled before")
        self.places = places


def lock_pending(cur: cursor, replays: Sequence[tuple[int, int, int]]) -> None:
    """Lock the letters of `replays`, given as (id, partition, offset).

    Raises ReplaysSettled when one of them is not pending, not there, or named twice (the first one counts).
    """
    cur.execute(
        """
        SELECT id FROM analytics_dead_letters
        WHERE id = ANY(%s) AND status = 'pending' ORDER BY id FOR UPDATE
        """,
        ([letter_id for letter_id, _, _ in replays],),
    )
    pending = {int(row[0]) for row in cur.fetchall()}
    settled: set[tuple[int, int]] = set()
    for letter_id, partition, offset in replays:
        if letter_id not in pending:
            settled.add((partition, offset))
        pending.discard(letter_id)
    if settled:
        raise ReplaysSettled(settled)


def mark_replayed(cur: cursor, ids: Sequence[int]) -> None:
    """The letters are stored after all."""
    if ids:
        cur.execute(
            "UPDATE analytics_dead_letters SET status = 'replayed' WHERE id = ANY(%s)", (list(ids),)
        )


def mark_failed_again(cur: cursor, letters: Sequence[DeadLetter]) -> None:
    """Replays that failed: each raises the count of its letter, which stays pending with the newest reason."""
    if not letters:
        return
    execute_values(
        cur,
        """
        UPDATE analytics_dead_letters AS held
        SET retry_count = held.retry_count + 1, reason = again.reason, detail = again.detail
        FROM (VALUES %s) AS again (id, reason, detail)
        WHERE held.id = again.id
        """,
        [(d.replay_of, d.reason, clean_detail(d.detail)) for d in letters],
    )
