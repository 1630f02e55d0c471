"""Parsers of settings: text in, value out, ValueError with a sentence that says what is allowed."""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from analytics_service.domain.windows import WINDOWS


def text(value: str) -> str:
    """Any text without NUL characters."""
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def required_text(value: str) -> str:
    """Text that is not empty."""
    if not value:
        raise ValueError("must not be empty")
    return text(value)


def integer(low: int, high: int) -> Callable[[str], int]:
    """Parser of a whole number from `low` to `high`."""

    def parse(value: str) -> int:
        try:
            parsed = int(value)
        except ValueError:
            raise ValueError(f"must be a whole number, not {value!r}") from None
        if not low <= parsed <= high:
            raise ValueError(f"must be from {low} to {high}, not {parsed}")
        return parsed

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """Parser of a finite number from `low` to `high`."""

    def parse(value: str) -> float:
        try:
            parsed = float(value)
        except ValueError:
            raise ValueError(f"must be a number, not {value!r}") from None
        if not math.isfinite(parsed) or not low <= parsed <= high:
            raise ValueError(f"must be from {low:g} to {high:g}, not {value}")
        return parsed

    return parse


def networks(value: str) -> tuple[str, ...]:
    """Addresses or networks, comma separated; may be empty."""
    found = []
    for part in filter(None, (part.strip() for part in value.split(","))):
        try:
            found.append(str(ipaddress.ip_network(part, strict=False)))
        except ValueError:
            raise ValueError(f"must be addresses or networks, not {part!r}") from None
    return tuple(found)


def boolean(value: str) -> bool:
    """true/false, yes/no, on/off, 1/0 in any case."""
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False}
    if value.lower() not in known:
        raise ValueError(f"must be true or false, not {value!r}")
    return known[value.lower()]


def one_of(*allowed: str, fold: Callable[[str], str] = str.lower) -> Callable[[str], str]:
    """Parser of one word out of `allowed`, any case."""

    def parse(value: str) -> str:
        if fold(value) not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, not {value!r}")
        return fold(value)

    return parse


def servers(value: str) -> str:
    """Comma separated host:port."""
    for part in value.split(","):
        host, _, port = part.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"must be host:port, separated by commas; {part.strip()!r} is not")
    return ",".join(part.strip() for part in value.split(","))


def zone(value: str) -> str:
    """An IANA time-zone name."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"must be an IANA time zone such as UTC or Europe/Berlin, not {value!r}"
        ) from None
    return value


def windows(value: str) -> tuple[str, ...]:
    """Comma separated window names, in the product's order."""
    allowed = [window.name for window in WINDOWS]
    asked = [part.strip() for part in value.split(",") if part.strip()]
    for name in asked:
        if name not in allowed:
            raise ValueError(f"{name!r} is not a window; allowed: {', '.join(allowed)}")
    if not asked:
        raise ValueError(f"must name at least one of {', '.join(allowed)}")
    return tuple(name for name in allowed if name in asked)


def optional_path(value: str) -> Path | None:
    """A path, or nothing."""
    return Path(value) if value else None


def existing_dir(value: str) -> Path:
    """A directory that is there."""
    path = Path(value)
    if not path.is_dir():
        raise ValueError(f"no such directory: {value}")
    return path


def default_sql_dir() -> str:
    """The migrations beside the checkout, or where an installation puts them."""
    beside = Path(__file__).resolve().parents[2] / "sql"
    return str(beside if beside.is_dir() else Path(sys.prefix) / "share" / "stacklens" / "sql")
