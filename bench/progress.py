"""Progress lines on standard error, each with the seconds since the start."""

from __future__ import annotations

import sys
import time
from typing import Final

EVERY_S: Final = 2.0


class Progress:
    """Says what goes on; `tick` at most every two seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said = self._began
        self.prefix = ""

    def say(self, text: str) -> None:
        """One line now."""
        self._said = time.monotonic()
        print(
            f"bench {self._said - self._began:6.1f} s  {self.prefix}{text}",
            file=sys.stderr,
            flush=True,
        )

    def tick(self, text: str) -> None:
        """One line, when the last one is old enough."""
        if time.monotonic() - self._said >= EVERY_S:
            self.say(text)
