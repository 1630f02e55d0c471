"""Why a message can become a dead letter: the machine-readable reasons."""

from __future__ import annotations

_WHOLE = (
    "empty",
    "too_large",
    "invalid_json",
    "not_an_object",
    "future_timestamp",
    "too_old",
    "processing_failed",
)
_REQUIRED = ("timestamp", "service", "level")
_FIELDS = (
    *_REQUIRED, "latency_ms", "risk_score", "user_id", "request_id", "trace_id", "span_id", "message", "error_message",
    "source_ip", "geo_country", "user_subscription_tier", "enriched",
)  # fmt: skip

REASONS = (
    *_WHOLE,
    *(f"missing_field:{name}" for name in _REQUIRED),
    *(f"invalid_field:{name}" for name in _FIELDS),
)
