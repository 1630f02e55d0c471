"""Durations as people type them, and moments to come that are given by one. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from analytics_service.domain.times import LATEST, parse_moment

_DURATION: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """A duration such as 30m, 2h or 1d, longer than nothing; raises ValueError that says so."""
    found = _DURATION.fullmatch(text)
    if found is None or not int(found[1]):
        raise ValueError("must be a duration such as 30m, 2h or 1d")
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise ValueError("must be a duration of at most 999999999 days") from None


def parse_later(text: str, now: datetime) -> datetime:
    """The moment that `text` names: `+2h` from now, or whatever `parse_moment` reads; in UTC.

    Raises ValueError that says which forms there are.
    """
    if not text.startswith("+"):
        try:
            return parse_moment(text, now)
        except ValueError as error:
            raise ValueError(f"{error}, or later than now such as +2h, +1d") from None
    try:
        moment = now + parse_duration(text[1:])
    except ValueError:
        raise ValueError("must be such as +30m, +2h or +1d") from None
    except OverflowError:
        moment = datetime.max.replace(tzinfo=now.tzinfo)
    if moment > LATEST:
        raise ValueError(f"must lie before {LATEST:%Y-%m-%d}")
    return moment
