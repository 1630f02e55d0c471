"""A limit of time that holds whatever blocks.

Time limits of sockets begin anew with every byte, and looking up a name has none: a server that sends one byte a second
keeps a caller for as long as it likes. So the work runs on a thread of its own, which is waited for only so long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadline:
    """A moment in the future; the work asks what is left, so that it ends by itself too."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._moment = time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds that are left, above nothing. Raises TimeoutError when none are."""
        left = self._moment - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Run(Generic[T]):
    def __init__(self, work: Callable[[Deadline], T], deadline: Deadline) -> None:
        self._work = work
        self._deadline = deadline
        self.ended: SimpleQueue[tuple[T] | Exception] = SimpleQueue()

    def __call__(self) -> None:
        try:
            self.ended.put((self._work(self._deadline),))
        except Exception as error:  # noqa: BLE001  # pylint: disable=broad-exception-caught  # raised again by who waits
            self.ended.put(error)


def within(seconds: float, work: Callable[[Deadline], T]) -> T:
    """What `work` returns or raises; TimeoutError when it has done neither after `seconds`.

    Work that is given up on goes on in the background until it next looks at what is left, or its socket's own limit.
    """
    run = _Run(work, Deadline(seconds))
    threading.Thread(target=run, name="notifier-attempt", daemon=True).start()
    try:
        ended = run.ended.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(ended, Exception):
        raise ended
    return ended[0]
