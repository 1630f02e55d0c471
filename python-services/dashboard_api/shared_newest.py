"""The newest of something that any worker of a replica looked up, for all of them, in shared memory.

As elsewhere there is no lock between processes that a killed or frozen one could keep: a claim runs out by itself, and
what two of them write at once has a wrong checksum, which readers take for nothing.
"""

from __future__ import annotations

import mmap
import struct
import time
import zlib
from collections.abc import Callable

OLDEST_S = 0.95
"""What is older is not answered with: an answer is at most a second old when it is sent."""
AGAIN_S = 0.5
"""What is so old is looked up again while it is asked for; what that takes has to fit in between."""
STILL_ASKED_S = 1.5
"""What nobody has asked for since is not looked up again."""
MOST_BYTES = 8 * 1024 * 1024
"""Beyond it each worker looks for itself; pages that were never written to take no memory."""
CLAIMED_S = 2.0

_CLAIM = struct.Struct("d")
_ASKED = struct.Struct("Q4d")  # who for, and the last moments, newest first
_HEAD = struct.Struct("dQQ")  # when it was looked up, length and checksum
_ASKED_AT = _CLAIM.size
_HEAD_AT = _ASKED_AT + _ASKED.size
_BODY_AT = _HEAD_AT + _HEAD.size


class SharedNewest:
    """Bytes and the moment (seconds of the monotonic clock, one for all processes) at which they were true.

    Create it before the workers are forked.
    """

    def __init__(
        self, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._memory = mmap.mmap(-1, _BODY_AT + most_bytes)
        self._most_bytes = most_bytes
        self._clock = clock

    def ask(self, owner: int) -> float | None:
        """Note that `owner` is asked for; how many seconds ago it was asked for the fourth time but this one.

        None if this is kept for another owner, who was asked for of late.
        """
        now_s = self._clock()
        known, *newer, oldest_s = _ASKED.unpack_from(self._memory, _ASKED_AT)
        if known != owner:
            if now_s - newer[0] <= STILL_ASKED_S:
                return None
            newer, oldest_s = [0.0] * len(newer), 0.0
        _ASKED.pack_into(self._memory, _ASKED_AT, owner, now_s, *newer)
        return float(now_s - oldest_s)

    def is_asked_for(self, owner: int) -> bool:
        """Whether `owner` was asked for of late."""
        known, newest_s, *_ = _ASKED.unpack_from(self._memory, _ASKED_AT)
        return bool(known == owner and self._clock() - newest_s <= STILL_ASKED_S)

    def claim(self) -> bool:
        """Whether the caller is the one to look now: nobody else is until it gives that back, or for some seconds."""
        now_s = self._clock()
        (until_s,) = _CLAIM.unpack_from(self._memory, 0)
        if now_s < until_s:
            return False
        _CLAIM.pack_into(self._memory, 0, now_s + CLAIMED_S)
        return True

    def give_back(self) -> None:
        """End the caller's claim."""
        _CLAIM.pack_into(self._memory, 0, 0.0)

    def write(self, at_s: float, content: bytes) -> None:
        """Have `content`, true at `at_s`, instead of anything older; nothing happens if it is too long."""
        if len(content) <= self._most_bytes and at_s > self.at_s():
            self._memory[_BODY_AT : _BODY_AT + len(content)] = content
            _HEAD.pack_into(self._memory, _HEAD_AT, at_s, len(content), _checksum(at_s, content))

    def at_s(self) -> float:
        """When the newest was true; 0 when there is none."""
        at_s: float = _HEAD.unpack_from(self._memory, _HEAD_AT)[0]
        return at_s

    def read(self) -> tuple[float, bytes] | None:
        """The newest and when it was true; None when there is none, or it is just being written."""
        at_s, length, checksum = _HEAD.unpack_from(self._memory, _HEAD_AT)
        content = self._memory[_BODY_AT : _BODY_AT + min(length, self._most_bytes)]
        return (at_s, content) if checksum and checksum == _checksum(at_s, content) else None


def _checksum(at_s: float, content: bytes) -> int:
    """Never 0, which is what memory holds at first."""
    return zlib.crc32(content, zlib.crc32(_CLAIM.pack(at_s))) + 1
