"""The line of figures that a worker logs every STATS_INTERVAL_SEC."""

from __future__ import annotations

from analytics_service.ingest.work import Work


class Figures:
    """What was committed since the last line. Times are monotonic seconds."""

    def __init__(self, now_s: float) -> None:
        self._since = now_s
        self._events = 0
        self._messages = 0
        self._flushes = 0

    def add(self, work: Work) -> None:
        """Count what one flush committed."""
        self._flushes += 1
        self._events += work.events
        self._messages += work.messages

    def line(self, now_s: float, lag: int) -> str | None:
        """The figures since the last line, which begin anew; None when there is nothing to tell."""
        seconds = max(now_s - self._since, 0.001)
        events, letters, flushes = self._events, self._messages - self._events, self._flushes
        self._since, self._events, self._messages, self._flushes = now_s, 0, 0, 0
        if not flushes and not lag:
            return None
        return (
            f"{events} events stored ({events / seconds:.0f}/s), {letters} dead letters, "
            f"{flushes} flushes, {lag} messages behind"
        )
