"""Windows over log entries in memory, for people who import the library."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from numbers import Integral, Real
from typing import Any, Final

from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.events import Event, EventRules, Rejection, read_event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.jsontext import JsonNumber
from analytics_service.domain.timestamps import MAX_TIMESTAMP_US
from analytics_service.domain.windows import window_named

# Entries waiting to be folded; bounds memory, and folding many at once is fast.
_FOLD_EVERY: Final = 10_000
# State that only merging needs; an aggregate is the figures.
_STATE_COLUMNS: Final = frozenset(
    {
        "latency_count",
        "latency_sum_ms",
        "latency_buckets",
        "latency_bucket_counts",
        "risk_count",
        "risk_sum",
        "users_sketch",
        "users_recent",
        "ips_sketch",
        "ips_recent",
    }
)


class TimeSeriesAggregator:
    """Collects log entries and aggregates them into 1min, 5min and 1hour windows.

    The same rules, windows and figures as in the database: entries are checked, folded and rolled
    up by the code that the service runs. ``clock`` gives the present moment, aware.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        high_risk_threshold: float = 0.8,
        default_tz: tzinfo = UTC,
    ) -> None:
        self._clock = clock
        self._high_risk_threshold = high_risk_threshold
        # Entries of any age: whoever calls this decides what to look at.
        self._rules = EventRules(default_tz, MAX_TIMESTAMP_US, 2 * MAX_TIMESTAMP_US)
        self._moment_of_first: datetime | None = None
        self._waiting: list[Event] = []
        self._cells: dict[Cell, Delta] = {}

    def add_log(
        self,
        service: str,
        user_id: str | int | None,
        level: str,
        latency_ms: float | None,
        risk_score: float | None,
        *,
        timestamp: datetime | str | float | None = None,
    ) -> None:
        """Add one log entry; ValueError, naming the field, when it breaks a rule of the event.

        ``timestamp``: a datetime or ISO 8601 text (without zone: ``default_tz``), or epoch seconds
        or milliseconds. Entries without one are all of the moment of the first such call, so that
        one run of calls is one window.
        """
        if timestamp is None:
            if self._moment_of_first is None:
                self._moment_of_first = self._clock()
            timestamp = self._moment_of_first
        entry = {
            "timestamp": timestamp,
            "service": service,
            "level": level,
            "latency_ms": latency_ms,
            "risk_score": risk_score,
            "user_id": user_id,
        }
        document = {name: _as_json(value) for name, value in entry.items()}
        outcome = read_event(document, self._rules, 0)
        if isinstance(outcome, Rejection):
            raise ValueError(f"{outcome.reason}: {outcome.detail}")
        self._waiting.append(outcome)
        if len(self._waiting) >= _FOLD_EVERY:
            self._fold()

    def aggregate(self, window: str) -> list[dict[str, Any]]:
        """One row a service and window (``1min``, ``5min``, ``1hour``), by timestamp and service.

        Columns as in the metrics tables: ``timestamp`` (the window's start, an aware datetime),
        ``service``, the figures, ``aggregated_at``. Figures of what no entry carries are None.
        ValueError when there is no such window.
        """
        size = window_named(window)
        self._fold()
        now = self._clock()
        by_time = sorted(roll_up(self._cells, size).items(), key=lambda item: item[0][::-1])
        return [
            {
                "timestamp": datetime.fromtimestamp(start, UTC),
                "service": service,
                **_figures(delta.to_state()),
                "aggregated_at": now,
            }
            for (service, start), delta in by_time
        ]

    def _fold(self) -> None:
        for cell, delta in fold_events(self._waiting, self._high_risk_threshold).items():
            present = self._cells.setdefault(cell, delta)
            if present is not delta:
                present.merge_from(delta)
        self._waiting = []


def _figures(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in _STATE_COLUMNS}


def _as_json(value: object) -> object:
    """The value as it would come out of a JSON document."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # numpy's numbers are numbers, too
        return JsonNumber(int(value))
    if isinstance(value, Real):
        return JsonNumber(float(value))
    return value
