"""The stored offsets over time, and from them how long it took until every partition moved again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg2

from tests.databases import Database

POLL_S = 0.1
QUERY = "SELECT kafka_partition, next_offset FROM kafka_offsets"


@dataclass
class Recovery:
    """From `since` (monotonic) until every partition had stored something sent after it.

    `wanted` are the offsets that have to be passed; `seconds` stays None until they are.
    """

    what: str
    since: float
    wanted: Mapping[int, int]
    seconds: float | None = None


class Progress:
    """Looks at the stored offsets ten times a second, whatever becomes of the database."""

    def __init__(self, database: Database) -> None:
        self.recoveries: list[Recovery] = []
        self.offsets: dict[int, int] = {}
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress")

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def watch(self, what: str, since: float, ends: Mapping[int, int]) -> None:
        """Measure how long it takes until each partition has stored more than `ends`, its end at `since`."""
        self.recoveries.append(Recovery(what, since, dict(ends)))

    @property
    def settled(self) -> int:
        """Messages behind the stored offsets when last looked at."""
        return sum(self.offsets.values())

    def _run(self) -> None:
        while not self._stopping.wait(POLL_S):
            with contextlib.suppress(psycopg2.Error):  # away: one of the faults
                connection = self._database.connect(connect_timeout=2)
                with contextlib.closing(connection), connection.cursor() as cursor:
                    while not self._stopping.wait(POLL_S):
                        cursor.execute(QUERY)
                        self._look(dict(cursor.fetchall()))

    def _look(self, offsets: dict[int, int]) -> None:
        now = time.monotonic()
        self.offsets = offsets
        for recovery in self.recoveries:
            if recovery.seconds is None and all(
                offsets.get(partition, 0) > end for partition, end in recovery.wanted.items()
            ):
                recovery.seconds = now - recovery.since
