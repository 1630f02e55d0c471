"""Names, numbers and times as people read them in a message. Pure.

Names come from whoever sends events: they may hold line breaks, invisible characters or nothing at all.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import timedelta
from typing import Final

from analytics_service.domain.times import EPOCH

NO_DATA: Final = "no data"
_UNITS: Final = {"error_rate": " %"}
_MOST_WRITTEN_OUT: Final = 1e15


def clean(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, without characters that cannot be seen.

    Line breaks could forge lines, and marks of direction or of no width let one name look like another.
    """
    seen = "".join(_visible(character) for character in text[: 4 * most])
    line = " ".join(seen.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def name(text: str, most: int = 255) -> str:
    """A cleaned name; `(no name)` when nothing of it can be seen."""
    return clean(text, most) or "(no name)"


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cf", "Cs"):
        return ""
    return " " if category in ("Cc", "Zl", "Zp") else character


def number(value: float, digits: int = 3) -> str:
    """`31.2`, `1,235`, `0.0451`: that many significant digits, all digits before the point."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    size = abs(value)
    if size >= _MOST_WRITTEN_OUT or 0 < size < 1e-6:
        return f"{value:.{digits}g}"
    if value == int(value):
        return f"{int(value):,}"
    places = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(metric_name: str, value: float | None, digits: int = 3) -> str:
    """A metric's value with its unit; `no data` for None."""
    return NO_DATA if value is None else number(value, digits) + unit(metric_name)


def unit(metric_name: str) -> str:
    """The unit of a metric with a blank before it; empty for counts and scores."""
    return _UNITS.get(metric_name, " ms" if metric_name.endswith("_ms") else "")


def compared(metric_name: str, value: float, operator: str | None, threshold: float) -> str:
    """`31.2 % > 20 %`, with as many digits as it takes to tell one from the other."""
    for digits in (3, 5, 8, 12, 17):
        left, right = number(value, digits), number(threshold, digits)
        if left != right or value == threshold:
            break
    sign = f" {operator} " if operator else ", threshold "
    return f"{left}{unit(metric_name)}{sign}{right}{unit(metric_name)}"


def limit(metric_name: str, operator: str | None, threshold: float) -> str:
    """`> 20 %`; without an operator `threshold 20 %`."""
    return f"{operator or 'threshold'} {quantity(metric_name, threshold)}"


def moment(epoch_s: float) -> str:
    """`2026-01-31 02:58:00 UTC`."""
    try:
        return f"{EPOCH + timedelta(seconds=math.floor(epoch_s)):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError):
        return "at an unknown time"


def duration(seconds: float) -> str:
    """`45 s`, `2 min`, `1 h 5 min`, `3 d 4 h`: at most two units, cut off; what is below nothing is `0 s`."""
    if not math.isfinite(seconds):
        return "an unknown time"
    whole = max(0, math.floor(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    big, small, names = (
        (*divmod(minutes, 60), ("h", "min"))
        if minutes < 1440
        else (*divmod(minutes // 60, 24), ("d", "h"))
    )
    return f"{big} {names[0]}" + (f" {small} {names[1]}" if small else "")
