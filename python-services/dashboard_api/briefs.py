"""The figures of the page's first view, at most a second old and looked up once for all who look at them.

While somebody asks, they are looked up again before they are too old, so that nobody waits; and what one worker of a
replica has looked up is handed to the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from analytics_service.domain.windows import Window
from dashboard_api.database import Reader
from dashboard_api.kept_parts import KeptParts
from dashboard_api.queries.overview import Brief, brief
from dashboard_api.queries.trends import Trends
from dashboard_api.renewing import Renewing
from dashboard_api.shared_newest import AGAIN_S, OLDEST_S, SharedNewest

ASKED_WITHIN_S = 5.0
"""An open page asks every two seconds."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Brief)


class Briefs:
    """Keeps the newest brief for a moment; who asks while it is being looked up waits for it.

    `clock` gives seconds that count alike in all processes that have `shared` in common.
    """

    def __init__(
        self,
        look: Callable[[], Brief],
        shared: SharedNewest,
        renewing: Renewing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._shared = shared
        self._renewing = renewing
        self._clock = clock
        self._looking = threading.Lock()
        self._newest: tuple[float, Brief] | None = None
        self._asked_s = 0.0

    def newest(self) -> Brief:
        """A brief at most a second old. Raises Problem 503 when the database cannot answer."""
        self._asked_s = self._clock()
        self._renewing.want("brief", self)
        found = self._kept()
        if found is None:
            with self._looking:
                found = self._kept() or self._look_now()
        return found

    def due_in_s(self) -> float:
        """Seconds until the newest brief should be looked up again."""
        return self._shared.at_s() + AGAIN_S - self._clock()

    def renew(self) -> bool:
        """Look again unless another worker does; whether somebody has asked of late."""
        if self._clock() - self._asked_s > ASKED_WITHIN_S:
            return False
        if self._shared.claim():
            try:
                with self._looking:
                    self._look_now()
            finally:
                self._shared.give_back()
        return True

    def _kept(self) -> Brief | None:
        """The newest brief of any worker if it is not too old."""
        oldest_s = self._clock() - OLDEST_S
        newest = self._newest
        if self._shared.at_s() > (newest[0] if newest else oldest_s):
            read = self._shared.read()
            if read is not None:
                newest = self._newest = (read[0], _decoder.decode(read[1]))
        return newest[1] if newest is not None and newest[0] > oldest_s else None

    def _look_now(self) -> Brief:
        began_s = self._clock()
        found = self._look()
        self._newest = (began_s, found)
        self._shared.write(began_s, _encoder.encode(found))
        return found


def looking(
    reader: Reader,
    kept: KeptParts,
    windows: Sequence[Window],
    topic: str,
    now: Callable[[], datetime],
) -> Callable[[], Brief]:
    """What looks a brief up, for one thread at a time."""
    trends = Trends()

    def look() -> Brief:
        with reader.snapshot() as cursor:
            return brief(cursor, kept, trends, windows, topic, now())

    return look
