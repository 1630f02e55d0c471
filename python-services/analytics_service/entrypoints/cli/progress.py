"""Progress of something long: a bar on a terminal, elsewhere a line every 2 seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

LINE_EVERY_S = 2.0
REDRAW_EVERY_S = 0.1
BAR_WIDTH = 30


class Progress:
    """Reports `done` of `total` units on a stream (standard error by default).

    `total` may be None when it is not known beforehand. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        label: str,
        total: int | None = None,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._total = total
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._due = clock() + (0.0 if self._terminal else LINE_EVERY_S)
        self._drawn = 0

    def update(self, done: int, detail: str = "") -> None:
        """Show `done`, with `detail` behind it, if it is time to."""
        now = self._clock()
        if now < self._due:
            return
        if self._terminal:
            self._redraw(self._bar(done, detail))
            self._due = now + REDRAW_EVERY_S
        else:
            self._stream.write(
                f"{self._label}: {self._amount(done)}{' ' + detail if detail else ''}\n"
            )
            self._due = now + LINE_EVERY_S
        self._stream.flush()

    def finish(self) -> None:
        """Remove the bar, so that what is printed next stands on a line of its own."""
        if self._terminal and self._drawn:
            self._redraw("")
            self._stream.write("\r")
            self._stream.flush()

    def _redraw(self, text: str) -> None:
        self._stream.write("\r" + text.ljust(self._drawn))
        self._drawn = len(text)

    def _amount(self, done: int) -> str:
        if not self._total:
            return f"{done:,}"
        return f"{min(1.0, done / self._total):.0%} ({done:,} of {self._total:,})"

    def _bar(self, done: int, detail: str) -> str:
        if not self._total:
            return f"{self._label} {done:,} {detail}"
        share = min(1.0, done / self._total)
        filled = "#" * round(share * BAR_WIDTH)
        return f"{self._label} [{filled:-<{BAR_WIDTH}}] {share:4.0%} {detail}"
