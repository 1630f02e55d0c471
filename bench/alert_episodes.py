"""From the event that makes a rule true to its alert on the topic, and further: single events of many services.

Steady traffic keeps as many windows in the tables as the evaluator is promised to carry. In between, at moments drawn
at random, single events of services of their own push one rule over its threshold (duration 0). An event's time is
taken before it is handed to the producer; its alert's when a consumer here has the message in its hands: producing,
storing, the evaluator's second, evaluating, the outbox, publishing and receiving are all in it.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.child import Child
from bench.errors import BenchError, NotProduced, NotSustained, WrongResult
from bench.progress import Progress
from bench.site import PARTITIONS, Site

PREFIX: Final = "episode-"
LATENCY_MS: Final = 5e6
"""Of the events that are to be noticed; the steady ones are far below THRESHOLD_MS."""
THRESHOLD_MS: Final = 1e6
BURST_S: Final = 0.02
SECONDS_TO_ARRIVE: Final = 30.0
LATE_S: Final = 0.25


class Arrivals(Protocol):
    """A place where alerts arrive: for each service when its first and any further ones did (epoch seconds)."""

    @property
    def seen(self) -> Mapping[str, Sequence[float]]:
        """Services of episodes only."""


@dataclass(slots=True)
class TopicArrivals:
    """The messages on the alert topic that say that an alert of an episode's service is active."""

    servers: str
    topic: str
    seen: dict[str, list[float]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _ready: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> TopicArrivals:
        self._thread = threading.Thread(target=self._run, name="alert messages", daemon=True)
        self._thread.start()
        if not self._ready.wait(SECONDS_TO_ARRIVE):
            raise BenchError("the consumer of the alert topic did not begin")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=self.servers.split(","),
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
        )
        numbers = consumer.partitions_for_topic(self.topic) or ()
        consumer.assign([TopicPartition(self.topic, number) for number in numbers])
        consumer.seek_to_beginning()
        self._ready.set()
        while not self._ended.is_set():
            for records in consumer.poll(timeout_ms=50).values():
                now = time.time()
                for record in records:
                    message = json.loads(record.value)
                    if message["to_status"] == "active" and message["service"].startswith(PREFIX):
                        self.seen.setdefault(message["service"], []).append(now)
        consumer.close()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Steady events of `services` services, each once a second, and `episodes` single ones within `seconds`."""

    services: int
    episodes: int
    seconds: float
    seed: int = 20_260_131

    def moments(self) -> list[float]:
        """When the episodes begin, in seconds from the start, ascending: anywhere within the evaluator's second."""
        dice = random.Random(self.seed)
        return sorted(dice.uniform(0.0, self.seconds) for _ in range(self.episodes))


def send(
    site: Site, topic: str, traffic: Traffic, workers: Sequence[Child], progress: Progress
) -> dict[str, float]:
    """Send the traffic in real time; when the event of each episode was made (epoch seconds), by its service.

    Raises NotProduced when this process did not keep the pace.
    """
    made: dict[str, float] = {}
    moments = traffic.moments()
    producer = KafkaProducer(
        bootstrap_servers=site.stack.kafka_bootstrap_servers.split(","), acks="all", linger_ms=0
    )
    sending = []
    sent, worst_s = 0, 0.0
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < traffic.seconds + 1.0:
        while len(made) < len(moments) and moments[len(made)] <= elapsed:
            worst_s = max(worst_s, elapsed - moments[len(made)])
            service = f"{PREFIX}{len(made)}"
            made[service] = time.time()
            value = _value(service, made[service], LATENCY_MS)
            sending.append(producer.send(topic, value, partition=len(made) % PARTITIONS))
        for _ in range(sent, int(elapsed * traffic.services)):
            value = _value(f"service-{sent % traffic.services}", time.time(), 20.0)
            producer.send(topic, value, partition=sent % PARTITIONS)
            sent += 1
        for worker in workers:
            worker.check()
        progress.tick(f"{len(made)} of {len(moments)} episodes begun, {sent:,} other events sent")
        upcoming = moments[len(made)] if len(made) < len(moments) else elapsed + BURST_S
        time.sleep(max(0.0, min(BURST_S, upcoming - elapsed)))
    for future in sending:
        future.get(timeout=SECONDS_TO_ARRIVE)
    producer.close()
    if worst_s > LATE_S:
        raise NotProduced(
            f"an event was sent {worst_s:.2f} s after its moment: the machine is too busy"
        )
    return made


def latencies(
    made: Mapping[str, float], arrivals: Arrivals, what: str, progress: Progress
) -> list[float]:
    """Seconds from each event to the arrival of its alert; waits for the last ones.

    Raises NotSustained when one does not come, WrongResult when one came twice or of a service that had no event.
    """
    deadline = time.monotonic() + SECONDS_TO_ARRIVE
    while len(arrivals.seen) < len(made):
        if time.monotonic() > deadline:
            missing = sorted(made.keys() - arrivals.seen.keys())
            raise NotSustained(f"{len(missing)} alerts never came to {what}, such as {missing[0]}")
        progress.tick(f"{len(arrivals.seen)} of {len(made)} alerts came to {what}")
        time.sleep(BURST_S)
    seen = {service: list(times) for service, times in arrivals.seen.items()}
    twice = [service for service, times in seen.items() if len(times) > 1]
    if twice or seen.keys() != made.keys():
        raise WrongResult(
            f"alerts on {what}: twice {twice[:5]}, unasked {sorted(seen.keys() - made.keys())[:5]}"
        )
    return [seen[service][0] - at for service, at in made.items()]


def _value(service: str, made_s: float, latency_ms: float) -> bytes:
    at = datetime.fromtimestamp(made_s, UTC).isoformat()
    return json.dumps(
        {"timestamp": at, "service": service, "level": "info", "latency_ms": latency_ms}
    ).encode()
