"""What a fault can lay its hands on."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tests.databases import Database
from tests.faults.disk import SmallDisk
from tests.faults.producer import Producer
from tests.faults.progress import Progress
from tests.faults.proxy import Proxy
from tests.faults.servers import KeptServer
from tests.faults.workers import Workers


class CameToNothing(Exception):
    """A fault that found nothing to disturb; the text says why."""


@dataclass
class Scene:
    """One run: the servers, what stands before them, the product's workers and the stream."""

    broker: KeptServer
    postgres: KeptServer
    broker_proxy: Proxy
    database_proxy: Proxy
    disk: SmallDisk | None
    database: Database
    workers: Workers
    producer: Producer
    progress: Progress
    stopping: threading.Event = field(default_factory=threading.Event)

    def last(self, seconds: float) -> None:
        """Let a fault last, or until the run is broken off."""
        self.stopping.wait(seconds)

    def watch(self, what: str, since: float) -> None:
        """Measure from `since` (monotonic, just now) until all partitions have moved past their present end."""
        self.progress.watch(what, since, self.producer.ends)
