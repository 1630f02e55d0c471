"""Moments as people type them: ISO 8601, or relative to now. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RELATIVE = re.compile(r"-([0-9]{1,9})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# In a query an unescaped plus sign of a zone arrives as a blank.
_LOST_PLUS = re.compile(r"(T\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?) (?=\d\d(?::?\d\d)?$)")
_FORMS = "ISO 8601 such as 2026-01-31T12:00:00Z, or relative such as -1h, -30m, -2d, or now"


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment `text` names, in UTC; ISO 8601 without a zone is UTC.

    Raises ValueError that says which forms there are.
    """
    if text == "now":
        return now
    try:
        moment = _relative(text, now) or datetime.fromisoformat(_LOST_PLUS.sub(r"\1+", text))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"must be {_FORMS}") from None
    if not EARLIEST <= moment <= LATEST:
        raise ValueError(f"must lie between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}")
    return moment


def _relative(text: str, now: datetime) -> datetime | None:
    match = _RELATIVE.fullmatch(text)
    if match is None:
        return None
    return now - timedelta(**{_UNITS[match[2]]: int(match[1])})


def epoch_us(moment: datetime) -> int:
    """Microseconds since 1970 of a moment with a zone, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_epoch_us(value: int) -> datetime:
    """The inverse of `epoch_us`. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=value)


def from_epoch_s(value: int) -> datetime:
    """The moment of whole epoch seconds, in UTC."""
    return EPOCH + timedelta(seconds=value)
