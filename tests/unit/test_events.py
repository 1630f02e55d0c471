"""The rules of an event, as tables: what is accepted as what, what is refused for which reason."""

import inspect
import sys
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics_service.domain.events import Event, Rejection, parse_event
from tests.unit.domain_strategies import NOW_US, a_document, encode, rules_of


def parsed(value: bytes | None) -> Event | Rejection:
    return parse_event(value, rules_of(), NOW_US)


def reason_of(value: bytes | None) -> str:
    outcome = parsed(value)
    assert isinstance(outcome, Rejection), outcome
    assert outcome.detail
    return outcome.reason


def event_of(value: bytes) -> Event:
    outcome = parsed(value)
    assert isinstance(outcome, Event), outcome
    return outcome


def with_raw(name: str, raw: str) -> bytes:
    """A valid event with one more member, its value given as JSON text."""
    return encode(a_document())[:-1] + f',"{name}":{raw}}}'.encode()


def test_an_event_with_every_field() -> None:
    event = event_of(
        encode(
            a_document(
                level="WARN",
                latency_ms=12.5,
                risk_score=0.25,
                user_id="u-1",
                request_id="r-1",
                trace_id="t-1",
                span_id="s-1",
                message="hello",
                error_message="none",
                source_ip="10.0.0.1",
                geo_country="DE",
                user_subscription_tier="pro",
            )
        )
    )
    assert event == Event(
        timestamp_us=NOW_US - 1_000_000,
        service="checkout",
        level="warning",
        latency_ms=12.5,
        risk_score=0.25,
        user_id="u-1",
        request_id="r-1",
        trace_id="t-1",
        span_id="s-1",
        message="hello",
        error_message="none",
        source_ip="10.0.0.1",
        geo_country="DE",
        user_subscription_tier="pro",
    )


def test_an_event_with_the_required_fields_only_has_none_elsewhere() -> None:
    assert event_of(encode(a_document())) == Event(NOW_US - 1_000_000, "checkout", "info")


def test_events_differ_when_one_field_does() -> None:
    assert Event(1, "a", "info") != Event(1, "a", "info", user_id="u")
    assert Event(1, "a", "info") != (1, "a", "info")
    assert (Event(1, "a", "info") != Event(1, "a", "info")) is False
    assert Event(1, "a", "info").__eq__(1) is NotImplemented


NO_OBJECTS: list[tuple[bytes | None, str]] = [
    # no value at all: a tombstone
    (None, "empty"),
    (b"", "empty"),
    # whitespace is a value, but no document
    (b" ", "invalid_json"),
    (b"\n", "invalid_json"),
    # not JSON
    (b"{", "invalid_json"),
    (b"hello", "invalid_json"),
    (b"{'a':1}", "invalid_json"),
    (encode(a_document()) + b"x", "invalid_json"),
    (encode(a_document()) + encode(a_document()), "invalid_json"),
    (encode(a_document())[:-1] + b",}", "invalid_json"),
    # what Python's json would take
    (with_raw("x", "NaN"), "invalid_json"),
    (with_raw("x", "Infinity"), "invalid_json"),
    (with_raw("latency_ms", "-Infinity"), "invalid_json"),
    # encodings: UTF-8 without a byte order mark, nothing else
    (b"\xef\xbb\xbf" + encode(a_document()), "invalid_json"),
    ("{}".encode("utf-16"), "invalid_json"),
    ('{"a":1}'.encode("utf-16-le"), "invalid_json"),
    (with_raw("x", '"\u00e9"').decode().encode("latin-1"), "invalid_json"),
    (encode(a_document())[:-1] + b',"x":"\xff"}', "invalid_json"),
    (encode(a_document())[:-1] + b',"\xff":1}', "invalid_json"),
    (encode(a_document())[:-1] + b',"x":"\xed\xa0\x80"}', "invalid_json"),
    # lone surrogates, wherever they are: in a field, in what is ignored, in a key, overwritten
    (with_raw("message", r'"\ud800"'), "invalid_json"),
    (with_raw("x", r'"\udc00"'), "invalid_json"),
    (with_raw("x", r'"\uD800 \uDC00"'), "invalid_json"),
    (with_raw("x", r'"\ud83d\ud83d\ude00"'), "invalid_json"),
    (with_raw(r"\ud800", "1"), "invalid_json"),
    (with_raw("x", r'{"y":["\udfff"]}'), "invalid_json"),
    (with_raw("x", r'"\ud800","x":"fine"'), "invalid_json"),
    # control characters must be escaped
    (with_raw("x", '"\t"'), "invalid_json"),
    (with_raw("x", '"\x00"'), "invalid_json"),
    # nesting without end
    (b"[" * 60_000, "invalid_json"),
    (b"[" * 30_000 + b"]" * 30_000, "invalid_json"),
    (with_raw("x", '{"a":' * 5_000 + "1" + "}" * 5_000), "invalid_json"),
    # JSON, but no object
    (b"null", "not_an_object"),
    (b"true", "not_an_object"),
    (b"1", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"[]", "not_an_object"),
    (b"[" + encode(a_document()) + b"]", "not_an_object"),
    # an object without anything breaks the first rule first
    (b"{}", "missing_field:timestamp"),
]


@pytest.mark.parametrize(("value", "reason"), NO_OBJECTS)
def test_a_value_that_is_no_event_object(value: bytes | None, reason: str) -> None:
    assert reason_of(value) == reason


def test_a_value_may_have_64_kib_and_no_byte_more() -> None:
    room = 65536 - len(encode(a_document(message="")))
    assert event_of(encode(a_document(message="x" * room))).message == "x" * room
    assert reason_of(encode(a_document(message="x" * (room + 1)))) == "too_large"
    # too large comes before anything about the content
    assert reason_of(b"\xff" * 65537) == "too_large"
    # bytes count, not characters
    assert reason_of(encode(a_document(message="\u00e9" * (room // 2 + 1)))) == "too_large"


BROKEN: list[tuple[dict[str, Any], str]] = [
    # absent and null are the same
    ({"timestamp": ...}, "missing_field:timestamp"),
    ({"timestamp": None}, "missing_field:timestamp"),
    ({"service": ...}, "missing_field:service"),
    ({"service": None}, "missing_field:service"),
    ({"level": ...}, "missing_field:level"),
    ({"level": None}, "missing_field:level"),
    # service: 1 to 255 characters
    ({"service": ""}, "invalid_field:service"),
    ({"service": "x" * 256}, "invalid_field:service"),
    ({"service": "a\0b"}, "invalid_field:service"),
    ({"service": True}, "invalid_field:service"),
    ({"service": ["a"]}, "invalid_field:service"),
    # level: five names and their aliases
    ({"level": "verbose"}, "invalid_field:level"),
    ({"level": ""}, "invalid_field:level"),
    ({"level": " info"}, "invalid_field:level"),
    ({"level": 3}, "invalid_field:level"),
    ({"level": False}, "invalid_field:level"),
    ({"level": {"name": "info"}}, "invalid_field:level"),
    # latency: a number, finite, not negative
    ({"latency_ms": -0.001}, "invalid_field:latency_ms"),
    ({"latency_ms": "12"}, "invalid_field:latency_ms"),
    ({"latency_ms": ""}, "invalid_field:latency_ms"),
    ({"latency_ms": True}, "invalid_field:latency_ms"),
    ({"latency_ms": []}, "invalid_field:latency_ms"),
    ({"latency_ms": 10**400}, "invalid_field:latency_ms"),
    # risk: 0 to 1, under either name; the reason has the first
    ({"risk_score": 1.0000001}, "invalid_field:risk_score"),
    ({"risk_score": -0.1}, "invalid_field:risk_score"),
    ({"risk_score": "0.5"}, "invalid_field:risk_score"),
    ({"risk_score": True}, "invalid_field:risk_score"),
    ({"business_risk_score": 2}, "invalid_field:risk_score"),
    ({"risk_score": None, "business_risk_score": "x"}, "invalid_field:risk_score"),
    # texts: text or number, no NUL
    ({"user_id": True}, "invalid_field:user_id"),
    ({"user_id": {}}, "invalid_field:user_id"),
    ({"user_id": "a\0"}, "invalid_field:user_id"),
    ({"request_id": []}, "invalid_field:request_id"),
    ({"trace_id": False}, "invalid_field:trace_id"),
    ({"span_id": "\0"}, "invalid_field:span_id"),
    ({"message": ["x"]}, "invalid_field:message"),
    ({"error_message": {"x": 1}}, "invalid_field:error_message"),
    ({"geo_country": True}, "invalid_field:geo_country"),
    ({"geo_country_name": True}, "invalid_field:geo_country"),
    ({"geo_country_code": []}, "invalid_field:geo_country"),
    ({"user_subscription_tier": False}, "invalid_field:user_subscription_tier"),
    # addresses
    ({"source_ip": "10.0.0.256"}, "invalid_field:source_ip"),
    ({"source_ip": "10.0.0"}, "invalid_field:source_ip"),
    ({"source_ip": "010.0.0.1"}, "invalid_field:source_ip"),
    ({"source_ip": "10.0.0.1/32"}, "invalid_field:source_ip"),
    ({"source_ip": "10.0.0.1 "}, "invalid_field:source_ip"),
    ({"source_ip": "10.0.0.1\n"}, "invalid_field:source_ip"),
    ({"source_ip": "10.0.0.1\n10.0.0.2"}, "invalid_field:source_ip"),
    ({"source_ip": ""}, "invalid_field:source_ip"),
    ({"source_ip": 167772161}, "invalid_field:source_ip"),
    ({"source_ip": "::g"}, "invalid_field:source_ip"),
    ({"source_ip": "fe80::1%eth0"}, "invalid_field:source_ip"),
    ({"source_ip": "localhost"}, "invalid_field:source_ip"),
    ({"source_ip": True}, "invalid_field:source_ip"),
    ({"ip_address": "x"}, "invalid_field:source_ip"),
    ({"ip_address": "", "enriched": {"ip_address": "10.0.0.1"}}, "invalid_field:source_ip"),
    # inside of enriched: the same reasons
    ({"enriched": {"user_id": True}}, "invalid_field:user_id"),
    ({"enriched": {"request_id": {}}}, "invalid_field:request_id"),
    ({"enriched": {"ip_address": "x"}}, "invalid_field:source_ip"),
    ({"enriched": []}, "invalid_field:enriched"),
    ({"enriched": "x"}, "invalid_field:enriched"),
    ({"enriched": 0}, "invalid_field:enriched"),
    ({"enriched": False}, "invalid_field:enriched"),
    # the first broken rule in the order of the fields is the reason, wherever it stands
    ({"level": "x", "service": "", "timestamp": "x"}, "invalid_field:timestamp"),
    ({"level": "x", "service": ...}, "missing_field:service"),
    ({"level": ..., "latency_ms": -1}, "missing_field:level"),
    ({"enriched": 1, "user_subscription_tier": True}, "invalid_field:user_subscription_tier"),
    # the age is judged last
    ({"timestamp": "2050-01-01T00:00:00Z", "message": True}, "invalid_field:message"),
    ({"timestamp": "1999-01-01T00:00:00Z", "enriched": 1}, "invalid_field:enriched"),
]


@pytest.mark.parametrize(("changes", "reason"), BROKEN)
def test_a_document_that_breaks_a_rule(changes: dict[str, Any], reason: str) -> None:
    assert reason_of(encode(a_document(**changes))) == reason


READ_AS: list[tuple[dict[str, Any], str, object]] = [
    # levels
    ({"level": "debug"}, "level", "debug"),
    ({"level": "trace"}, "level", "debug"),
    ({"level": "info"}, "level", "info"),
    ({"level": "Notice"}, "level", "info"),
    ({"level": "warning"}, "level", "warning"),
    ({"level": "WARN"}, "level", "warning"),
    ({"level": "eRRoR"}, "level", "error"),
    ({"level": "err"}, "level", "error"),
    ({"level": "critical"}, "level", "critical"),
    ({"level": "FATAL"}, "level", "critical"),
    # service: code points count, a number is its text
    ({"service": "x" * 255}, "service", "x" * 255),
    ({"service": "\U0001f600" * 255}, "service", "\U0001f600" * 255),
    ({"service": " "}, "service", " "),
    ({"service": 42}, "service", "42"),
    # numbers
    ({"latency_ms": 0}, "latency_ms", 0.0),
    ({"latency_ms": 7}, "latency_ms", 7.0),
    ({"latency_ms": 1.7e308}, "latency_ms", 1.7e308),
    ({"latency_ms": 5e-324}, "latency_ms", 5e-324),
    ({"latency_ms": None}, "latency_ms", None),
    ({"risk_score": 0}, "risk_score", 0.0),
    ({"risk_score": 1}, "risk_score", 1.0),
    ({"risk_score": None}, "risk_score", None),
    # the first listed name that is present and not null; the others are not looked at
    ({"business_risk_score": 0.5}, "risk_score", 0.5),
    ({"risk_score": 0.1, "business_risk_score": 0.5}, "risk_score", 0.1),
    ({"risk_score": 0, "business_risk_score": "broken"}, "risk_score", 0.0),
    ({"risk_score": None, "business_risk_score": 0.5}, "risk_score", 0.5),
    ({"ip_address": "10.0.0.2"}, "source_ip", "10.0.0.2"),
    ({"source_ip": "10.0.0.1", "ip_address": "broken"}, "source_ip", "10.0.0.1"),
    ({"enriched": {"ip_address": "10.0.0.3"}}, "source_ip", "10.0.0.3"),
    ({"ip_address": "10.0.0.2", "enriched": {"ip_address": 0}}, "source_ip", "10.0.0.2"),
    ({"enriched": {"source_ip": "10.0.0.4"}}, "source_ip", None),
    ({"enriched": {"user_id": "inner"}}, "user_id", "inner"),
    ({"user_id": "outer", "enriched": {"user_id": True}}, "user_id", "outer"),
    ({"user_id": None, "enriched": {"user_id": "inner"}}, "user_id", "inner"),
    ({"user_id": "", "enriched": {"user_id": "inner"}}, "user_id", ""),
    ({"enriched": {"request_id": "inner"}}, "request_id", "inner"),
    ({"enriched": {"message": "inner"}}, "message", None),
    ({"enriched": None}, "user_id", None),
    ({"enriched": {"anything": True}}, "user_id", None),
    ({"geo_country_name": "Germany"}, "geo_country", "Germany"),
    ({"geo_country_code": "DE"}, "geo_country", "DE"),
    ({"geo_country_code": "DE", "geo_country_name": "Germany"}, "geo_country", "Germany"),
    ({"geo_country": "D", "geo_country_name": True}, "geo_country", "D"),
    # an empty text is a text
    ({"user_id": ""}, "user_id", ""),
    ({"message": 'a\tb\nc\\d"e'}, "message", 'a\tb\nc\\d"e'),
    ({"user_id": None}, "user_id", None),
    # addresses are canonical, as PostgreSQL prints them
    ({"source_ip": "192.168.1.9"}, "source_ip", "192.168.1.9"),
    ({"source_ip": "2001:DB8:0:0:0:0:0:1"}, "source_ip", "2001:db8::1"),
    ({"source_ip": "2001:0db8::0001"}, "source_ip", "2001:db8::1"),
    ({"source_ip": "0:0:0:0:0:0:0:1"}, "source_ip", "::1"),
    ({"source_ip": "::"}, "source_ip", "::"),
    ({"source_ip": "::ffff:10.0.0.1"}, "source_ip", "::ffff:10.0.0.1"),
    ({"source_ip": "::FFFF:0a00:0001"}, "source_ip", "::ffff:10.0.0.1"),
    ({"source_ip": "::ffff:0:0"}, "source_ip", "::ffff:0.0.0.0"),
    ({"source_ip": "::10.0.0.1"}, "source_ip", "::10.0.0.1"),
    ({"source_ip": "::1:0"}, "source_ip", "::0.1.0.0"),
    ({"source_ip": "::abcd"}, "source_ip", "::abcd"),
    ({"source_ip": "1:0:0:2:0:0:0:3"}, "source_ip", "1:0:0:2::3"),
    # anything else is ignored
    ({"x": {"deep": [1, 2, {"er": "\0"}]}}, "user_id", None),
    ({"\0": 1}, "user_id", None),
]


@pytest.mark.parametrize(("changes", "field", "expected"), READ_AS)
def test_a_field_is_read_as(changes: dict[str, Any], field: str, expected: object) -> None:
    assert getattr(event_of(encode(a_document(**changes))), field) == expected


@pytest.mark.parametrize("name", ["user_id", "request_id", "message", "geo_country", "service"])
@pytest.mark.parametrize(
    "number",
    ["7", "1.50", "1e5", "1E+05", "-0", "-0.0", "0.10", "9" * 30, "123456789.987654321123"],
)
def test_a_number_in_a_text_is_its_exact_json_text(name: str, number: str) -> None:
    assert getattr(event_of(with_raw(name, number)), name) == number


def test_an_integer_of_more_digits_than_python_converts_is_a_text_too() -> None:
    assert event_of(with_raw("user_id", "1" * 5000)).user_id == "1" * 5000
    assert reason_of(with_raw("latency_ms", "1" * 5000)) == "invalid_field:latency_ms"


def test_minus_zero_is_stored_as_zero() -> None:
    event = event_of(with_raw("latency_ms", '-0.0,"risk_score":-0'))
    assert (str(event.latency_ms), str(event.risk_score)) == ("0.0", "0.0")


def test_of_a_repeated_key_the_last_counts() -> None:
    assert event_of(with_raw("service", '"first","service":"last"')).service == "last"
    assert reason_of(with_raw("service", "null")) == "missing_field:service"


def test_nesting_is_allowed_to_a_depth_that_no_real_event_has() -> None:
    assert isinstance(event_of(with_raw("x", "[" * 400 + "]" * 400)), Event)
    # brackets inside of texts are not nesting
    assert isinstance(event_of(with_raw("x", '"' + "[{" * 2000 + '"')), Event)


def test_a_value_that_is_too_deep_for_the_callers_stack_is_refused_and_not_a_crash() -> None:
    value = with_raw("x", "[" * 400 + "]" * 400)

    def reason_at(depth: int) -> str:
        return reason_at(depth - 1) if depth else reason_of(value)

    assert reason_at(sys.getrecursionlimit() - len(inspect.stack(0)) - 200) == "invalid_json"


def test_spellings_of_one_address_are_one_text() -> None:
    spellings = ["::ffff:1.2.3.4", "::FFFF:102:304", "0:0:0:0:0:ffff:0102:0304"]
    assert {event_of(encode(a_document(source_ip=text))).source_ip for text in spellings} == {
        "::ffff:1.2.3.4"
    }


def test_the_zone_of_a_zone_less_time_comes_from_the_rules() -> None:
    value = encode(a_document(timestamp="2026-11-23T13:00:00"))
    outcome = parse_event(value, rules_of(ZoneInfo("Europe/Berlin")), NOW_US)
    assert isinstance(outcome, Event)
    assert outcome.timestamp_us == NOW_US
