"""Which services are ill, and since when, by the hands of a test."""

from __future__ import annotations

import threading
import time

from tests.faults.alerts.timeline import Outbreak


class Ward:
    """Who is ill, and since when; the stream's thread asks, and tells what the broker has."""

    def __init__(self) -> None:
        self.outbreaks: dict[str, Outbreak] = {}
        self._ill: set[str] = set()
        self._lock = threading.Lock()

    def fall_ill(self, service: str) -> None:
        """Most of its events are errors from now on."""
        with self._lock:
            self.outbreaks[service] = Outbreak(service, True, time.time())
            self._ill.add(service)

    def recover(self, service: str) -> None:
        """And now they are few."""
        with self._lock:
            self._ill.discard(service)
            self.outbreaks[service].ended_s = time.time()

    def switch(self, service: str, _: float) -> bool:
        """Whether it is ill."""
        with self._lock:
            return service in self._ill

    def sent(self, service: str, sick: bool) -> None:
        """The broker has what makes it so."""
        with self._lock:
            outbreak = self.outbreaks.get(service)
            if outbreak is None:
                return
            if sick and outbreak.sick_s is None:
                outbreak.sick_s = time.time()
            if not sick and outbreak.ended_s is not None and outbreak.well_s is None:
                outbreak.well_s = time.time()
