"""Everything of a worker that is not Faust's: pool, pipeline, coordinator, relay, housekeeping."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import nan
from pathlib import Path
from typing import Any

import psycopg2
from faust.types import TP
from kafka.errors import KafkaError

from analytics_service import metrics
from analytics_service.adapters.kafka.dead_letter_topic import DeadLetterRelay
from analytics_service.adapters.kafka.requested_replays import RequestedReplays
from analytics_service.adapters.kafka.topic_watch import TopicWatch
from analytics_service.adapters.kafka.topics import TopicError
from analytics_service.adapters.timescale.backups_made import last_backup
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.daily import build_step
from analytics_service.adapters.timescale.dead_letters import pending_figures
from analytics_service.adapters.timescale.errors import PoolError
from analytics_service.adapters.timescale.offsets import publish_lag
from analytics_service.adapters.timescale.pool import Pool
from analytics_service.config import Settings
from analytics_service.domain.events import EventRules
from analytics_service.domain.windows import window_named
from analytics_service.health import Health
from analytics_service.ingest.buffer import Limits
from analytics_service.ingest.coordinator import TROUBLE, SessionCoordinator
from analytics_service.ingest.dependencies import PROBE_S, Dependency
from analytics_service.ingest.figures import Figures
from analytics_service.ingest.flusher import Flusher
from analytics_service.ingest.pipeline import Pipeline
from analytics_service.ingest.session import Session
from analytics_service.ingest.work import Work

logger = logging.getLogger(__name__)

DAY_US = 86_400_000_000
TOPIC_CHECK_S = 10.0
DATABASE_CHECK_S = 2.0
KAFKA_COMMIT_S = 5.0
DISK_CHECK_S = 10.0
RELAY_S = 1.0
DAYS_S = 60.0
# How long a flush waits for company; an operator's large KAFKA_BATCH_TIMEOUT_MS must not make a lone event wait.
LONGEST_LINGER_S = 0.2
# In a container its root directory lies where the engine keeps images and volumes.
ROOT_DIRECTORY = Path("/")


def event_rules(settings: Settings) -> EventRules:
    """The rules of an event as the settings want them."""
    return EventRules(
        default_tz=settings.default_tz,
        max_future_us=settings.max_future_skew_sec * 1_000_000,
        max_age_us=settings.max_event_age_days * DAY_US,
    )


class IngestService:
    """Owns the parts of a worker and the chores that come round every second."""

    def __init__(self, settings: Settings, pool: Pool, health: Health) -> None:
        self._settings = settings
        self._pool = pool
        self._health = health
        self._executor = ThreadPoolExecutor(settings.max_threads, thread_name_prefix="chores")
        self._database = Dependency("database")
        self._broker = Dependency("broker")
        self._flusher = Flusher(
            parameters(settings, application_name="stacklens-analytics flush"),
            [window_named(name) for name in settings.aggregation_windows],
            settings.high_risk_threshold,
            self._database,
            health.progress,
        )
        self._topic = TopicWatch(settings, settings.kafka_input_topic)
        self._relay = DeadLetterRelay(settings, pool)
        self._replays = RequestedReplays(settings, pool)
        self._relaying = ThreadPoolExecutor(1, thread_name_prefix="relay")
        self._consumer: Any = None
        self._to_commit: dict[int, int] = {}
        self._lags: dict[int, int] = {}
        # When the ends that they are measured by were heard of, in epoch seconds.
        self._heard_s: dict[int, float] = {}
        # Ends of the partitions as the admin client saw them: a consumer that stands still hears of no new ones.
        self._ends: dict[int, int] = {}
        self._ends_s = 0.0
        self._topic_check_s = TOPIC_CHECK_S
        self._figures = Figures(time.monotonic())
        self._began: dict[str, float] = {}
        self._running: set[str] = set()
        linger = min(LONGEST_LINGER_S, settings.kafka_batch_timeout_ms / 1000)
        self.pipeline = Pipeline(
            self._flusher,
            event_rules(settings),
            Limits(linger_s=linger),
            is_same_topic=self._is_same_topic,
            on_conflict=self._resync,
            on_committed=self._committed,
        )
        self.coordinator = SessionCoordinator(
            settings.kafka_input_topic, pool, self._executor, self._topic.topic_id, self.pipeline
        )

    async def tick(self, consumer: Any) -> None:
        """One second of housekeeping; slow chores run beside, at most one of each kind."""
        self._consumer = consumer
        self._health.beat()
        self._health.reading = self.coordinator.session is not None
        self._measure_lag()
        self._every(DATABASE_CHECK_S, "database", self._check_database)
        self._every(self._topic_check_s, "topic", self._check_topic)
        self._every(DISK_CHECK_S, "disk", self._check_disk)
        self._every(RELAY_S, "relay", self._relay_copies)
        self._every(DAYS_S, "days", self._build_days)
        self._every(KAFKA_COMMIT_S, "commit", self._commit_to_kafka)
        self._every(self._settings.stats_interval_sec, "figures", self._log_figures)

    def stopping(self) -> None:
        """The worker begins to stop: not ready any more."""
        self._health.stopping = True

    def close(self) -> None:
        """End threads and connections."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._relaying.shutdown(wait=True, cancel_futures=True)
        self._flusher.close()
        self._relay.close()
        self._replays.close()
        self._topic.close()
        self._pool.close()

    def _every(self, seconds: float, name: str, chore: Callable[[], Any]) -> None:
        now = time.monotonic()
        if name in self._running or now < self._began.get(name, -seconds) + seconds:
            return
        self._began[name] = now
        self._running.add(name)
        task = asyncio.ensure_future(chore())
        task.add_done_callback(lambda done: self._chore_done(name, done))

    def _chore_done(self, name: str, done: asyncio.Future[Any]) -> None:
        self._running.discard(name)
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, TROUBLE):
            logger.warning("%s: %s", name, self._pool.params.why(error))
        elif error is not None:
            logger.error("%s failed", name, exc_info=error)

    async def _is_same_topic(self, session: Session) -> bool | None:
        return await self.coordinator.is_same_topic(session)

    def _resync(self, why: str) -> None:
        if self._consumer is not None:
            self._consumer.request_resync(why)

    def _committed(self, work: Work) -> None:
        self._to_commit.update(work.next_offsets())
        self._figures.add(work)

    def _measure_lag(self) -> None:
        session, consumer = self.coordinator.session, self._consumer
        if session is None or consumer is None:
            return
        lags = {
            partition: consumer.behind(session, partition, self._ends.get(partition, 0))
            for partition in session.committed
        }
        for partition in self._lags.keys() - lags.keys():
            metrics.CONSUMER_LAG.remove(str(partition))
        for partition, lag in lags.items():
            metrics.CONSUMER_LAG.labels(str(partition)).set(lag)
        self._health.lag = sum(lags.values())
        if self._health.lag == 0:
            self._health.progress()
        self._lags = lags
        self._heard_s = {
            partition: max(self._ends_s, consumer.heard_s(session, partition)) for partition in lags
        }

    async def _check_database(self) -> None:
        self._database.allows()
        try:
            pending, oldest, backed_up = await self._call(
                self._database_figures, self.coordinator.session, self._lags, self._heard_s
            )
        except (psycopg2.Error, PoolError) as error:
            self._health.report("database", False, type(error).__name__)
            self._database.failed(self._pool.params.why(error))
            metrics.READY.set(0)
            raise
        # An answer is not enough while it refuses what is to be stored: then the flush that waits has to get through.
        if not self._flusher.is_retrying:
            self._database.succeeded()
        trusted = self._database.is_trusted
        self._health.report("database", trusted, "ok" if trusted else "flushes fail")
        metrics.DEAD_LETTERS_PENDING.set(pending)
        metrics.DEAD_LETTERS_OLDEST.set(oldest)
        metrics.LAST_BACKUP.set(backed_up)
        for state, count in self._pool.stats().items():
            if state != "max":
                metrics.DB_POOL_CONNECTIONS.labels(state).set(count)
        metrics.READY.set(0 if self._health.unready_reasons() else 1)

    def _database_figures(
        self, session: Any, lags: dict[int, int], heard_s: dict[int, float]
    ) -> tuple[int, float, float]:
        with self._pool.connection() as conn:
            if session is not None and lags:
                now_s = time.time()
                ages_s = {partition: max(0.0, now_s - at_s) for partition, at_s in heard_s.items()}
                publish_lag(conn, session.topic, session.incarnation, lags, ages_s)
            with conn.cursor() as cur:
                return (*pending_figures(cur), last_backup(cur))

    async def _check_disk(self) -> None:
        try:
            disk = await self._call(shutil.disk_usage, ROOT_DIRECTORY)
        except OSError:
            metrics.DISK_FREE.set(nan)
            metrics.DISK_SIZE.set(nan)
            raise
        metrics.DISK_FREE.set(disk.free)
        metrics.DISK_SIZE.set(disk.total)

    async def _check_topic(self) -> None:
        self._broker.allows()
        self._topic_check_s = PROBE_S
        began_s = time.time()
        try:
            found, self._ends = await self._call(self._topic.look)
            self._ends_s = began_s
        except (KafkaError, TopicError, OSError) as error:
            self._health.report("broker", False, type(error).__name__)
            self._broker.failed(f"{type(error).__name__}: {error}")
            raise
        self._topic_check_s = TOPIC_CHECK_S if found else PROBE_S
        self._health.report(
            "broker", found is not None, "ok" if found else "the input topic is missing"
        )
        self._broker.succeeded()
        session = self.coordinator.session
        if session is not None and found != session.topic_id:
            self._resync(
                f"topic {session.topic} is another one now, {found}, was {session.topic_id}"
            )

    async def _relay_copies(self) -> None:
        for step in (self._relay.step, self._replays.step):
            while self._database.is_trusted and self._broker.is_trusted:
                # A thread of its own: it may wait for the broker while others are to answer.
                if not await asyncio.get_running_loop().run_in_executor(self._relaying, step):
                    break

    async def _build_days(self) -> None:
        while await self._call(self._build_some_days) is not None:
            pass

    def _build_some_days(self) -> int | None:
        coarsest = window_named(self._settings.aggregation_windows[-1])
        with self._pool.connection() as conn:
            return build_step(conn, coarsest)

    async def _log_figures(self) -> None:
        line = self._figures.line(time.monotonic(), self._health.lag)
        if line:
            logger.info(line)

    async def _commit_to_kafka(self) -> None:
        if self._to_commit and self.coordinator.session is not None:
            offsets, self._to_commit = self._to_commit, {}
            topic = self._settings.kafka_input_topic
            await self._consumer._commit({TP(topic, p): o for p, o in offsets.items()})  # pylint: disable=protected-access

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, function, *arguments
        )
