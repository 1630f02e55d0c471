"""Commits work to the database and decides what a failure means: wait, give up the session, or find the culprit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg2
from psycopg2.errorcodes import (
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
)
from psycopg2.extensions import connection

from analytics_service import metrics
from analytics_service.adapters.timescale.connecting import ConnectionParameters
from analytics_service.adapters.timescale.errors import is_poison
from analytics_service.adapters.timescale.flush import FlushResult, flush, prepare_connection
from analytics_service.adapters.timescale.frozen import end_frozen_flushes
from analytics_service.adapters.timescale.kept_rows import KeptRows
from analytics_service.adapters.timescale.offsets import OwnershipLost
from analytics_service.adapters.timescale.prepared import Prepared, prepare
from analytics_service.adapters.timescale.replays import ReplaysSettled
from analytics_service.adapters.timescale.window_rows import ConcurrentInsert
from analytics_service.domain.windows import Window
from analytics_service.heap import give_back
from analytics_service.ingest.attempts import Attempts
from analytics_service.ingest.dependencies import Dependency
from analytics_service.ingest.work import Work, as_dead_letters

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
POISON_ATTEMPTS = 3

T = TypeVar("T")


class Flusher:
    """The sink of the pipeline: a thread that prepares, and one that talks to the database.

    `is_retrying`: the database refused the last flush, which is tried again.
    """

    def __init__(
        self,
        parameters: ConnectionParameters,
        windows: Sequence[Window],
        high_risk_threshold: float,
        database: Dependency,
        on_progress: Callable[[], None],
    ) -> None:
        self._parameters = parameters
        self._windows = windows
        self._threshold = high_risk_threshold
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._conn: connection | None = None
        self._database = database
        self._on_progress = on_progress
        self._attempts = Attempts()
        self._kept = KeptRows()
        self.is_retrying = False

    async def prepare(self, work: Work) -> None:
        """Make ready what `commit` will send, while an earlier commit may be under way."""
        try:
            work.prepared = await asyncio.get_running_loop().run_in_executor(
                self._preparing, self._prepare, work
            )
            work.forget_events()
        except Exception as error:  # noqa: BLE001  # pylint: disable=broad-exception-caught  # commit meets it again
            logger.info("not prepared ahead: %s", self._parameters.why(error))

    async def commit(self, work: Work, is_current: Callable[[], bool]) -> bool:
        """Commit `work`; False when the session is over (ownership lost, or no longer current while waiting).

        A database that is down is waited for without limit. Work that fails for its own sake is tried a few times,
        counted in the database, then split until the culprit is found, which becomes a dead letter.
        """
        return await self._store(work, is_current, POISON_ATTEMPTS, go_on=True)

    async def _store(
        self, work: Work, is_current: Callable[[], bool], tries: int, *, go_on: bool = False
    ) -> bool:
        """As `commit`, splitting after `tries` failures; `go_on`: those before a restart count, too."""
        backoff = FIRST_BACKOFF_S
        failures = 0
        while True:
            try:
                if go_on and work.messages > 1 and self._attempts.may_know(work):
                    failures = max(failures, await self._in_executor(self._failures_so_far, work))
                    if failures >= tries:
                        return await self._split(work, is_current, "it had failed before a restart")
                await self._attempt(work)
                self._answered()
                self._on_progress()
                return True
            except OwnershipLost as error:
                metrics.FLUSH_FAILURES.labels("ownership").inc()
                self._answered()
                logger.warning("flush rolled back, offsets were moved by another worker: %s", error)
                return False
            except ReplaysSettled as error:
                logger.info("left out: %s", error)
                metrics.REPLAYS.labels("ignored").inc(len(error.places))
                await self._in_executor(work.leave_out, error.places)
                continue
            except ConcurrentInsert as error:
                logger.debug("flush tried again: %s", error)
                backoff = FIRST_BACKOFF_S
            except Exception as error:  # noqa: BLE001  # pylint: disable=broad-exception-caught  # fault is decided here
                why = self._parameters.why(error)
                if is_poison(error):
                    failures = max(failures + 1, await self._count_failure(work, why))
                    logger.warning(
                        "flush of %d messages failed (%d): %s", work.messages, failures, why
                    )
                    # Dead letters alone cannot be split any further: whatever refuses them has to be mended.
                    if failures >= tries and work.events:
                        return await self._split(work, is_current, why)
                else:
                    await self._note_trouble(error, why, backoff)
                    if _took_too_long(error) and work.messages > 1 and is_current():
                        return await self._in_halves(work, is_current, tries)
            if not is_current():
                self.is_retrying = False
                return False
            await asyncio.sleep(max(backoff, self._database.wait_s()))
            self._database.allows()
            backoff = min(2 * backoff, LONGEST_BACKOFF_S)

    def _answered(self) -> None:
        """The database did what it was asked to, or said why it cannot be done."""
        self.is_retrying = False
        self._database.succeeded()

    def close(self) -> None:
        """End threads and connection."""
        self._preparing.shutdown(wait=True)
        self._executor.shutdown(wait=True)
        self._discard()

    async def _attempt(self, work: Work) -> None:
        started = time.perf_counter()
        result = await self._in_executor(self._flush_once, work)
        metrics.FLUSH_SECONDS.observe(time.perf_counter() - started)
        _count(work, result)

    def _prepare(self, work: Work) -> Prepared:
        return prepare(work, self._windows, self._threshold)

    def _flush_once(self, work: Work) -> FlushResult:
        ready = work.prepared if isinstance(work.prepared, Prepared) else self._prepare(work)
        try:
            conn = self._connection()
            result = flush(conn, work, ready, self._windows, self._kept)
            self._attempts.forget(conn, work)
            conn.commit()
            self._kept.committed()
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self._kept.rolled_back()
            self._discard()
            raise
        except BaseException:
            self._kept.rolled_back()
            self._rollback()
            raise
        self._attempts.forgotten(work)
        give_back()
        return result

    def _failures_so_far(self, work: Work) -> int:
        return self._attempts.known(self._connection, work)

    async def _count_failure(self, work: Work, why: str) -> int:
        """Count one more failure in the database; 0 when that is not to be had."""
        metrics.FLUSH_FAILURES.labels("batch").inc()
        try:
            return await self._in_executor(self._attempts.count, self._connection, work, why)
        except psycopg2.Error as error:
            logger.warning("the failure could not be counted: %s", self._parameters.why(error))
            await self._in_executor(self._rollback)
            return 0

    async def _note_trouble(self, error: Exception, why: str, backoff: float) -> None:
        metrics.FLUSH_FAILURES.labels("database").inc()
        self.is_retrying = True
        logger.warning("database trouble, trying again in %.1f s: %s", backoff, why)
        self._database.failed(why)
        if getattr(error, "pgcode", None) == LOCK_NOT_AVAILABLE:
            await self._end_frozen()

    async def _in_executor(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, function, *arguments
        )

    def _connection(self) -> connection:
        if self._conn is None or self._conn.closed:
            conn = self._parameters.connect()
            try:
                prepare_connection(conn)
            except BaseException:
                # Half prepared it would fail for ever: such as one to a database that is about to be restored.
                conn.close()
                raise
            self._conn = conn
        return self._conn

    def _rollback(self) -> None:
        try:
            if self._conn is not None:
                self._conn.rollback()
        except psycopg2.Error as error:
            logger.info(
                "rollback failed, the connection is replaced: %s", self._parameters.why(error)
            )
            self._discard()

    def _discard(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    async def _end_frozen(self) -> None:
        """Somebody holds a lock for long: it may be a worker that froze in the middle of its flush."""
        try:
            ended = await self._in_executor(end_frozen_flushes, self._parameters)
        except psycopg2.Error as error:
            logger.warning("could not look for frozen flushes: %s", self._parameters.why(error))
            return
        if ended:
            logger.warning("ended %d flush session(s) of workers that are frozen", ended)

    async def _split(self, work: Work, is_current: Callable[[], bool], why: str) -> bool:
        if work.messages <= 1:
            letters = [as_dead_letters(part, "processing_failed", why) for part in work.parts]
            return await self.commit(Work(work.session, letters), is_current)
        return await self._in_halves(work, is_current, 1)

    async def _in_halves(self, work: Work, is_current: Callable[[], bool], tries: int) -> bool:
        for half in work.halves():
            # A message on its own deserves several tries before it is called the culprit.
            allowed = tries if half.messages > 1 else POISON_ATTEMPTS
            if not await self._store(half, is_current, allowed):
                return False
            # The second half starts where the first one ended.
            half.session.committed.update(half.next_offsets())
        return True


def _took_too_long(error: Exception) -> bool:
    """Whether the database ended the flush for its duration: less at a time may pass."""
    return getattr(error, "pgcode", None) in (QUERY_CANCELED, IDLE_IN_TRANSACTION_SESSION_TIMEOUT)


def _count(work: Work, result: FlushResult) -> None:
    metrics.EVENTS_CONSUMED.inc(work.messages)
    metrics.EVENTS_STORED.inc(result.events)
    metrics.FLUSH_ROWS.observe(result.raw_rows)
    for part in work.parts:
        for letter in part.letters:
            metrics.EVENTS_DEAD_LETTERED.labels(letter.reason).inc()
    metrics.REPLAYS.labels("stored").inc(result.replays_stored)
    metrics.REPLAYS.labels("failed").inc(result.replays_failed)
    for tier, count in result.below_tier.items():
        metrics.EVENTS_BELOW_TIER.labels(tier).inc(count)
    oldest = min(part.produced_ms for part in work.parts)
    metrics.VISIBLE_LATENCY.observe(max(0.0, time.time() - oldest / 1000))
