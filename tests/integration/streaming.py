"""A stream of plain events for tests that disturb the worker while it is at work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

SERVICES = 20
SPAN_S = 3 * 3600.0
CHUNK = 2_000
CHUNK_S = 90.0
MOST_UNSETTLED = 12_000


def plain_events(
    seed: int, count: int, *, begin_s: float = 0.0, span_s: float = SPAN_S
) -> Iterator[bytes]:
    """Events of 20 services, their times rising from `begin_s` seconds after `SPAN_S` ago through `span_s`.

    One in a hundred is late, one in a thousand a dead letter. Written by hand: a test sends hundreds of thousands.
    """
    rng = random.Random(seed)
    first = time.time() - SPAN_S - 60
    levels = ("info", "INFO", "debug", "warn", "error")
    for number in range(count):
        draw = rng.random()
        late = draw > 0.99
        at = first + (rng.random() * SPAN_S if late else begin_s + span_s * number / count)
        if draw < 0.001:
            yield b"{broken"
            continue
        head = f'{{"timestamp":{at:.6f},"service":"service-{rng.randrange(SERVICES)}",'
        level = f'"level":"{levels[int(draw * 5)]}","latency_ms":{1000 * draw * draw:.3f},'
        who = f'"user_id":"u{int(draw * 4000)}","source_ip":"10.0.{int(draw * 8)}.{number % 250}",'
        tail = f'"risk_score":{rng.random():.2f},"message":"no. {number}"}}'
        yield (head + level + who + tail).encode()


class Feeder:
    """Sends events as they are consumed, always a few thousand ahead, until told to stop.

    So whatever a test does meanwhile happens in mid-stream, however fast or slow the machine is.
    """

    def __init__(self, way: WholeWay, seed: int) -> None:
        self._way = way
        self._seed = seed
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="feeder")

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def wait_progress(self, events: int, deadline_s: float = 180.0) -> None:
        """Return once `events` more messages than now are settled."""
        start = self._way.settled()
        wait_until(
            lambda: self._failure or self._way.settled() >= start + events,
            deadline_s,
            f"{events} more messages are settled while the stream goes on",
        )

    def _run(self) -> None:
        chunk = 0
        try:
            while not self._stopping.is_set():
                if len(self._way.sent) - self._way.settled() < MOST_UNSETTLED:
                    begin_s = chunk * CHUNK_S % SPAN_S
                    self._way.send_values(
                        plain_events(self._seed + chunk, CHUNK, begin_s=begin_s, span_s=CHUNK_S)
                    )
                    chunk += 1
                self._stopping.wait(0.02)
        except Exception as error:  # noqa: BLE001  # told in the test's own thread
            self._failure = error
