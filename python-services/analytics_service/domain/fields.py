"""Readers of the event's fields: a JSON value in, a checked value out, `FieldError` when broken.

Values are as `jsontext.load_json` gives them: numbers are `JsonNumber`. ``name`` is the first
listed name of the field, whichever of its names carried the value.
"""

import math
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

from analytics_service.domain.addresses import canonical_address
from analytics_service.domain.jsontext import JsonNumber
from analytics_service.domain.timestamps import parse_epoch, parse_iso

MAX_SERVICE_LENGTH: Final = 255

LEVELS: Final[Mapping[str, str]] = {
    **{level: level for level in ("debug", "info", "warning", "error", "critical")},
    "warn": "warning",
    "err": "error",
    "fatal": "critical",
    "trace": "debug",
    "notice": "info",
}


class FieldError(Exception):
    """A field is missing or breaks its rule; ``reason`` is machine-readable."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def invalid(name: str, detail: str) -> FieldError:
    """The error of a field that is there but not right."""
    return FieldError(f"invalid_field:{name}", f"{name}: {detail}")


def required(document: Mapping[str, Any], name: str) -> Any:
    """The value of a field that must be present and not null."""
    value = document.get(name)
    if value is None:
        raise FieldError(f"missing_field:{name}", f"{name} is required")
    return value


def read_timestamp(value: Any, default_tz: tzinfo) -> int:
    """Microseconds since the epoch of a text or a number."""
    try:
        if isinstance(value, JsonNumber):
            return parse_epoch(value)
        if isinstance(value, str):
            return parse_iso(value, default_tz)
    except ValueError as error:
        raise invalid("timestamp", str(error)) from None
    raise invalid("timestamp", "neither text nor number")


def read_text(name: str, value: Any) -> str | None:
    """A text; a number is its JSON text, exactly. The empty text is a text, not an absence."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(name, "neither text nor number")
    if "\0" in value:
        raise invalid(name, "holds a NUL character")
    return str(value)


def read_service(value: Any) -> str:
    """A text of 1 to `MAX_SERVICE_LENGTH` code points."""
    service = read_text("service", value) or ""
    if not 1 <= len(service) <= MAX_SERVICE_LENGTH:
        raise invalid("service", f"{len(service)} characters, 1 to {MAX_SERVICE_LENGTH} allowed")
    return service


def read_level(value: Any) -> str:
    """The canonical name of a level given in any case and under any of its names."""
    level = LEVELS.get(value.lower()) if isinstance(value, str) else None
    if level is None:
        raise invalid("level", f"not a level: {str(value)[:40]!r}")
    return level


def read_number(name: str, value: Any, highest: float) -> float | None:
    """A finite float64 in 0..highest; -0.0 becomes 0.0."""
    if value is None:
        return None
    if not isinstance(value, JsonNumber):
        raise invalid(name, "not a number")
    number = float(value)
    if not math.isfinite(number) or not 0.0 <= number <= highest:
        raise invalid(name, f"out of range: {value[:40]}")
    return number + 0.0


def read_address(name: str, value: Any) -> str | None:
    """The canonical text of an IPv4 or IPv6 address."""
    text = read_text(name, value)
    if text is None:
        return None
    try:
        return canonical_address(text)
    except ValueError:
        raise invalid(name, f"not an address: {text[:60]!r}") from None
