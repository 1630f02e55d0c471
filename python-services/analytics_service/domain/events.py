"""The event of the input topic: its fields, its rules, and why a value breaks them.

`parse_event` is the reference: complete and clear; `decoding.decode_batch` gives the same results
at speed. The order of the checks decides which reason a value with several faults is given: the
value as a whole (`empty`, `too_large`, `invalid_json`, `not_an_object`), then the fields in the
order of `Event`, then `enriched`, then the age of the timestamp.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import msgspec

from analytics_service.domain.fields import (
    FieldError,
    invalid,
    read_address,
    read_level,
    read_number,
    read_service,
    read_text,
    read_timestamp,
    required,
)
from analytics_service.domain.jsontext import load_json
from analytics_service.domain.timestamps import MAX_TIMESTAMP_US, MIN_TIMESTAMP_US

FAILED_LEVELS: Final = frozenset({"error", "critical"})


@dataclass(frozen=True, slots=True)
class EventRules:
    """What depends on configuration: the zone of zone-less times, how far from now is allowed."""

    default_tz: tzinfo
    max_future_us: int
    max_age_us: int
    max_value_bytes: int = 65536

    def allowed_span(self, now_us: int) -> tuple[int, int]:
        """The first and the last microsecond an event may carry when it is ``now_us``."""
        first = max(now_us - self.max_age_us, MIN_TIMESTAMP_US)
        last = min(now_us + self.max_future_us, MAX_TIMESTAMP_US)
        return first, last


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a value is a dead letter: a machine-readable reason and a detail for people."""

    reason: str
    detail: str


class Event(msgspec.Struct, gc=False, eq=False):
    """A valid event; None is an absent field. Two events are equal when their fields are.

    ``timestamp_us``: microseconds since the epoch, UTC. ``level``: one of the five canonical names.
    ``latency_ms``: finite, >= 0. ``risk_score``: 0..1. ``source_ip``: canonical text. An event may be
    of a subclass with more fields: take the fields by their names (`EVENT_FIELDS`).
    """

    timestamp_us: int
    service: str
    level: str
    latency_ms: float | None = None
    risk_score: float | None = None
    user_id: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    message: str | None = None
    error_message: str | None = None
    source_ip: str | None = None
    geo_country: str | None = None
    user_subscription_tier: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in EVENT_FIELDS)

    def __ne__(self, other: object) -> bool:  # a Struct's own goes by identity
        return not self == other


EVENT_FIELDS: Final[tuple[str, ...]] = Event.__struct_fields__


def parse_event(value: bytes | None, rules: EventRules, now_us: int) -> Event | Rejection:
    """The event in a message's value, or why it is none. ``now_us``: epoch microseconds."""
    if not value:
        return Rejection("empty", "no value")
    if len(value) > rules.max_value_bytes:
        return Rejection("too_large", f"{len(value)} bytes, {rules.max_value_bytes} allowed")
    try:
        document = load_json(value)
    except ValueError as error:
        return Rejection("invalid_json", str(error)[:200])
    if not isinstance(document, dict):
        return Rejection("not_an_object", f"a JSON {type(document).__name__}")
    return read_event(document, rules, now_us)


def read_event(document: Mapping[str, Any], rules: EventRules, now_us: int) -> Event | Rejection:
    """The event in a JSON object as `load_json` gives it, or the first rule that it breaks.

    Of two names for one field the first listed that is present and not null wins, the other is
    not looked at; a reason always names the first.
    """
    try:
        event = _read_fields(document, rules.default_tz)
    except FieldError as error:
        return Rejection(error.reason, error.detail)
    first, last = rules.allowed_span(now_us)
    if event.timestamp_us > last:
        return Rejection("future_timestamp", f"{event.timestamp_us - now_us} us ahead of now")
    if event.timestamp_us < first:
        return Rejection("too_old", f"{now_us - event.timestamp_us} us behind now")
    return event


def _read_fields(document: Mapping[str, Any], default_tz: tzinfo) -> Event:
    """Read the fields in the order in which they are judged."""
    get = document.get
    enriched = get("enriched")
    inner = enriched if isinstance(enriched, dict) else {}
    event = Event(
        timestamp_us=read_timestamp(required(document, "timestamp"), default_tz),
        service=read_service(required(document, "service")),
        level=read_level(required(document, "level")),
        latency_ms=read_number("latency_ms", get("latency_ms"), math.inf),
        risk_score=read_number(
            "risk_score", _first(get("risk_score"), get("business_risk_score")), 1.0
        ),
        user_id=read_text("user_id", _first(get("user_id"), inner.get("user_id"))),
        request_id=read_text("request_id", _first(get("request_id"), inner.get("request_id"))),
        trace_id=read_text("trace_id", get("trace_id")),
        span_id=read_text("span_id", get("span_id")),
        message=read_text("message", get("message")),
        error_message=read_text("error_message", get("error_message")),
        source_ip=read_address(
            "source_ip", _first(get("source_ip"), get("ip_address"), inner.get("ip_address"))
        ),
        geo_country=read_text(
            "geo_country",
            _first(get("geo_country"), get("geo_country_name"), get("geo_country_code")),
        ),
        user_subscription_tier=read_text("user_subscription_tier", get("user_subscription_tier")),
    )
    if enriched is not None and not isinstance(enriched, dict):
        raise invalid("enriched", "not an object")
    return event


def _first(*values: Any) -> Any:
    """The first value that is not null."""
    return next((value for value in values if value is not None), None)
