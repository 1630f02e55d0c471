"""A worker that keeps the rows it wrote last, as far as it flushes; what it was told, and what the tables say."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.kept_rows import KeptRows
from analytics_service.adapters.timescale.window_rows import ConcurrentInsert
from analytics_service.adapters.timescale.window_store import merge_cells, merge_windows
from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import WINDOWS, Window
from tests.databases import Database
from tests.reference.sketches import distinct

START_S = int(datetime(2026, 11, 20, 10, tzinfo=UTC).timestamp())
THRESHOLD = 0.8
SERVICES = ("a", "b")
NEVER = 10**9  # so many calm flushes that kept rows are never trusted
# What an event says, with when it was: service, second, latency in whole ms, user.
Told = tuple[str, int, int, str]
Merges = Sequence[tuple[Window, dict[Cell, Delta]]]
Merge = Callable[[Cursor, Merges, KeptRows], int]


def at_once(cursor: Cursor, merges: Merges, kept: KeptRows) -> int:
    """As a flush does, whose windows are not taken back one by one."""
    return sum(merge_cells(cursor, window, cells, kept) for window, cells in merges)


def ahead(cursor: Cursor, merges: Merges, kept: KeptRows) -> int:
    """As a flush of many rows does."""
    return merge_windows(cursor, merges, kept, many_rows=0)


def address_of(user: str) -> str:
    """Half as many addresses as users, and one that some have together."""
    if user.startswith("shared-"):
        return "10.9.9.9"
    number = int(user.rpartition("-")[2]) if "-" in user else ord(user)
    return f"10.0.{number // 512}.{number // 2 % 256}"


class Worker:
    """One that flushes, with rows of its own kept."""

    def __init__(
        self,
        connection: Connection,
        size_bytes: int = 10**6,
        calm: int = NEVER,
        merge: Merge = at_once,
    ) -> None:
        self.connection = connection
        self._merge = merge
        self.kept = KeptRows(size_bytes, calm=calm)
        self.refused = 0

    def flush(self, told: list[Told], *, commit: bool = True) -> None:
        """Merge events into the windows, and commit or roll back."""
        events = [
            Event(
                (START_S + s) * 1_000_000,
                service,
                "info",
                float(ms),
                user_id=user,
                source_ip=address_of(user),
            )
            for service, s, ms, user in told
        ]
        minutes = fold_events(events, THRESHOLD)
        try:
            with self.connection.cursor() as cursor:
                merges = [(window, roll_up(minutes, window)) for window in WINDOWS]
                self._merge(cursor, merges, self.kept)
        except ConcurrentInsert:
            self.kept.rolled_back()
            self.connection.rollback()
            self.refused += 1
            self.flush(told, commit=commit)
            return
        if commit:
            self.connection.commit()
            self.kept.committed()
        else:
            self.kept.rolled_back()
            self.connection.rollback()


def some_events(dice: random.Random, users: int = 9) -> list[Told]:
    """Up to a dozen within two hours."""
    return [
        (
            dice.choice(SERVICES),
            dice.choice([0, 30, 90, 3_599, 3_600, 7_000]),
            dice.randrange(1, 500),
            f"user-{dice.randrange(users)}",
        )
        for _ in range(dice.randrange(1, 12))
    ]


def expected(told: list[Told], gone: dict[tuple[str, Cell], int]) -> dict[object, object]:
    """Figures of every window by brute force; of the events before a row was deleted it knows nothing."""
    found: dict[object, list[Told]] = defaultdict(list)
    for place, event in enumerate(told):
        for window in WINDOWS:
            start = (START_S + event[1]) // window.seconds * window.seconds
            if place >= gone.get((window.name, (event[0], start)), 0):
                found[window.name, event[0], start].append(event)
    return {
        key: (
            len(events),
            float(sum(event[2] for event in events)),
            float(min(event[2] for event in events)),
            float(max(event[2] for event in events)),
            len({event[3] for event in events}),
        )
        for key, events in found.items()
    }


def stored(database: Database) -> dict[object, object]:
    """The same figures as they are in the tables."""
    rows: dict[object, object] = {}
    for window in WINDOWS:
        for service, start, *figures, users, more_users, ips, more_ips in database.rows(
            f"""
            SELECT service, extract(epoch FROM timestamp)::bigint, total_requests, latency_sum_ms, latency_min_ms,
                latency_max_ms, unique_users, unique_ips, (SELECT sum(n) FROM unnest(latency_bucket_counts) AS n),
                users_sketch, users_recent, ips_sketch, ips_recent
            FROM {window.table}
            """  # noqa: S608
        ):
            assert figures.pop() == figures[0], "the histogram counts every event"
            counted = [distinct(users, more_users), distinct(ips, more_ips)]
            assert counted == figures[-2:], "the sketches count every one"
            figures.pop()
            rows[window.name, service, start] = tuple(figures)
    return rows


def delete_noting(
    database: Database,
    window: Window,
    gone: dict[tuple[str, Cell], int],
    told: list[Told],
    service: str,
) -> int:
    """Delete a service's rows of a window, as a rebuild does where there are no events any more; how many."""
    starts = database.rows(
        f"DELETE FROM {window.table} WHERE service = %s"  # noqa: S608
        " RETURNING extract(epoch FROM timestamp)::bigint",
        service,
    )
    gone.update({(window.name, (service, start)): len(told) for (start,) in starts})
    return len(starts)
