"""The peer: the same Bytewax dataflow with the window operators of its documentation.

They hand a window on when it closes. Nothing says how late an event may be, so here they all close at the end of the
topic: no row is there before, which is less than the job asks for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.operators import windowing

from bench.peers import bytewax_flow, common

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = timedelta(days=1)


def fold(state: common.State, event: bytewax_flow.Event) -> common.State:
    """Count one event."""
    common.add(state, event.level, event.latency_ms)
    return state


def merge(_one: common.State, _other: common.State) -> common.State:
    """Only session windows merge."""
    raise NotImplementedError


def fold_windows(events: Any) -> Any:
    """Three tumbling windows by `fold_window`; the order of events does not matter to sums."""
    rows = []
    clock = windowing.EventClock(lambda event: event.time, wait_for_system_duration=LATEST)
    for window, seconds in common.WINDOWS.items():
        windower = windowing.TumblingWindower(timedelta(seconds=seconds), EPOCH)
        folded = windowing.fold_window(
            window, events, clock, windower, common.new_state, fold, merge, ordered=False
        )
        rows.append(op.map_value(f"{window}-rows", folded.down, _row(window, seconds)))
    return op.merge("all-windows", *rows)


def _row(window: str, seconds: int) -> Any:
    return lambda closed: (window, closed[0] * seconds, closed[1])


if __name__ == "__main__":
    bytewax_flow.run(fold_windows)
