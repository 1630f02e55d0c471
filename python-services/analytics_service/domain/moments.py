"""Event timestamps of a whole batch at once: columns of digits instead of one text at a time.

What a timestamp is, `timestamps.parse_iso` and `parse_epoch` say. The common shape,
``YYYY-MM-DD?hh:mm:ss[.fraction][zone]``, is read here with numpy, anything else by them.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics_service.domain.fields import FieldError, read_timestamp
from analytics_service.domain.jsontext import JsonNumber
from analytics_service.domain.timestamps import DAY_US, EPOCH, SECOND_US, parse_iso

UNREAD: Final = int(np.iinfo(np.int64).min)
"""Stands for what is no timestamp, and for one that no int64 holds."""

_LOCAL_EPOCH: Final = EPOCH.replace(tzinfo=None)
_MINUTE_US: Final = 60 * SECOND_US
_FURTHEST_US: Final = 2**62
_SHAPE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:[.,](?P<fraction>[0-9]+))?(?P<zone>[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_SHORTEST: Final = len("2026-01-01T00:00:00")
# Below this many texts the columns cost more than they save.
_WORTHWHILE: Final = 32

_Ints = NDArray[np.int64]


def read_moments(values: Sequence[Any], default_tz: tzinfo) -> _Ints:
    """Microseconds since the epoch of each value, `UNREAD` where it is no timestamp.

    ``values``: texts, ints, `JsonNumber` for other numbers; anything else is no timestamp.
    """
    moments = np.full(len(values), UNREAD, dtype=np.int64)
    lengths = [len(value) if value.__class__ is str else 0 for value in values]
    for length, count in Counter(lengths).items():
        if length < _SHORTEST or count < _WORTHWHILE:
            continue
        places = [place for place, found in enumerate(lengths) if found == length]
        joined = "".join([values[i] for i in places])
        if joined.isascii():
            characters = np.frombuffer(joined.encode("ascii"), dtype=np.uint8)
            moments[places] = _read_columns(characters.reshape(count, length), default_tz)
    for place in np.flatnonzero(moments == UNREAD).tolist():
        moments[place] = _read_one(values[place], default_tz)
    return moments


def read_text_moments(texts: Any, default_tz: tzinfo) -> _Ints:
    """The same of a pyarrow string array; null is no timestamp."""
    moments = np.full(len(texts), UNREAD, dtype=np.int64)
    bounds, data = _buffers(texts)
    lengths = np.diff(bounds)
    for length, count in zip(*np.unique(lengths, return_counts=True), strict=True):
        if length < _SHORTEST or count < _WORTHWHILE:
            continue
        if count == len(texts):
            characters = data[bounds[0] : bounds[-1]].reshape(len(texts), length)
            moments = _read_columns(characters, default_tz)
        else:
            places = np.flatnonzero(lengths == length)
            characters = data[bounds[places, None] + np.arange(length)]
            moments[places] = _read_columns(characters, default_tz)
    others = np.flatnonzero(moments == UNREAD)
    for place, value in zip(others.tolist(), texts.take(others).to_pylist(), strict=True):
        moments[place] = _read_one(value, default_tz)
    return moments


def _buffers(texts: Any) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Where each text of a pyarrow string array begins (one more than there are texts), and their bytes."""
    _, bounds, data = texts.buffers()
    first = texts.offset
    starts = np.frombuffer(bounds, dtype=np.int32)[first : first + len(texts) + 1]
    return starts, np.frombuffer(data or b"", dtype=np.uint8)


def _read_one(value: Any, default_tz: tzinfo) -> int:
    try:
        number = value.__class__ is int
        moment = read_timestamp(JsonNumber(value) if number else value, default_tz)
    except (FieldError, ValueError):  # ValueError: an int of more digits than Python writes out
        return UNREAD
    return moment if abs(moment) < _FURTHEST_US else UNREAD


def _read_columns(rows: NDArray[np.uint8], default_tz: tzinfo) -> _Ints:
    """Read texts of one length, a row of characters each: those of the shape of the first of them, and of its zone."""
    count, length = rows.shape
    moments = np.full(count, UNREAD, dtype=np.int64)
    first = rows[0].tobytes().decode("latin-1")
    shape = _SHAPE.fullmatch(first)
    if shape is None:
        return moments
    columns = np.ascontiguousarray(rows.T)
    digits = columns - np.uint8(ord("0"))  # wraps around: what is no digit is more than 9

    zone_start = shape.start("zone") if shape["zone"] else length
    right = np.ones(count, dtype=np.bool_)
    for place, character in enumerate(first):
        if character.isdigit() and place < zone_start:
            right &= digits[place] <= 9
        else:
            right &= columns[place] == ord(character)

    def number(start: int, end: int) -> _Ints:
        result: _Ints = digits[start].astype(np.int64)
        for place in range(start + 1, end):
            result *= 10
            result += digits[place]
        return result

    hours, minutes, seconds = number(11, 13), number(14, 16), number(17, 19)
    right &= (hours <= 23) & (minutes <= 59) & (seconds <= 59)
    local = ((hours * 60 + minutes) * 60 + seconds) * SECOND_US
    if shape["fraction"]:
        start, end = shape.span("fraction")
        end = min(end, start + 6)
        local += number(start, end) * 10 ** (6 - (end - start))
    days = _map_distinct(_day_start, number(0, 4) * 10_000 + number(5, 7) * 100 + number(8, 10))
    right &= days != UNREAD
    local[right] += days[right]
    local[~right] = 0

    offsets = _offsets(local, shape["zone"], default_tz)
    right &= np.not_equal(offsets, UNREAD)
    moments[right] = (local - offsets)[right]
    return moments


def _map_distinct(function: Callable[[int], int], values: _Ints) -> _Ints:
    """``function`` of each value, called once for each that is different."""
    first = int(values[0])
    if (values == first).all():
        return np.full(len(values), function(first), dtype=np.int64)
    distinct, inverse = np.unique(values, return_inverse=True)
    return np.array([function(value) for value in distinct.tolist()], dtype=np.int64)[inverse]


def _day_start(yyyymmdd: int) -> int:
    """Microseconds from the epoch to the start of a day, `UNREAD` when there is no such day."""
    year, month, day = yyyymmdd // 10_000, yyyymmdd // 100 % 100, yyyymmdd % 100
    try:
        return (datetime(year, month, day, tzinfo=EPOCH.tzinfo) - EPOCH).days * DAY_US
    except ValueError:
        return UNREAD


def _offsets(local: _Ints, zone: str | None, default_tz: tzinfo) -> _Ints | int:
    """What to subtract from local times to get UTC, in microseconds."""
    if zone:
        try:
            return -parse_iso(f"1970-01-01T00:00{zone}", default_tz)
        except ValueError:
            return UNREAD

    def offset(minute: int) -> int:
        start = _LOCAL_EPOCH + timedelta(minutes=minute)
        end = start + timedelta(seconds=59, microseconds=999_999)
        first, last = (default_tz.utcoffset(m.replace(tzinfo=default_tz)) for m in (start, end))
        if first is None or first != last:  # clocks changed within the minute
            return UNREAD
        return first // timedelta(microseconds=1)

    return _map_distinct(offset, local // _MINUTE_US)
