"""Moving recorded events in time: the `timestamp` of a line is shifted, all else stays as it is."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import msgspec

MILLISECONDS_FROM: Final = 1e11  # larger numbers are epoch milliseconds, smaller ones seconds
_MEMBER = re.compile(rb'("timestamp"\s*:\s*)("(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*)')

Stamp = str | int | float


class _Line(msgspec.Struct):
    timestamp: Stamp


_DECODER = msgspec.json.Decoder(_Line)


def stamp_us(line: bytes, zone: tzinfo) -> int | None:
    """Time of the event in epoch microseconds; None when the line carries none that can be read.

    `zone` is for stamps that carry none.
    """
    stamp = _stamp(line)
    return None if stamp is None else _to_us(stamp, zone)


def shift(line: bytes, delta_us: int, zone: tzinfo) -> bytes | None:
    """The line with its time moved by `delta_us`; None when it carries none that can be read.

    Texts become ISO 8601 in UTC; numbers stay numbers of the same unit. Only the bytes of the stamp
    change, unless another member is called so too: then the object is written anew.
    """
    stamp = _stamp(line)
    at_us = None if stamp is None else _to_us(stamp, zone)
    if stamp is None or at_us is None:
        return None
    moved = _moved(stamp, at_us + delta_us)
    if moved is None:
        return None
    edited, found = _MEMBER.subn(lambda match: match[1] + moved, line)
    # The one match may yet be a member of another object, when the name of ours is written with escapes.
    if found == 1 and _stamp(edited) == json.loads(moved):
        return edited
    document = json.loads(line)
    document["timestamp"] = json.loads(moved)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def _stamp(line: bytes) -> Stamp | None:
    try:
        return _DECODER.decode(line).timestamp
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _to_us(stamp: Stamp, zone: tzinfo) -> int | None:
    if isinstance(stamp, int | float):
        if not math.isfinite(stamp) or abs(stamp) > 1e17:
            return None
        unit_us = 1_000 if abs(stamp) >= MILLISECONDS_FROM else 1_000_000
        return round(stamp * unit_us)
    try:
        at = datetime.fromisoformat(stamp)
        aware = at if at.tzinfo is not None else at.replace(tzinfo=zone)
        return _epoch_us(aware)
    except (ValueError, OverflowError):
        return None


def _epoch_us(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _moved(stamp: Stamp, at_us: int) -> bytes | None:
    """The new stamp as JSON; None when it lies outside what a date can hold."""
    if isinstance(stamp, str):
        try:
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
        except OverflowError:
            return None
        return b'"' + at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode() + b'"'
    unit_us = 1_000 if abs(stamp) >= MILLISECONDS_FROM else 1_000_000
    number = at_us // unit_us if isinstance(stamp, int) else at_us / unit_us
    return repr(number).encode()
