"""Where to read on in a partition, decided from what is stored and what the log still holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["first_read", "resume", "behind_log_start", "beyond_log_end"]


@dataclass(frozen=True, slots=True)
class Start:
    """Offset to read next, messages that were gone before they could be read, and why."""

    next_offset: int
    lost: int
    verdict: Verdict


def decide_start(stored: int | None, log_start: int, log_end: int) -> Start:
    """Decide the first offset to read of a partition.

    `stored` is the next offset of the database (None: never read), `log_start` and `log_end` are the first offset the
    log still holds and the one its next message will get. `stored` must have been read before the log's limits were
    asked for: another worker may advance it in between, and then it must not look as if the log had lost its tail.

    - nothing stored: the earliest message;
    - stored below the log's start: retention was faster; go on from the start, the difference is lost;
    - stored above the log's end: the broker lost its tail; go on from the end, the difference is lost.
    """
    if stored is None:
        return Start(log_start, 0, "first_read")
    if stored < log_start:
        return Start(log_start, log_start - stored, "behind_log_start")
    if stored > log_end:
        return Start(log_end, stored - log_end, "beyond_log_end")
    return Start(stored, 0, "resume")
