"""For how long it is worth waiting for something that may be on its way."""

from __future__ import annotations

import time
from collections.abc import Callable


class Patience:
    """Waits for one thing, for `most_s` seconds at most; one of its own for each thing that is waited for."""

    def __init__(self, most_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_s = most_s
        self._clock = clock
        self._since: float | None = None

    def is_worth_it(self, more_is_coming: bool) -> bool:
        """Whether to wait on; once it has lasted too long no more, until there was nothing to wait for."""
        if not more_is_coming:
            self._since = None
            return False
        if self._since is None:
            self._since = self._clock()
        return self._clock() - self._since < self._most_s
