"""Slowing down who guesses passwords: too many failures from an address, and it has to wait.

A table in memory shared by the workers, found by a keyed hash of the address. It takes no lock: of two
failures at the very same moment one may go uncounted, which does no harm. When it is full the oldest
entry of a neighbourhood makes room, so that nobody is refused for somebody else's failures.
"""

from __future__ import annotations

import hashlib
import ipaddress
import mmap
import secrets
import time
from collections.abc import Callable

import numpy as np

MOST_FAILURES = 10
WITHIN_S = 60.0

_ENTRIES = 16_384
_NEIGHBOURS = 8
_ENTRY = np.dtype([("mark", np.uint64), ("began_s", np.float64), ("failures", np.uint64)])
# Whoever has one address of such a network has all of them.
_IPV6_NETWORK = 64


class Throttle:
    """Counts failed log-ins by address. Create it before the workers are forked."""

    def __init__(
        self,
        *,
        most: int = MOST_FAILURES,
        within_s: float = WITHIN_S,
        entries: int = _ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        memory = mmap.mmap(-1, entries * _ENTRY.itemsize)
        self._table = np.frombuffer(memory, dtype=_ENTRY)
        self._most = most
        self._within_s = within_s
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def waits_s(self, address: str) -> float:
        """Seconds until a log-in from `address` is looked at again; 0: it is looked at."""
        mark = self._mark(address)
        now_s = self._clock()
        for place in self._places(mark):
            entry = self._table[place]
            if entry["mark"] == mark and entry["failures"] >= self._most:
                return max(float(entry["began_s"]) + self._within_s - now_s, 0.0)
        return 0.0

    def failed(self, address: str) -> None:
        """A log-in from `address` was wrong. The minute begins with the first one."""
        mark = self._mark(address)
        now_s = self._clock()
        places = self._places(mark)
        mine = [place for place in places if self._table[place]["mark"] == mark]
        place = mine[0] if mine else min(places, key=lambda at: float(self._table[at]["began_s"]))
        entry = self._table[place]
        if not mine or float(entry["began_s"]) + self._within_s <= now_s:
            self._table[place] = (mark, now_s, 1)
        else:
            entry["failures"] += 1

    def _places(self, mark: int) -> list[int]:
        return [(mark + step) % len(self._table) for step in range(_NEIGHBOURS)]

    def _mark(self, address: str) -> int:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            text = address  # a Unix socket has none
        else:
            text = str(found)
            if found.version == 6:
                text = str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
        digest = hashlib.blake2b(text.encode(), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) | 1  # never that of an empty entry
