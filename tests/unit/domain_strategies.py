"""What the tests of the event's rules and of decoding draw their documents from."""

import json
from datetime import UTC, datetime, tzinfo
from typing import Any

from hypothesis import strategies as st

from analytics_service.domain.events import EventRules

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
NOW_US = 1_795_435_200_000_000
DAY_US = 86_400_000_000


def rules_of(default_tz: tzinfo = UTC, max_value_bytes: int = 65536) -> EventRules:
    """The rules of a default configuration: 300 s ahead, 7 days behind."""
    return EventRules(default_tz, 300_000_000, 7 * DAY_US, max_value_bytes)


def a_document(**changes: Any) -> dict[str, Any]:
    """A valid event with changes; a change to `...` removes the field."""
    document = {"timestamp": "2026-11-23T11:59:59Z", "service": "checkout", "level": "info"}
    return {name: value for name, value in {**document, **changes}.items() if value is not ...}


def encode(document: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


class Literal(str):
    """A piece of JSON text to be put into a document as it is."""


def render(value: Any) -> str:
    """JSON of a value in which `Literal` stands for itself and a list of pairs for an object."""
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(pair, tuple) for pair in value):
        return "{" + ",".join(f"{render(name)}:{render(item)}" for name, item in value) + "}"
    return json.dumps(value, ensure_ascii=False)


# Numbers as texts: nothing in between may round them.
json_numbers = st.one_of(
    st.integers(-5, 10**13).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(
        ["0", "-0", "-0.0", "0.0", "1e5", "1E-5", "1.50", "1e999", "-1e-400", "1e-400"]
    ),
).map(Literal)

raw_strings = st.sampled_from(
    [
        r'"\u00e9"', r'"\ud83d\ude00"', r'"\ud800"', r'"\udc00x"', r'"\ud800\ud800\udc00"',
        r'"\ud800\\udc00"', r'"\u0000"', r'"\\u0000"', r'"\n\t\\\"\/"', r'"\x41"', '"\t"', r'"\u12"',
        '"\u2028\x7f"', '""', '"\\', r'"\uD83D\uDE00"', r'"a\u0000b"',
    ]
).map(Literal)  # fmt: skip

texts = st.one_of(st.text(max_size=12), st.sampled_from(["", "u-1", "\u00e9\U0001f600", "x" * 300]))
odd_values = st.one_of(
    json_numbers,
    raw_strings,
    st.sampled_from([None, True, False, [], {}, [1], {"a": None}, "1", "NaN"]),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "tru", ""]).map(
        Literal
    ),
)
optional_texts = st.one_of(texts, texts, texts, odd_values)

iso_texts = st.builds(
    "{}{}{}{}".format,
    st.one_of(
        st.dates().map(str),
        st.sampled_from(
            (
                *("2026-11-23", "2026-11-23", "2026-11-22", "2026-10-25", "2026-03-29"),
                *("20261123", "2026-W48-1", "2026-W48", "2026W481", "2026-02-29", "2024-02-29"),
                *("2026-13-01", "0000-01-01", "0001-01-01", "9999-12-31"),
            )
        ),
    ),
    st.sampled_from(["T", "T", "T", " ", "t", "x", ""]),
    st.one_of(
        st.times().map(str),
        st.sampled_from(
            (
                *("11:59:59", "11:59:59.5", "11:59:59.123456789", "12:30:00,25", "11:59", "11"),
                *("115959", "24:00:00", "24:00:00.000", "24:00:01", "23:59:60", "25:00:00"),
                *("02:30:00", "1:2:3", ""),
            )
        ),
    ),
    st.sampled_from(
        ["Z", "Z", "z", "", "+00:00", "-05:30", "+0545", "+01", "+24:00", "-23:59", "+05:75"]
    ),
)
timestamps = st.one_of(
    iso_texts,
    iso_texts,
    st.integers(NOW_US - DAY_US, NOW_US + DAY_US).map(
        lambda us: datetime.fromtimestamp(us // 10**6, UTC).isoformat()
    ),
    st.integers(NOW_US // 10**3 - 10**9, NOW_US // 10**3 + 10**6),
    st.decimals(NOW_US // 10**6 - 10**5, NOW_US // 10**6 + 10**4, places=9).map(str).map(Literal),
    st.sampled_from(["1700000000", "now", "", "2026-11-23T11:59:59Z\n"]),
    odd_values,
)
levels = st.one_of(
    st.sampled_from(
        ["debug", "info", "warning", "error", "critical", "warn", "ERR", "Fatal", "tRaCe"]
    ),
    st.sampled_from(["NOTICE", "inf", "", " info", "\u0131nfo", "ERROR\u0000"]),
    odd_values,
)
addresses = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(
        ["::ffff:1.2.3.4", "FE80::1", "fe80::1%eth0", "01.2.3.4", "1.2.3", "1.2.3.4/32", ""]
    ),
    odd_values,
)
risks = st.one_of(
    st.floats(0, 1), st.sampled_from([0, 1, -0.0, 1.0000000000000002, -1e-9]), odd_values
)
latencies = st.one_of(st.floats(0, allow_infinity=False), st.integers(0, 10**25), odd_values)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "timestamp": timestamps,
    "service": st.one_of(
        st.sampled_from(["a", "b", "x" * 255, "x" * 256, "\u00e9" * 255]), optional_texts
    ),
    "level": levels,
    "latency_ms": latencies,
    "risk_score": risks,
    "business_risk_score": risks,
    **dict.fromkeys(
        (
            *("user_id", "request_id", "trace_id", "span_id", "message", "error_message"),
            *("geo_country", "geo_country_name", "geo_country_code", "user_subscription_tier"),
        ),
        optional_texts,
    ),
    "source_ip": addresses,
    "ip_address": addresses,
    "enriched": st.one_of(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(["user_id", "request_id", "other"]), optional_texts),
                st.tuples(st.just("ip_address"), addresses),
            ),
            min_size=1,
            max_size=3,
        ),
        odd_values,
    ),
    "ignored": odd_values,
}


@st.composite
def valid_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents that keep every rule, about now."""
    moment = draw(st.integers(NOW_US - 3600 * 10**6, NOW_US))
    stamp = datetime.fromtimestamp(moment // 10**6, UTC).replace(microsecond=moment % 10**6)
    clean = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
    return {
        "timestamp": stamp.isoformat(),
        "service": draw(st.sampled_from(["cart", "checkout", "search"])),
        "level": draw(st.sampled_from(["info", "WARN", "error", "Critical"])),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "latency_ms": st.floats(0, 1e9),
                    "risk_score": st.floats(0, 1),
                    "user_id": clean,
                    "source_ip": st.ip_addresses().map(str),
                    "message": clean,
                    "request_id": clean,
                },
            )
        ),
    }


@st.composite
def any_values(draw: st.DrawFn) -> bytes | None:
    """Message values: valid, with some fields odd, mutated in their bytes, or not JSON at all."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.one_of(st.none(), st.binary(max_size=20), raw_strings.map(str.encode)))
    pairs = list(draw(valid_documents()).items())
    if kind >= 4:
        names = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=4))
        pairs += [(name, draw(FIELDS[name])) for name in names]
        pairs = draw(st.permutations(pairs))
    value = render(pairs).encode("utf-8", "surrogatepass")
    if kind == 9 and value:
        at = draw(st.integers(0, len(value) - 1))
        piece = draw(
            st.sampled_from([b"", b"\x00", b"\xff", b"\\", b'"', b"}", b" ", b"\xef\xbb\xbf", b"e"])
        )
        value = value[:at] + piece + value[at + draw(st.integers(0, 1)) :]
    return value
