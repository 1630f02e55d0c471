"""When to take what gathers for the next flush: so late that it is prepared just when the flush under way is done.

What is taken earlier only waits, while events that come after it wait for one flush more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """How long things took the last time, in seconds; moments are monotonic.

    A commit is taken to last in proportion to its messages: with the length of the last one alone, a short one would
    make the next one's successor too small, and that one would make the one after it too large, for ever.
    """

    _began_s: float | None = None
    _messages: int = 0
    _commit_s: float = 0.0  # a message
    _prepare_s: float = 0.0

    def prepared(self, seconds: float) -> None:
        """What was taken is ready, after so long."""
        self._prepare_s = seconds

    def begun(self, now_s: float, messages: int) -> None:
        """A commit of so many messages begins."""
        self._began_s, self._messages = now_s, messages

    def ended(self, now_s: float) -> None:
        """It is over, whichever way."""
        if self._began_s is not None and self._messages:
            self._commit_s = (now_s - self._began_s) / self._messages
        self._began_s = None

    def not_before_s(self) -> float | None:
        """When to take the next work, were everything to go as it did the last time; None: any time."""
        if self._began_s is None:
            return None
        return self._began_s + self._commit_s * self._messages - self._prepare_s
