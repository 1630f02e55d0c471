"""The tumbling windows: half-open ``[start, end)``, aligned to UTC, named by event time."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Window:
    """One size of window, the table that holds its rows and the retention tier of that table."""

    name: str
    table: str
    tier: str
    seconds: int

    def start_of(self, moment_s: int) -> int:
        """Start, in epoch seconds UTC, of the window that contains ``moment_s`` (epoch seconds)."""
        return moment_s - moment_s % self.seconds


WINDOWS: Final[tuple[Window, ...]] = (
    Window("1min", "analytics_metrics_1min", "warm", 60),
    Window("5min", "analytics_metrics_5min", "cold", 300),
    Window("1hour", "analytics_metrics_1hour", "cold", 3600),
)

# Days that are over, merged from the hours; a level for long ranges, not a window that anybody asks for.
DAY: Final[Window] = Window("1day", "analytics_metrics_1day", "cold", 86_400)

# Every larger window is a whole number of these, so its state is a merge of theirs.
BASE_WINDOW: Final[Window] = WINDOWS[0]


def window_named(name: str) -> Window:
    """The window called ``name``; ValueError naming the allowed names otherwise."""
    for window in WINDOWS:
        if window.name == name:
            return window
    allowed = ", ".join(window.name for window in WINDOWS)
    raise ValueError(f"window must be one of {allowed}, not {name!r}")
