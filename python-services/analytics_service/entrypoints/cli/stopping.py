"""Ending a loop on SIGTERM or Ctrl-C at a place of its own choosing."""

from __future__ import annotations

import os
import select
import signal
import time
from types import FrameType
from typing import Self

INSISTING_S = 1.0


class StopSignal:
    """Set by the first SIGTERM or SIGINT while the context is open; one more SIGINT interrupts.

    That is one a second later or more: shells and `timeout` may deliver a single one twice. A handler
    may run in the middle of anything, so it takes no lock: it writes to a pipe that
    `wait` looks at. Works in the main thread only, as signals do.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self._before: dict[int, signal.Handlers | object] = {}
        self._stopped_at = 0.0
        self.stopped = False

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned
        os.close(self._read_end)
        os.close(self._write_end)

    def wait(self, seconds: float) -> bool:
        """Let time pass until `seconds` are over or a signal came; whether one came."""
        select.select([self._read_end], [], [], seconds)
        return self.stopped

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self.stopped:
            self._stopped_at = time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._stopped_at >= INSISTING_S:
            raise KeyboardInterrupt
        self.stopped = True
        os.write(self._write_end, b".")
