"""Which batches of the session have failed for their own sake, as the database has it."""

from __future__ import annotations

from collections.abc import Callable

from psycopg2.extensions import connection

from analytics_service.adapters.timescale.failing import (
    count_failure,
    failures_of,
    forget_failures,
)
from analytics_service.ingest.session import Session
from analytics_service.ingest.work import Work

Connect = Callable[[], connection]


class Attempts:
    """Read once a session, so that nothing is asked while nothing fails. Used by one thread at a time."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._known: dict[tuple[int, int], int] = {}

    def may_know(self, work: Work) -> bool:
        """Whether it is worth asking `known`, which may ask the database."""
        return self._session is not work.session or bool(self._known)

    def known(self, connect: Connect, work: Work) -> int:
        """How often the batch that begins where `work` does has failed: the most of its partitions."""
        session = work.session
        if self._session is not session:
            found = failures_of(connect(), session.topic, session.incarnation, session.committed)
            self._known = {
                (partition, session.committed[partition]): n for partition, n in found.items()
            }
            self._session = session
        if not self._known:
            return 0
        return max(self._known.get(start, 0) for start in _starts(work).items())

    def count(self, connect: Connect, work: Work, why: str) -> int:
        """One more failure; returns how many there were in all."""
        starts = _starts(work)
        session = work.session
        failures = count_failure(connect(), session.topic, session.incarnation, starts, why)
        self._known.update(dict.fromkeys(starts.items(), failures))
        return failures

    def forget(self, conn: connection, work: Work) -> None:
        """Within the flush's transaction: what begins before its end has not failed after all."""
        if self._passed(work):
            with conn.cursor() as cur:
                session = work.session
                forget_failures(cur, session.topic, session.incarnation, work.next_offsets())

    def forgotten(self, work: Work) -> None:
        """The flush is committed."""
        for start in self._passed(work):
            del self._known[start]

    def _passed(self, work: Work) -> list[tuple[int, int]]:
        if not self._known:
            return []
        ends = work.next_offsets()
        return [(p, first) for p, first in self._known if first < ends.get(p, 0)]


def _starts(work: Work) -> dict[int, int]:
    """Where `work` begins, by partition: the stored offset, for its first message may lie behind a hole."""
    return {part.partition: work.session.committed[part.partition] for part in work.parts}
