"""The figures of the page's first view, looked up at most once a second a process, however many people look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flask import current_app

from dashboard_api.context import context
from dashboard_api.queries.overview import Brief, brief
from dashboard_api.queries.trends import Trends

EXTENSION = "stacklens_briefs"
KEPT_S = 0.9


class Briefs:
    """Keeps the newest brief for a moment; who asks while it is being looked up waits for it."""

    def __init__(
        self, look: Callable[[], Brief], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: Brief | None = None
        self._looked_s = 0.0

    def newest(self) -> Brief:
        """A brief at most a second old. Raises Problem 503 when the database cannot answer."""
        with self._lock:
            if self._newest is None or self._clock() - self._looked_s >= KEPT_S:
                began_s = self._clock()
                self._newest = self._look()
                self._looked_s = began_s
            return self._newest


def newest_brief() -> Brief:
    """The newest brief of the application that handles the current request."""
    briefs = current_app.extensions.get(EXTENSION)
    if briefs is None:
        briefs = current_app.extensions.setdefault(EXTENSION, Briefs(_looking()))
    assert isinstance(briefs, Briefs)
    return briefs.newest()


def _looking() -> Callable[[], Brief]:
    trends = Trends()

    def look() -> Brief:
        shared = context()
        topic = shared.settings.kafka_input_topic
        with shared.reader.snapshot() as cursor:
            return brief(cursor, shared.kept, trends, shared.windows, topic, shared.now())

    return look
