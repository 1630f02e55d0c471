"""StackLens Analytics: windows over enriched log events.

``TimeSeriesAggregator`` is the part to import; it needs no broker, database or configuration.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analytics_service.timeseries import TimeSeriesAggregator

__all__ = ["TimeSeriesAggregator"]


def __getattr__(name: str) -> Any:
    # Lazy: every command imports this package, few need numpy and the sketches with it.
    if name == "TimeSeriesAggregator":
        # pylint: disable-next=import-outside-toplevel  # that is the point
        from analytics_service.timeseries import TimeSeriesAggregator as aggregator

        return aggregator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
