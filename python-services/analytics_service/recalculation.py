"""Doing the jobs of the recalculation queue: claim one, go on where it stands, batch after batch, to its end."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

import psycopg2
from psycopg2.extensions import connection, cursor

from analytics_service.adapters.timescale import recalculation_queue as queue
from analytics_service.adapters.timescale.connecting import ConnectionParameters
from analytics_service.adapters.timescale.daily import build_step
from analytics_service.adapters.timescale.errors import is_poison
from analytics_service.adapters.timescale.recalculated_alerts import (
    read_past,
    record,
    watched_services,
)
from analytics_service.adapters.timescale.recalculation import (
    Batch,
    next_window,
    prepare_recalculation,
    rebuild,
    services_of,
)
from analytics_service.adapters.timescale.recalculation_queue import Advance, ClaimLost, Job
from analytics_service.adapters.timescale.window_rows import ConcurrentInsert
from analytics_service.domain.recalculation import (
    HOUR_S,
    Plan,
    RangeRefused,
    Span,
    Step,
    plan_recalculation,
)
from analytics_service.domain.rule_trial import episodes_within
from analytics_service.domain.windows import Window

logger = logging.getLogger(__name__)

ATTEMPTS = 10
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0

T = TypeVar("T")


class Outcome(StrEnum):
    """How the work on a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TAKEN_OVER = "taken over"
    STOPPED = "stopped"


class _Stopped(Exception):
    """Asked to stop, between two batches."""


def _nobody_looks(_job: Job, _done: int, _total: int | None) -> None:
    """Progress is told to nobody."""


class Runner:
    """Does jobs one after another on a connection of its own.

    `windows` are those that are kept, finest first; how far they are complete is known of the events of `topic`.
    `is_stopping` is asked between batches; `on_progress` is told the
    windows done and, when it is known, how many there are.
    """

    def __init__(
        self,
        params: ConnectionParameters,
        windows: Sequence[Window],
        high_risk_threshold: float,
        topic: str,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_progress: Callable[[Job, int, int | None], None] = _nobody_looks,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._params = params
        self._windows = windows
        self._threshold = high_risk_threshold
        self._topic = topic
        self._is_stopping = is_stopping
        self._on_progress = on_progress
        self._sleep = sleep
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._conn: connection | None = None

    def run_next(self, job_id: int | None = None) -> tuple[Job, Outcome] | None:
        """Do the oldest job that nobody works on (or `job_id`); None when there is none.

        Trouble of the database is tried again; what persists, or is the job's own fault, makes the job FAILED. Raises
        psycopg2 errors when not even that can be written down: the job is then gone on with by a later run.
        """
        job = self._persistently(
            lambda conn: queue.claim(conn, self._holder, job_id), stoppable=False
        )
        return None if job is None else (job, self._finish(job))

    def is_open(self, job_id: int | None = None) -> bool:
        """Whether any job (or `job_id`) waits or is worked on."""
        return self._persistently(lambda conn: queue.is_open(conn, job_id), stoppable=False)

    def close(self) -> None:
        """Let go of the database."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _finish(self, job: Job) -> Outcome:
        try:
            self._do(job)
            self._persistently(lambda conn: queue.finish(conn, job, self._holder), stoppable=False)
            return Outcome.COMPLETED
        except _Stopped:
            self._release(job)
            return Outcome.STOPPED
        except ClaimLost as error:
            logger.warning("%s", error)
            return Outcome.TAKEN_OVER
        except (RangeRefused, ConcurrentInsert, psycopg2.Error) as error:
            self._fail(job, error)
            return Outcome.FAILED
        except Exception as error:
            self._fail(job, error)
            raise

    def _do(self, job: Job) -> None:
        if job.job_type == queue.REFRESH_VIEWS:
            self._refresh(job)
            return
        assert job.from_s is not None, "the table has it so"
        assert job.to_s is not None
        if job.job_type == queue.RECALC_ALERTS:
            self._find_alerts(job, (job.from_s, job.to_s))
        else:
            self._rebuild(job, plan_recalculation(job.from_s, job.to_s, self._windows))

    def _fail(self, job: Job, error: Exception) -> None:
        why = self._params.why(error)
        logger.error("job %d failed: %s", job.id, why)
        try:
            self._persistently(
                lambda conn: queue.finish(conn, job, self._holder, error=why), stoppable=False
            )
        except ClaimLost as lost:
            logger.warning("%s", lost)

    def _release(self, job: Job) -> None:
        try:
            queue.release(self._connection(), job, self._holder)
        except psycopg2.Error as error:
            logger.warning(
                "job %d stays claimed for up to %d s: %s",
                job.id,
                queue.CLAIM_S,
                self._params.why(error),
            )

    def _rebuild(self, job: Job, plan: Plan) -> None:
        for step, position_s in plan.from_position(job.step, job.position_s):
            while position_s < plan.end_s:
                position_s = self._one_window(job, plan, step, position_s)

    def _one_window(self, job: Job, plan: Plan, step: Step, position_s: int) -> int:
        """Rebuild the next window that there is; returns where the one after it may begin."""
        # An hour at a time: looking for a rare service among many events must not take longer than a claim lasts.
        hour_end_s = position_s - position_s % HOUR_S + HOUR_S
        start_s = self._persistently(
            lambda conn: next_window(conn, step, position_s, hour_end_s, job.service)
        )
        reached_s = hour_end_s if start_s is None else start_s + step.window.seconds
        groups: list[list[str]] = []
        if start_s is not None:
            window_s = start_s
            groups = self._persistently(lambda conn: services_of(conn, step, window_s, job.service))
            is_coarsest = step is plan.steps[-1]
            for services in groups:
                batch = Batch(step, window_s, services, is_coarsest)
                after_s = reached_s if services is groups[-1] else window_s
                self._one_batch(job, batch, self._advance(plan, step, after_s))
        if not groups:
            self._note(job, self._advance(plan, step, reached_s))
        return reached_s

    def _one_batch(self, job: Job, batch: Batch, advance: Advance) -> None:
        def note(cur: cursor, rows: int) -> None:
            queue.renew(cur, job, self._holder, replace(advance, rows=rows))

        self._check_stopping()
        self._persistently(lambda conn: rebuild(conn, batch, self._threshold, note))
        self._on_progress(job, advance.done, advance.total)

    def _note(self, job: Job, advance: Advance) -> None:
        def write(conn: connection) -> None:
            with conn.cursor() as cur:
                queue.renew(cur, job, self._holder, advance)
            conn.commit()

        self._check_stopping()
        self._persistently(write)
        self._on_progress(job, advance.done, advance.total)

    @staticmethod
    def _advance(plan: Plan, step: Step, position_s: int) -> Advance:
        done = plan.batches_before(step, position_s)
        return Advance(step.window.name, position_s, done, plan.batches, rows=0)

    def _find_alerts(self, job: Job, span: Span) -> None:
        """Put down the alerts of the past that nobody has seen, a service after the other."""
        services = self._persistently(
            lambda conn: watched_services(conn, span, self._windows, self._topic, job.service)
        )
        for done, service in enumerate(services, start=1):
            if job.step is None or service > job.step:
                self._check_stopping()
                self._one_service(job, span, Advance(service, None, done, len(services), rows=0))

    def _one_service(self, job: Job, span: Span, advance: Advance) -> None:
        def note(cur: cursor, rows: int) -> None:
            queue.renew(cur, job, self._holder, replace(advance, rows=rows))

        past = self._persistently(
            lambda conn: read_past(conn, advance.step, span, self._windows, self._topic)
        )
        # Between two transactions: it may take longer than one may stand still.
        found = [
            episode
            for rule in past.rules
            for episode in episodes_within(rule, past.service, past.recorded, *past.span)
        ]
        comment = f"found by recalculation job {job.id}"
        self._persistently(lambda conn: record(conn, past, self._windows, found, comment, note))
        self._on_progress(job, advance.done, advance.total)

    def _refresh(self, job: Job) -> None:
        done = 0
        coarsest = self._windows[-1]
        while (merged := self._persistently(lambda conn: build_step(conn, coarsest))) is not None:
            done += 1
            self._note(job, Advance("1day", None, done, None, merged))

    def _check_stopping(self) -> None:
        if self._is_stopping():
            raise _Stopped

    def _persistently(self, attempt: Callable[[connection], T], *, stoppable: bool = True) -> T:
        """`attempt`, tried again while it is the database's trouble, a bounded number of times.

        Whoever asks to stop meanwhile need not wait for that, if `stoppable`.
        """
        backoff_s = FIRST_BACKOFF_S
        for left in reversed(range(ATTEMPTS)):
            try:
                return attempt(self._connection())
            except (psycopg2.Error, ConcurrentInsert) as error:
                if isinstance(error, psycopg2.Error):
                    self._recover(error)
                if stoppable:
                    self._check_stopping()
                if not left:
                    raise
                logger.info("trying again in %.1f s: %s", backoff_s, self._params.why(error))
            self._sleep(backoff_s)
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
        raise AssertionError("the last attempt returns or raises")

    def _recover(self, error: psycopg2.Error) -> None:
        """Make the connection fit for another attempt; raises the error again when that would be of no use."""
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            self.close()
        elif self._conn is not None:
            self._conn.rollback()
        if is_poison(error):
            raise error

    def _connection(self) -> connection:
        if self._conn is None or self._conn.closed:
            self._conn = self._params.connect()
            prepare_recalculation(self._conn)
        return self._conn
