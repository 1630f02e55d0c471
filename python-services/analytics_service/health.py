"""Is this worker alive, and is it ready? Judged from what the event loop reports, by a thread that it cannot block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# The event loop reports every second; this much silence means that something blocks it.
LOOP_SILENCE_S = 15.0
# With messages waiting, dependencies that answer and no commit for so long, consumption stands still.
STALL_S = 60.0
# With dependencies that answer, no rebalance leaves a worker without a session for so long.
NOT_READING_S = 120.0


@dataclass(slots=True)
class Component:
    """State of one dependency as last seen."""

    ok: bool = False
    detail: str = "not checked yet"


@dataclass(slots=True)
class Health:
    """Shared between the event loop, which reports, and the health server, which only reads."""

    clock: Callable[[], float] = time.monotonic
    beat_at: float | None = None
    progressed_at: float = 0.0
    read_at: float = 0.0
    lag: int = 0
    reading: bool = False
    stopping: bool = False
    components: dict[str, Component] = field(
        default_factory=lambda: {"database": Component(), "broker": Component()}
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.progressed_at = self.read_at = self.clock()

    def beat(self) -> None:
        """The event loop is alive."""
        self.beat_at = self.clock()

    def progress(self) -> None:
        """Something was committed, or there was nothing to do."""
        self.progressed_at = self.clock()

    def report(self, name: str, ok: bool, detail: str = "ok") -> None:
        """A dependency was seen working, or not."""
        with self._lock:
            self.components[name] = Component(ok, detail)

    def dead_reason(self) -> str | None:
        """Why the process should be restarted, or None while it is alive."""
        now = self.clock()
        # Until the first beat the process waits for database and broker, which is bounded.
        if self.beat_at is not None and now - self.beat_at > LOOP_SILENCE_S:
            return f"the event loop has not answered for {now - self.beat_at:.0f} s"
        all_there = all(part.ok for part in self.components.values())
        if self.reading or self.beat_at is None or not all_there:
            self.read_at = now
        elif now - self.read_at > NOT_READING_S:
            return f"nothing has been read for {now - self.read_at:.0f} s although all dependencies are there"
        stalled = self.reading and self.lag > 0 and all_there
        if stalled and now - self.progressed_at > STALL_S:
            return f"{self.lag} messages wait and none was committed for {now - self.progressed_at:.0f} s"
        return None

    def unready_reasons(self) -> dict[str, str]:
        """What keeps the worker from being ready, by part; empty when it is."""
        with self._lock:
            reasons = {name: part.detail for name, part in self.components.items() if not part.ok}
        dead = self.dead_reason()
        if dead:
            reasons["consumption"] = dead
        elif not self.reading:
            reasons["consumption"] = "no partitions are being read yet"
        if self.stopping:
            reasons["process"] = "is stopping"
        return reasons
