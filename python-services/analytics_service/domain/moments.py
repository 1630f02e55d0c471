"""Event timestamps of a whole batch at once: columns of digits instead of one text at a time.

`timestamps.parse_iso` and `parse_epoch` say what a timestamp is. This module reads the common
shapes, ``YYYY-MM-DD?hh:mm:ss[.fraction][zone]``, with numpy, and leaves the rest to the caller.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics_service.domain.timestamps import DAY_US, EPOCH, SECOND_US, parse_iso

UNREAD: Final = np.iinfo(np.int64).min
"""Stands for a timestamp that this module does not read."""

_MINUTE_US: Final = 60 * SECOND_US
_EPOCH_ORDINAL: Final = EPOCH.toordinal()
_SHAPE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?P<sep>[Tt ])[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:[.,](?P<fraction>[0-9]+))?(?P<zone>[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_DIGITS: Final = tuple(i for i in range(19) if i not in (4, 7, 10, 13, 16))

_Moments = NDArray[np.int64]
_Columns = NDArray[np.uint8]


def read_moments(values: Sequence[Any], default_tz: tzinfo) -> _Moments:
    """Microseconds since the epoch of each value, `UNREAD` where it is not of a common shape."""
    moments = np.full(len(values), UNREAD, dtype=np.int64)
    lengths = [len(value) if value.__class__ is str else 0 for value in values]
    for length, count in Counter(lengths).items():
        if length < 19:
            continue
        if count == len(values):
            return _read_equally_long(values, length, default_tz)
        places = [place for place, found in enumerate(lengths) if found == length]
        moments[places] = _read_equally_long([values[i] for i in places], length, default_tz)
    return moments


def _read_equally_long(texts: Sequence[str], length: int, default_tz: tzinfo) -> _Moments:
    """Read texts of one length, those that look like the first of them."""
    moments = np.full(len(texts), UNREAD, dtype=np.int64)
    joined = "".join(texts)
    shape = _SHAPE.fullmatch(texts[0])
    if shape is None or not joined.isascii():
        return moments
    raw = np.frombuffer(joined.encode("ascii"), dtype=np.uint8).reshape(len(texts), length)
    columns = np.ascontiguousarray(raw.T)
    digits = columns - np.uint8(ord("0"))  # wraps: anything but a digit becomes more than 9

    fraction_start, fraction_end = shape.span("fraction")
    digit_places = (*_DIGITS, *range(fraction_start, fraction_end)) if shape["fraction"] else _DIGITS
    right = np.ones(len(texts), dtype=np.bool_)
    for place in range(length):
        if place in digit_places:
            right &= digits[place] <= 9
        else:
            right &= columns[place] == ord(texts[0][place])

    hours, minutes, seconds = (_number(digits, start, 2) for start in (11, 14, 17))
    right &= (hours <= 23) & (minutes <= 59) & (seconds <= 59)
    moments_of_day = ((hours * 60 + minutes) * 60 + seconds).astype(np.int64) * SECOND_US
    if shape["fraction"]:
        kept = min(fraction_end - fraction_start, 6)
        moments_of_day += _number(digits, fraction_start, kept) * 10 ** (6 - kept)

    dates = _number(digits, 0, 4) * 10_000 + _number(digits, 5, 2) * 100 + _number(digits, 8, 2)
    days = _mapped(np.where(right, dates, 0), _day_number)
    right &= days != UNREAD
    local = np.where(right, days, 0) * DAY_US + moments_of_day
    offsets = _offsets(local, shape["zone"], default_tz)
    right &= offsets != UNREAD
    moments[right] = (local - offsets)[right]
    return moments
