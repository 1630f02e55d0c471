"""The notifier: a Faust app whose one agent takes in the messages of the alert topic."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faust
from kafka.errors import KafkaError

from analytics_service import metrics
from analytics_service.adapters.kafka import patient_transport
from analytics_service.adapters.kafka.topic_watch import TopicWatch
from analytics_service.adapters.kafka.topics import TopicError
from analytics_service.config import Settings
from analytics_service.entrypoints.worker import METADATA_MAX_AGE_MS, SESSION_TIMEOUT_S, YEARS_S
from analytics_service.health import Health
from analytics_service.ingest.dependencies import Dependency
from analytics_service.notifying.intake import Intake

logger = logging.getLogger(__name__)

BROKER_CHECK_S = 5.0
CATCHING_UP_CHECK_S = 0.5
HOUSEKEEPING_S = 0.5


def create_notifier(
    settings: Settings, intake: Intake, health: Health, caught_up: Callable[[], None]
) -> Any:
    """The Faust app of one notifier; `intake` holds what is done with a message.

    `caught_up` is called whenever everything that was published has been taken in.
    """
    scheme = patient_transport.register()
    app = faust.App(
        settings.kafka_notifier_group,
        broker=[f"{scheme}://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
        broker_client_id="stacklens-alert-notifier",
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 4,
        # While the database is away a message is not given back; the group must not expel us for that.
        broker_max_poll_interval=YEARS_S,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        stream_wait_empty=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        datadir=str(Path(tempfile.gettempdir(), f"stacklens-faust-{os.getuid()}")),
        autodiscover=False,
    )
    alerts = app.topic(
        settings.kafka_output_topic, key_serializer="raw", value_serializer="raw", internal=False
    )
    taking_in = ThreadPoolExecutor(1, thread_name_prefix="intake")
    watch = _BrokerWatch(settings, health, caught_up)

    @app.agent(alerts, name="alerts", concurrency=1)
    async def take_in(stream: Any) -> None:
        """A message is acknowledged when the database has it; an unforeseen error ends the process, not the message."""
        loop = asyncio.get_running_loop()
        try:
            async for event in stream.events():
                message = event.message
                where = f"partition {message.partition}, offset {message.offset}"
                taken = await loop.run_in_executor(taking_in, intake.take_in, message.value, where)
                if not taken:
                    raise asyncio.CancelledError
                watch.read[message.partition] = message.offset + 1
                health.progress()
        except Exception as error:
            logger.exception("taking in an alert message failed")
            await app.crash(error)
            raise

    @app.timer(interval=HOUSEKEEPING_S, name="housekeeping")  # type: ignore[untyped-decorator]  # Faust's is
    async def housekeeping() -> None:
        health.beat()
        await watch.tick(app)
        metrics.READY.set(0 if health.unready_reasons() else 1)

    @app.on_partitions_assigned.connect
    async def assigned(*given: Any, **__: Any) -> None:
        partitions = sorted(tp.partition for tps in given[1:] for tp in tps)
        logger.info("partitions assigned: %s", partitions)
        # A notifier without a partition is one too many, and well all the same.
        health.reading = True

    @app.on_partitions_revoked.connect
    async def revoked(*_: Any, **__: Any) -> None:
        health.reading = False
        # Somebody else may read on; what is read here when they come back is not known.
        watch.read.clear()

    @app.on_before_shutdown.connect
    async def stopping(*_: Any, **__: Any) -> None:
        health.stopping = True
        intake.end()
        taking_in.shutdown(wait=False)
        watch.close()

    return app


class _BrokerWatch:
    """Asks the broker every few seconds whether it is there, and how far it is ahead of us."""

    def __init__(self, settings: Settings, health: Health, caught_up: Callable[[], None]) -> None:
        self._group = settings.kafka_notifier_group
        self._caught_up = caught_up
        self._every_s = CATCHING_UP_CHECK_S
        self._watch = TopicWatch(settings, settings.kafka_output_topic)
        self._health = health
        # Where each partition is read on, as far as this process has come; and where the group stood before that.
        self.read: dict[int, int] = {}
        self._begun: dict[int, int] = {}
        self._dependency = Dependency("broker")
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="broker-watch")
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")

    async def tick(self, app: Any) -> None:
        """Begin to ask when it is time; never waits for the answer."""
        loop = asyncio.get_running_loop()
        if self._asking is not None and not self._asking.done():
            return
        if loop.time() - self._asked_at >= self._every_s:
            self._asked_at = loop.time()
            self._asking = loop.create_task(self._ask(app))

    def close(self) -> None:
        """Ask no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, app: Any) -> None:
        self._dependency.allows()
        try:
            found, ends = await self._call(self._watch.look)
            assigned = {tp.partition for tp in app.consumer.assignment()}
            if assigned - self.read.keys():
                self._begun = await self._call(self._watch.positions, self._group)
        except (KafkaError, TopicError, OSError, KeyError) as error:
            self._health.report("broker", False, type(error).__name__)
            self._dependency.failed(f"{type(error).__name__}: {error}")
            return
        self._dependency.succeeded()
        self._health.report("broker", found is not None, "ok" if found else "the topic is missing")
        positions = self._begun | self.read
        lags = {
            partition: max(0, ends.get(partition, 0) - positions.get(partition, 0))
            for partition in assigned
        }
        for partition, lag in lags.items():
            metrics.CONSUMER_LAG.labels(str(partition)).set(lag)
        self._health.lag = sum(lags.values())
        if self._health.lag == 0:
            self._health.progress()
            if self._health.reading:
                self._every_s = BROKER_CHECK_S
                self._caught_up()

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, function, *arguments
        )
