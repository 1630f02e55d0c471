"""Waiting for a condition with a deadline: the one place in the tests that lets time pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.02


def wait_until(predicate: Callable[[], T], deadline_s: float, what: str) -> T:
    """Poll `predicate` until it returns something true, and return that.

    Raises AssertionError saying `what` did not happen, and what the predicate last returned,
    once `deadline_s` seconds have passed. An exception of the predicate is the caller's.
    """
    never = threading.Event()
    last_moment = time.monotonic() + deadline_s
    while True:
        late = time.monotonic() >= last_moment
        outcome = predicate()
        if outcome:
            return outcome
        if late:
            raise AssertionError(
                f"waited {deadline_s:g} s in vain: {what} (the last look gave {outcome!r})"
            )
        never.wait(POLL_S)
