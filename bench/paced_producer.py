"""Sends events at a steady rate in bursts of 10 ms and notes when each was produced; a process of its own.

Prints READY once it has begun. Writes an .npz file: for every record batch its partition, first offset, number of
events and the epoch time at which they were made, which is before they were handed to the client.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from array import array
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaProducer

from bench.events import BLOCK, SERVICES, Recipe

BURST_S: Final = 0.01
SWITCH_AFTER_S: Final = 0.001
"""A burst does not wait for longer while events are made."""
READY: Final = "producing since"
_HEAD: Final = b'{"timestamp": "'
_STAMP: Final = len("2026-01-01T00:00:00.000000")


def stamped(values: Sequence[bytes], at_us: int) -> list[bytes]:
    """The values as if they had happened at `at_us` (epoch microseconds)."""
    head = _HEAD + str(np.datetime64(at_us, "us")).encode()
    after = len(_HEAD) + _STAMP
    return [head + value[after:] for value in values]


async def rendered_ahead(recipe: Recipe) -> AsyncIterator[list[bytes]]:
    """All values of a recipe, a block at a time; a thread makes the next one in the meantime.

    None comes again: rows of windows grow with what is new in them.
    """
    firsts = range(0, recipe.count, BLOCK)
    made = asyncio.create_task(asyncio.to_thread(recipe.block_from, 0))
    for following in (*firsts[1:], None):
        block = await made
        if following is not None:
            made = asyncio.create_task(asyncio.to_thread(recipe.block_from, following))
        yield block.values


async def produce(
    broker: str,
    topic: str,
    partitions: int,
    rate: int,
    seconds: float,
    file: Path,
    services: int = len(SERVICES),
) -> None:
    """Send `rate * seconds` events; a burst that is late goes out at once and is stamped with its true time."""
    count = int(rate * seconds)
    recipe = Recipe(count, time.time_ns() // 1000, 60.0, seed=7, services=services)
    ahead = rendered_ahead(recipe)
    values = deque(await anext(ahead, []))
    burst = max(1, round(rate * BURST_S))
    producer = AIOKafkaProducer(bootstrap_servers=broker, acks="all", enable_idempotence=True)
    await producer.start()
    sent = array("q"), array("q"), array("q")  # partition, first offset, count
    made_times = array("d")
    waiting: deque[asyncio.Future[Any]] = deque()
    print(f"{READY} {time.time():.3f}", flush=True)
    began = time.monotonic()
    for number, at in enumerate(range(0, count, burst)):
        pause = began + number * BURST_S - time.monotonic()
        await asyncio.sleep(max(0.0, pause))
        made_s = time.time()
        wanted = min(burst, count - at)
        while len(values) < wanted:
            values.extend(await anext(ahead))
        made = stamped([values.popleft() for _ in range(wanted)], int(made_s * 1e6))
        for partition in range(partitions):
            mine = made[partition::partitions]
            if not mine:
                continue
            batch = producer.create_batch()
            for value in mine:
                taken = batch.append(timestamp=int(made_s * 1000), key=None, value=value)
                assert taken is not None, "a burst does not fit into one batch"
            waiting.append(await producer.send_batch(batch, topic, partition=partition))
            sent[0].append(partition)
            sent[2].append(len(mine))
            made_times.append(made_s)
        while waiting and waiting[0].done():
            sent[1].append(waiting.popleft().result().offset)
    elapsed = time.monotonic() - began
    for future in waiting:
        sent[1].append((await future).offset)
    await producer.stop()
    np.savez(
        file,
        partition=np.frombuffer(sent[0], np.int64),
        first_offset=np.frombuffer(sent[1], np.int64),
        count=np.frombuffer(sent[2], np.int64),
        produced_s=np.frombuffer(made_times),
        elapsed_s=np.array(elapsed),
    )


def main() -> None:
    """Parse the arguments and produce."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True, help="host:port")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True, help="events a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--services", type=int, default=len(SERVICES))
    parser.add_argument("--file", type=Path, required=True, help="where to write the notes (.npz)")
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_AFTER_S)
    asyncio.run(
        produce(
            options.broker, options.topic, options.partitions, options.rate, options.seconds, options.file,
            options.services,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
