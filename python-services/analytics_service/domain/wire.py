"""The event as msgspec reads it from JSON: all names of every field, strict types.

msgspec refuses whatever breaks the types here; the caller then asks `events.parse_event`, which
knows the rules in full. What msgspec takes that the contract does not is `doubtful`.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from analytics_service.domain.events import EVENT_FIELDS, Event
from analytics_service.domain.fields import MAX_SERVICE_LENGTH
from analytics_service.domain.jsontext import MAX_DEPTH, JsonNumber

_Text = str | None
_Risk = Annotated[float, Meta(ge=0, le=1)] | None


class _Enriched(msgspec.Struct, gc=False):
    user_id: str | int | None = None
    request_id: _Text = None
    ip_address: _Text = None


NOT_ENRICHED: Final = _Enriched()

# An Event with more fields, so that reading JSON makes the event itself and nothing is copied. The
# first field holds the timestamp as written until it is understood.
WireEvent: Final[Any] = msgspec.defstruct(
    "WireEvent",
    [
        ("timestamp_us", Any),
        ("service", Annotated[str, Meta(min_length=1, max_length=MAX_SERVICE_LENGTH)]),
        ("level", str),
        ("latency_ms", Annotated[float, Meta(ge=0)] | None, None),
        ("risk_score", _Risk, None),
        ("user_id", str | int | None, None),
        *((name, _Text, None) for name in EVENT_FIELDS[6:]),
        ("business_risk_score", _Risk, None),
        ("ip_address", _Text, None),
        ("geo_country_name", _Text, None),
        ("geo_country_code", _Text, None),
        ("enriched", _Enriched | None, None),
    ],
    bases=(Event,),
    rename={"timestamp_us": "timestamp"},
    gc=False,
    eq=False,
)

read_wire_event: Final = msgspec.json.Decoder(WireEvent, float_hook=JsonNumber).decode
"""WireEvent of bytes; msgspec.DecodeError, UnicodeDecodeError, RecursionError if it cannot."""


USUAL_BYTES: Final = 2 * MAX_DEPTH
"""A value in UTF-8 that is no longer than this and has no `ESCAPED_NUL` is not `doubtful`."""
ESCAPED_NUL: Final = b"\\u0000"


def doubtful(value: bytes | None, max_bytes: int) -> bool:
    """Whether msgspec might take a value that the contract refuses.

    It does not check the encoding of what it skips, its limit of nesting depends on the caller's
    stack, and a NUL is a character to it.
    """
    if not value or len(value) > max_bytes or ESCAPED_NUL in value:
        return True
    return value.count(b"[") + value.count(b"{") > MAX_DEPTH or not is_utf8(value)


def is_utf8(value: bytes) -> bool:
    """Whether all of it is UTF-8."""
    try:
        return value.isascii() or bool(value.decode("utf-8"))
    except UnicodeDecodeError:
        return False
