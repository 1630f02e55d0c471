"""Reaching the broker while a client starts: it may go away between the first look at it and this moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.errors import KafkaConnectionError

logger = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 10.0


def patient(client: Any) -> Any:
    """The same aiokafka client, whose `start` tries again while no broker can be reached."""
    start = client.start
    client.start = lambda: start_patiently(start)
    return client


async def start_patiently(
    start: Callable[[], Awaitable[None]],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Await `start()`, 5 times at most with 2, 4, 8 and 10 s between, as at the process's own start.

    An aiokafka client that found no broker is as it was before, so it can be started again. Raises the last
    KafkaConnectionError when every attempt failed, and any other error at once.
    """
    delay = FIRST_DELAY_S
    for attempt in range(1, ATTEMPTS):
        try:
            await start()
            return
        except KafkaConnectionError as error:
            logger.warning(
                "Failed to reach Kafka (attempt %d/%d): %s. Retrying in %.1fs...",
                attempt,
                ATTEMPTS,
                error,
                delay,
            )
        await sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY_S)
    await start()
