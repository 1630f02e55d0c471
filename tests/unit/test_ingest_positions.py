"""Where reading begins: one commented table."""

from __future__ import annotations

import pytest

from analytics_service.domain.positions import Start, decide_start

CASES = [
    # stored, log start, log end -> next offset, lost, verdict
    # --- nothing stored: the earliest message, whatever the log holds
    (None, 0, 0, 0, 0, "first_read"),  # an empty log
    (None, 0, 100, 0, 0, "first_read"),
    (None, 40, 100, 40, 0, "first_read"),  # what was gone before the first look was never ours
    (None, 100, 100, 100, 0, "first_read"),  # everything expired
    # --- stored inside the log, its edges included: go on
    (0, 0, 100, 0, 0, "resume"),
    (57, 0, 100, 57, 0, "resume"),
    (40, 40, 100, 40, 0, "resume"),  # exactly at the start: nothing is missing
    (100, 0, 100, 100, 0, "resume"),  # all read: the next message will be number 100
    (0, 0, 0, 0, 0, "resume"),
    (100, 100, 100, 100, 0, "resume"),
    # --- below the start: retention was faster
    (39, 40, 100, 40, 1, "behind_log_start"),
    (0, 40, 100, 40, 40, "behind_log_start"),
    (0, 100, 100, 100, 100, "behind_log_start"),
    # --- above the end: the broker lost its tail
    (101, 0, 100, 100, 1, "beyond_log_end"),
    (150, 40, 100, 100, 50, "beyond_log_end"),
    (5, 0, 0, 0, 5, "beyond_log_end"),
]


@pytest.mark.parametrize(("stored", "start", "end", "next_offset", "lost", "verdict"), CASES)
def test_decide_start(
    stored: int | None, start: int, end: int, next_offset: int, lost: int, verdict: str
) -> None:
    assert decide_start(stored, start, end) == Start(next_offset, lost, verdict)  # type: ignore[arg-type]  # a literal


def test_what_is_decided_is_inside_the_log_and_adds_up() -> None:
    for stored in (None, *range(12)):
        for start in range(6):
            for end in range(start, 10):
                decided = decide_start(stored, start, end)
                assert start <= decided.next_offset <= end
                assert decided.lost == (0 if stored is None else abs(decided.next_offset - stored))
                # Decided anew from its own outcome, nothing changes any more.
                assert decide_start(decided.next_offset, start, end) == Start(
                    decided.next_offset, 0, "resume"
                )
