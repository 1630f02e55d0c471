"""Tests that speak of days do not begin just before one ends."""

from __future__ import annotations

import time

from tests.waiting import wait_until

DAY_S = 86_400


def left_of_the_day_s() -> float:
    """Seconds until the next midnight, in UTC or by the local clock, whichever comes first."""
    clocks = (time.gmtime(), time.localtime())
    return min(DAY_S - (at.tm_hour * 60 + at.tm_min) * 60 - at.tm_sec for at in clocks)


def clear_of_midnight(margin_s: float = 60.0) -> None:
    """Return at once, or after midnight when less than `margin_s` seconds are left of the day."""
    wait_until(lambda: left_of_the_day_s() >= margin_s, margin_s + 10, "the day that ends is over")
