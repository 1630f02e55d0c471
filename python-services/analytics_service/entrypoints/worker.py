"""The analytics worker: a Faust app whose one agent feeds the pipeline."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Any, cast

import faust

from analytics_service.adapters.kafka import transport
from analytics_service.config import Settings
from analytics_service.ingest.service import IngestService
from analytics_service.ingest.session import PartitionBatch

logger = logging.getLogger(__name__)

SESSION_TIMEOUT_S = 10.0
QUEUED_BATCHES = 4
METADATA_MAX_AGE_MS = 5_000
YEARS_S = 10 * 365 * 86_400.0


class WorkerApp(faust.App):
    """A Faust app that knows the service its batch consumer asks for positions."""

    coordinator: Any


def create_worker(settings: Settings, service: IngestService) -> WorkerApp:
    """The Faust app of one worker; `service` holds everything that is not Faust's."""
    scheme = transport.register()
    servers = settings.kafka_bootstrap_servers.split(",")
    app = WorkerApp(
        settings.kafka_consumer_group,
        broker_consumer=[f"{scheme}://{server}" for server in servers],
        broker_producer=[f"{scheme}://{server}" for server in servers],
        broker_client_id="stacklens-analytics-service",
        # A killed worker's partitions are given to others after this long.
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 4,
        # A worker that has nothing to fetch or no room for it is not dead; once aiokafka had left the group for want of
        # fetching, Faust would never fetch again. The watchdog ends a worker that stands still.
        broker_max_poll_interval=YEARS_S,
        broker_max_poll_records=settings.kafka_batch_size,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=transport.PARTITION_FETCH_BYTES,
        # A topic made anew and partitions added are seen after this long; aiokafka's default is five minutes.
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        consumer_group_instance_id=settings.kafka_group_instance_id or None,
        stream_buffer_maxsize=QUEUED_BATCHES,
        stream_wait_empty=False,
        # Health and metrics are served by a thread of their own.
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        # Faust makes a folder for tables even when there are none: one for all workers, nothing is ever in it.
        datadir=str(Path(tempfile.gettempdir(), f"stacklens-faust-{os.getuid()}")),
        autodiscover=False,
    )
    app.coordinator = service.coordinator
    # No acks: offsets are the database's; the service commits to Kafka what it has committed there.
    events = app.topic(
        settings.kafka_input_topic,
        key_serializer="raw",
        value_serializer="raw",
        acks=False,
        internal=False,
    )

    @app.agent(events, name="ingest", concurrency=1)
    async def ingest(batches: Any) -> None:
        """Every batch of the input topic goes into the pipeline, which makes the agent wait while it is full.

        Faust would start a failed agent again, on the batch after the one that failed.
        """
        try:
            async for batch in batches:
                assert isinstance(batch, PartitionBatch)
                await service.pipeline.add(batch)
        except Exception as error:
            logger.exception("taking in a batch failed")
            await app.crash(error)
            raise

    @app.task  # type: ignore[untyped-decorator]  # Faust's is
    async def flush_loop() -> None:
        """Flushes until the worker stops; an error ends the worker, for a restart is safe and a standstill is not."""
        try:
            await service.pipeline.run()
        except Exception as error:
            logger.exception("the flush loop failed")
            await app.crash(error)
            raise

    @app.timer(interval=1.0, name="housekeeping")  # type: ignore[untyped-decorator]  # Faust's is
    async def housekeeping() -> None:
        await service.tick(app.consumer)
        reason = cast(Any, app.consumer).broken_reason()
        if reason:
            logger.critical("ending the worker: %s", reason)
            await app.crash(RuntimeError(reason))

    @app.on_before_shutdown.connect
    async def drain(*_: Any, **__: Any) -> None:
        service.stopping()
        await service.pipeline.drain()

    return app
