"""Values that break a rule, one or more for every reason of the contract, with that reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

BadValue = tuple[str, bytes | None]


def bad_values(now: datetime) -> list[BadValue]:
    """(reason, value) of every kind of dead letter; `now`: an aware time near that of judging."""
    good = {"timestamp": now.isoformat(), "service": "checkout", "level": "info"}
    return [
        *_unreadable(good),
        *_missing(good),
        *_wrong_required(good),
        *_wrong_numbers(good),
        *_wrong_texts(good),
        *_wrong_times(good, now),
    ]


def encoded(fields: Mapping[str, object]) -> bytes:
    """Compact JSON; characters outside ASCII as themselves."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _with(good: dict[str, str], **fields: object) -> bytes:
    return encoded({**good, **fields})


def _raw(good: dict[str, str], member: bytes) -> bytes:
    """A good event with one more member, given as it stands."""
    return encoded({**good})[:-1] + b"," + member + b"}"


def _unreadable(good: dict[str, str]) -> Iterator[BadValue]:
    yield "empty", b""
    yield "empty", None
    for value in (
        b"not json",
        b'{"timestamp":',
        b"{'service': 'checkout'}",
        b"\xff\xfe{}",
        b"\x00",
        b" ",
        b"[" * 5_000,  # deep, and never closed
        encoded({**good}) + b"}",
        encoded({**good}) + b"{}",
        b"\xef\xbb\xbf" + encoded({**good}),
        _raw(good, b'"latency_ms":NaN'),
        _raw(good, b'"latency_ms":Infinity'),
        _raw(good, b'"risk_score":0.5,"business_risk_score":NaN'),
        _raw(good, b'"risk_score":0.5,"business_risk_score":-Infinity'),
        _raw(good, b'"latency_ms":01'),
        _raw(good, b'"message":"line\nbreak"'),
        _raw(good, b'"message":"\xc3"'),
        _raw(good, b'"message":"\xed\xa0\x80"'),
        _raw(good, b'"message":"\\ud800"'),
        _raw(good, b'"user_id":"\\udc00x"'),
        _raw(good, b'"ignored":["\\ud83d \\ude00"]'),
        _raw(good, b'"\\udfff":1'),
    ):
        yield "invalid_json", value
    for value in (b"[]", b"null", b"1", b'"text"', b"true", b"[" + encoded({**good}) + b"]"):
        yield "not_an_object", value
    yield "too_large", _with(good, message="x" * 900_000)
    yield "too_large", padded_to(good, 65_537)
    yield "too_large", b"\xff" * 70_000  # its size is looked at before its content


def padded_to(good: dict[str, str], size: int) -> bytes:
    """A good event of exactly `size` bytes."""
    return _with(good, message="x" * (size - len(_with(good, message=""))))


def _missing(good: dict[str, str]) -> Iterator[BadValue]:
    yield "missing_field:timestamp", b"{}"
    for name in good:
        yield f"missing_field:{name}", encoded({k: v for k, v in good.items() if k != name})
        yield f"missing_field:{name}", _with(good, **{name: None})


def _wrong_required(good: dict[str, str]) -> Iterator[BadValue]:
    for service in ("", "s" * 256, True, ["a"], {"a": 1}, "nul\0"):
        yield "invalid_field:service", _with(good, service=service)
    for level in ("", "verbose", "info ", 3, True, ["info"], "inf\0o"):
        yield "invalid_field:level", _with(good, level=level)
    for stamp in ("", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", True, ["x"]):
        yield "invalid_field:timestamp", _with(good, timestamp=stamp)
    for text in ("2026-01-01T25:00:00Z", "2026-01-01T00:00:61Z", "1767225600"):
        yield "invalid_field:timestamp", _with(good, timestamp=text)


def _wrong_numbers(good: dict[str, str]) -> Iterator[BadValue]:
    for latency in (-1, -0.001, "12", "", True, False, [1], {"ms": 1}):
        yield "invalid_field:latency_ms", _with(good, latency_ms=latency)
    yield "invalid_field:latency_ms", _raw(good, b'"latency_ms":1e999')
    yield "invalid_field:latency_ms", _raw(good, b'"latency_ms":' + b"9" * 400)
    for risk in (-0.1, 1.0001, 80, "0.5", True, [0.5]):
        yield "invalid_field:risk_score", _with(good, risk_score=risk)
        yield "invalid_field:risk_score", _with(good, business_risk_score=risk)
    yield "invalid_field:risk_score", _with(good, risk_score=2, business_risk_score=0.5)
    yield "invalid_field:risk_score", _raw(good, b'"risk_score":1e999')


def _wrong_texts(good: dict[str, str]) -> Iterator[BadValue]:
    names = ("user_id", "request_id", "trace_id", "span_id", "message", "error_message")
    for name in (*names, "geo_country", "user_subscription_tier"):
        for wrong in (True, ["a"], {"a": "b"}, "nul\0character"):
            yield f"invalid_field:{name}", _with(good, **{name: wrong})
    yield "invalid_field:geo_country", _with(good, geo_country_name=["DE"])
    yield "invalid_field:geo_country", _with(good, geo_country_code=False)
    yield "invalid_field:user_id", _with(good, enriched={"user_id": "nul\0"})
    yield "invalid_field:request_id", _with(good, enriched={"request_id": [1]})
    for address in (
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4/32",
        "::g",
        "fe80::1%eth0",
        "01.2.3.4",
        16909060,
    ):
        yield "invalid_field:source_ip", _with(good, source_ip=address)
    yield "invalid_field:source_ip", _with(good, ip_address="localhost")
    yield "invalid_field:source_ip", _with(good, enriched={"ip_address": True})
    for enriched in ("text", 1, True, ["user_id"]):
        yield "invalid_field:enriched", _with(good, enriched=enriched)
    # Of several faults the first in the table's order is told.
    yield "missing_field:service", encoded({"timestamp": good["timestamp"], "latency_ms": -1})
    yield "invalid_field:level", _with(good, level="loud", latency_ms="fast")
    yield "invalid_field:latency_ms", _with(good, latency_ms=-5, timestamp="1900-01-01T00:00:00Z")


def _wrong_times(good: dict[str, str], now: datetime) -> Iterator[BadValue]:
    for ahead in (timedelta(hours=1), timedelta(days=400)):
        yield "future_timestamp", _with(good, timestamp=(now + ahead).isoformat())
    yield "future_timestamp", _with(good, timestamp=int(now.timestamp() * 1000) + 7_200_000)
    for behind in (timedelta(days=9), timedelta(days=40_000)):
        yield "too_old", _with(good, timestamp=(now - behind).isoformat())
    yield "too_old", _with(good, timestamp=0)
