"""Events that put services into trouble and out of it: every minute's share of errors is as it should be, at once.

A rule looks at windows of a minute. What happened in one cannot be taken back, but it can be outweighed: for trouble
errors are sent until they are most of the minute, for quiet so many good events that they are few.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kafka import KafkaProducer
from kafka.errors import KafkaError

MINUTE_S = 60
TICK_S = 0.4
# Rules fire above 50 percent. Two to one is so far from that that it stays when all of the lesser part arrives twice.
SHARE = 2
ACKNOWLEDGE_S = 10.0
PAST = "archive"
PAST_AGO_S = 3600


@dataclass
class Minute:
    """What was sent of one service with times in one minute."""

    good: int = 0
    errors: int = 0


@dataclass
class Mix:
    """What was sent of one service, by minute; says what is missing. Pure."""

    service: str
    minutes: dict[int, Minute] = field(default_factory=dict)

    def missing(self, now_s: float, *, sick: bool) -> list[tuple[float, str]]:
        """Times and levels of the events that make it sick or well, one at least."""
        this = int(now_s) // MINUTE_S * MINUTE_S
        current = self.minutes.setdefault(this, Minute())
        if sick:
            errors = max(1, current.good * SHARE + 1 - current.errors)
            current.errors += errors
            return [(now_s, "error")] * errors
        found = []
        for start, minute in self.minutes.items():
            good = max(minute.errors * SHARE - minute.good, 1 if start == this else 0)
            minute.good += good
            found += [(now_s if start == this else start + MINUTE_S / 2, "info")] * good
        return found


Switch = Callable[[str, float], bool]
"""Whether a service is to be in trouble at a moment."""
Sent = Callable[[str, bool], None]
"""What a service was made (sick or not) has been acknowledged by the broker."""


class Stream:
    """A thread that keeps services as `switch` says; `sent` hears of it when the broker has it."""

    def __init__(
        self, servers: str, topic: str, services: Iterable[str], switch: Switch, sent: Sent
    ) -> None:
        self._servers, self._topic = servers, topic
        self._mixes = [Mix(service) for service in services]
        self._services = {mix.service for mix in self._mixes}
        self._switch, self._sent = switch, sent
        self.events = 0
        self.again = 0
        self._producer: KafkaProducer | None = None
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream of alerts")

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def add(self, service: str) -> None:
        """One more service from now on, unless it is there already."""
        if service not in self._services:
            self._services.add(service)
            self._mixes.append(Mix(service))

    def check(self) -> None:
        """Raise what ended the thread before its time, if anything."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.wait(TICK_S):
                self._tick(time.time())
        except BaseException as error:  # noqa: BLE001  # raised in the thread that asks
            self._failure = error
        finally:
            self._close()

    def _tick(self, now_s: float) -> None:
        values, made = [_event(PAST, now_s - PAST_AGO_S, "error")], []
        for mix in tuple(self._mixes):
            sick = self._switch(mix.service, now_s)
            values += [_event(mix.service, *each) for each in mix.missing(now_s, sick=sick)]
            made.append((mix.service, sick))
        while not self._stopping.is_set() and not self._send(values):
            self.again += 1
            self._stopping.wait(TICK_S)
        if not self._stopping.is_set():
            for service, sick in made:
                self._sent(service, sick)

    def _send(self, values: list[bytes]) -> bool:
        """Whether the broker has them all; if not, some may be there twice in the end, which changes no share much."""
        try:
            if self._producer is None:
                self._producer = KafkaProducer(
                    bootstrap_servers=self._servers,
                    linger_ms=5,
                    max_block_ms=5_000,
                    request_timeout_ms=5_000,
                    delivery_timeout_ms=8_000,
                )
            futures = [self._producer.send(self._topic, value=value) for value in values]
            for future in futures:
                future.get(timeout=ACKNOWLEDGE_S)
        except (KafkaError, OSError, AssertionError):
            self._close()
            return False
        self.events += len(values)
        return True

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError):  # it says so when it still holds something
                producer.close(timeout=1)
            producer._closed = (
                True  # or it would say so once more when it is collected, in another test
            )


def _event(service: str, at_s: float, level: str) -> bytes:
    at = datetime.fromtimestamp(at_s, UTC).isoformat()
    return json.dumps({"timestamp": at, "service": service, "level": level}).encode()
