"""Which chunks of values are read as columns; that the result is right, test_decoding.py compares value by value."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from analytics_service.domain.json_columns import read_columns

USUAL = {"timestamp": "2026-11-23T11:59:59Z", "service": "s", "level": "info"}
LIMIT = 65_536


def values_of(*changes: dict[str, object]) -> list[bytes]:
    """Usual values with these changes."""
    return [json.dumps({**USUAL, **change}).encode() for change in changes]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"latency_ms": 12, "risk_score": 0.5, "user_id": "u", "source_ip": "10.0.0.1"},
        {"enriched": {"user_id": "u", "ip_address": "10.0.0.1"}},
        {"business_risk_score": 0.5, "geo_country_code": "DE"},
        {"message": "a pair of surrogates: \U0001f600"},
        {"no_field_of_ours": {"a": [1, "two", None]}},
        {"message": 'tab\t, line\n, quote ", \u00e9'},
    ],
)
def test_usual_values_become_columns(change: dict[str, object]) -> None:
    read = read_columns(values_of({}, change, {}), LIMIT)
    assert read is not None
    table, plain = read
    assert table.num_rows == 3
    assert table.column("service").to_pylist() == ["s", "s", "s"]
    assert plain is (b"\\" not in values_of(change)[0])
    for name, value in change.items():
        if name in table.column_names and not isinstance(value, dict):
            assert table.column(name).to_pylist() == [None, value, None]


def test_words_that_are_no_numbers_may_be_in_texts() -> None:
    text = "NaN, Infinity and }\n{"
    read = read_columns(values_of({"message": text}, {"message": text}), LIMIT)
    assert read is not None
    assert read[0].column("message").to_pylist() == [text, text]


def test_a_field_that_turns_up_later_is_read_too() -> None:
    read = read_columns(values_of({}, {"user_id": "u"}, {"other": 1}), LIMIT)
    assert read is not None
    assert read[0].column("user_id").to_pylist() == [None, "u", None]
    assert read[0].schema.field("latency_ms").type == pa.float64()


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}}",
        b" {}",
        b"{} ",
        b"{}{}",
        b"[{}]",
        b'{"a":1,}',
        b'{"timestamp":1}',
        b'{"user_id":1}',
        b'{"latency_ms":"1"}',
        b'{"level":true}',
        b'{"enriched":[]}',
        b'{"service":"a","service":"b"}',
        b'{"other":NaN}',
        b'{"other":-Infinity}',
        b'{"message":"\\u0000"}',
        b'{"message":"\\ud83d"}',
        b'{"message":"\\ude00"}',
        b'{"other":"\\ude00\\ud83d"}',
        b'{"message":"\xff"}',
        b'{"message":"' + b"x" * 1_000 + b'"}',
        b'{"other":' + b"[" * 200 + b"]" * 199 + b"}",
    ],
)
def test_what_is_odd_is_left_to_others(value: bytes | None) -> None:
    usual = values_of({"other": 1})
    assert read_columns([*usual, value], LIMIT) is None
    assert read_columns([value, *usual], LIMIT) is None


def test_the_limit_of_size_is_kept() -> None:
    (value,) = values_of({})
    assert read_columns([value], len(value)) is not None
    assert read_columns([value], len(value) - 1) is None
