"""What every process does before its work: reach the database, bring the schema up to date, see to the topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kafka.errors import KafkaError

from analytics_service.adapters.kafka.topics import TopicError, create_topics
from analytics_service.adapters.timescale.connecting import with_retries
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.adapters.timescale.pool import Pool, open_pool
from analytics_service.config import Settings

logger = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 10.0


def prepare_database(
    settings: Settings,
    application_name: str,
    sleep: Callable[[float], object] = time.sleep,
    *,
    publish: bool = False,
) -> Pool:
    """A pool of the owner's connections on an up-to-date schema, with the settings in it if they are to be published.

    Only the analytics service publishes: what is kept in the database is its own, and SQL functions go by that.

    A database that goes away in between is waited for as one that is not up yet. Raises PoolOpenError when five
    attempts in a row found none, DriftError when applied migrations differ from the files.
    """
    pool = open_pool(settings, application_name=application_name, sleep=sleep)

    def bring_up_to_date() -> None:
        Migrator(settings, sleep=sleep).up()
        if publish:
            publish_settings(pool, settings)

    with_retries(bring_up_to_date, pool.params.why, sleep)
    return pool


def publish_settings(pool: Pool, settings: Settings) -> None:
    """Write the effective settings, without secrets, where SQL functions read them."""
    with pool.connection() as conn, conn.cursor() as cur:
        for name, value in sorted(settings.public().items()):
            cur.execute(
                """
                INSERT INTO system_config (key, value) VALUES (%s, %s)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()
                WHERE system_config.value IS DISTINCT FROM excluded.value
                """,
                (name.lower(), value),
            )


def prepare_topics(settings: Settings, sleep: Callable[[float], object] = time.sleep) -> None:
    """Create missing topics, waiting for the broker as for the database.

    A broker that goes away in between is waited for as one that is not up yet. Raises TopicError or KafkaError when
    the last attempt fails.
    """
    delay = FIRST_DELAY_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            for outcome in create_topics(settings):
                logger.info(
                    "topic %s: %s%s",
                    outcome.name,
                    outcome.outcome,
                    f" ({outcome.detail})" if outcome.detail else "",
                )
            return
        except (TopicError, KafkaError) as error:
            if attempt == ATTEMPTS:
                raise
            logger.warning(
                "Failed to reach Kafka (attempt %d/%d): %s. Retrying in %.1fs...",
                attempt,
                ATTEMPTS,
                error,
                delay,
            )
            sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)
