"""Looks things up again before they are too old, so that nobody who asks for them has to wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from typing import Protocol

from dashboard_api.errors import Problem

_MOMENT_S = 0.05
_END_WITHIN_S = 0.2

_log = logging.getLogger(__name__)


class Renewable(Protocol):
    """What can be looked up again."""

    def due_in_s(self) -> float:
        """Seconds until it should be."""

    def renew(self) -> bool:
        """Look again, if that is due and nobody else does; whether it is still asked for."""


class Renewing:
    """What is asked for at present, and a thread a process that ends when nothing is."""

    def __init__(self) -> None:
        self._wanted: dict[Hashable, Renewable] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def wants(self, key: Hashable) -> bool:
        """Whether what is known as `key` is being renewed."""
        # A fork leaves the thread behind; it is then not alive.
        thread = self._thread
        return key in self._wanted and thread is not None and thread.is_alive()

    def want(self, key: Hashable, wanted: Renewable) -> None:
        """Renew `wanted`, known as `key`, from now on until it says that nobody asks for it."""
        if self.wants(key):
            return
        with self._lock:
            self._wanted[key] = wanted
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="renewing", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_END_WITHIN_S)

    def _run(self) -> None:
        while not self._over.wait(self._due_in_s()):
            for key, wanted in list(self._wanted.items()):
                if wanted.due_in_s() <= 0:
                    # An error of our own ends the thread: whoever asks next begins anew, without this one.
                    del self._wanted[key]
                    if _renewed(wanted):
                        self._wanted.setdefault(key, wanted)
            with self._lock:
                if not self._wanted:
                    # Who wants something sees it, as the lock is held.
                    self._thread = None
                    return

    def _due_in_s(self) -> float:
        soonest = min((wanted.due_in_s() for wanted in list(self._wanted.values())), default=0.0)
        return max(soonest, _MOMENT_S)


def _renewed(wanted: Renewable) -> bool:
    try:
        return wanted.renew()
    except Problem as problem:
        # Who asks next looks, and is told.
        _log.debug("nothing new: %s", problem.detail)
        return False
