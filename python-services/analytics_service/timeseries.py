"""`TimeSeriesAggregator` on the system's clock."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from analytics_service.domain import aggregator


def _system_clock() -> datetime:
    return datetime.now(UTC)


class TimeSeriesAggregator(aggregator.TimeSeriesAggregator):
    """Collects log entries and aggregates them into 1min, 5min and 1hour windows."""

    def __init__(
        self,
        clock: Callable[[], datetime] = _system_clock,
        *,
        high_risk_threshold: float = 0.8,
        default_tz: tzinfo = UTC,
    ) -> None:
        super().__init__(clock, high_risk_threshold=high_risk_threshold, default_tz=default_tz)
