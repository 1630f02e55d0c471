"""The rules of single fields, each from the contract's table, in plain Python.

A JSON number arrives as an instance of the class `number`, a text with its digits as they stood.
"""

from __future__ import annotations

import math
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

LEVELS = {
    "debug": "debug",
    "trace": "debug",
    "info": "info",
    "notice": "info",
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "err": "error",
    "critical": "critical",
    "fatal": "critical",
}
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rejected(Exception):
    """The message is a dead letter; `reason` is the machine-readable one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Event:
    """An event that keeps every rule; `source_ip` is the packed address."""

    timestamp_us: int
    service: str
    level: str
    latency_ms: float | None
    risk_score: float | None
    user_id: str | None
    request_id: str | None
    trace_id: str | None
    span_id: str | None
    message: str | None
    error_message: str | None
    source_ip: bytes | None
    geo_country: str | None
    user_subscription_tier: str | None


def text(value: object, name: str) -> str | None:
    """Optional text; a number is its JSON text."""
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise Rejected(f"invalid_field:{name}")
    return str(value)


def required_text(value: object, name: str) -> str:
    """Text of 1 to 255 characters; a number is its JSON text."""
    given = text(value, name)
    if given is None:
        raise Rejected(f"missing_field:{name}")
    if not 1 <= len(given) <= 255:
        raise Rejected(f"invalid_field:{name}")
    return given


def level(value: object, number: type[str]) -> str:
    """One of the five levels, whatever its case or alias."""
    if value is None:
        raise Rejected("missing_field:level")
    if not isinstance(value, str) or isinstance(value, number) or value.lower() not in LEVELS:
        raise Rejected("invalid_field:level")
    return LEVELS[value.lower()]


def latency(value: object, number: type[str]) -> float | None:
    """Finite milliseconds, not negative."""
    return _number(value, "latency_ms", number, math.inf)


def risk(value: object, number: type[str]) -> float | None:
    """From 0 to 1."""
    return _number(value, "risk_score", number, 1.0)


def _number(value: object, name: str, number: type[str], most: float) -> float | None:
    if value is None:
        return None
    if not isinstance(value, number):
        raise Rejected(f"invalid_field:{name}")
    parsed = float(value)
    if not math.isfinite(parsed) or parsed < 0 or parsed > most:
        raise Rejected(f"invalid_field:{name}")
    return parsed


def address(value: object, number: type[str]) -> bytes | None:
    """The packed form of an IPv4 (4 bytes) or IPv6 (16 bytes) address."""
    if value is None:
        return None
    if not isinstance(value, str) or isinstance(value, number):
        raise Rejected("invalid_field:source_ip")
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, value)
        except (OSError, ValueError):
            continue
    raise Rejected("invalid_field:source_ip")


def moment_us(value: object, zone: tzinfo, number: type[str]) -> int:
    """Epoch microseconds of an ISO 8601 text, or of a number of seconds or milliseconds."""
    if value is None:
        raise Rejected("missing_field:timestamp")
    if isinstance(value, number):
        return _from_number(value)
    found = _ISO.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Rejected("invalid_field:timestamp")
    year, month, day, hour, minute = (int(found[group]) for group in range(1, 6))
    micros = int((found[7] or "0")[:6].ljust(6, "0"))  # cut, not rounded
    try:
        local = datetime(
            year, month, day, hour, minute, int(found[6] or 0), micros, _zone_of(found, zone)
        )
        return (local - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise Rejected("invalid_field:timestamp") from None


def _zone_of(found: re.Match[str], zone: tzinfo) -> tzinfo:
    if found[8]:
        return UTC
    if not found[9]:
        return zone
    offset = timedelta(hours=int(found[10]), minutes=int(found[11] or 0))
    return timezone(-offset if found[9] == "-" else offset)


def _from_number(digits: str) -> int:
    exact = Decimal(digits)
    if not -(10**14) < exact < 10**14:
        raise Rejected("invalid_field:timestamp")
    return int(exact * (1_000 if exact >= 10**11 else 1_000_000))
