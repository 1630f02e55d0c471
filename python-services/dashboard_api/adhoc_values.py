"""PostgreSQL's values as JSON holds them, from the text that the server sends.

Exact where psycopg2's own objects are not: an interval keeps its months, a date may be infinite or before
Christ, a number keeps all its digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import new_array_type, new_type, register_type

Read = Callable[[str], object]

_MOMENT = re.compile(
    r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)(?::?(\d\d))?)?(?::\d\d)?"
)
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def read_boolean(text: str) -> object:
    """True or false."""
    return text == "t"


def read_integer(text: str) -> object:
    """A whole number."""
    return int(text)


def read_float(text: str) -> object:
    """A number; NaN and the infinities stay text, which null would hide."""
    return text if text in _NOT_FINITE else float(text)


def read_numeric(text: str) -> object:
    """A number with all its digits, likewise."""
    return text if text in _NOT_FINITE else msgspec.Raw(text.encode())


def read_json(text: str) -> object:
    """A JSON document as it is."""
    return msgspec.Raw(text.encode())


def read_moment(text: str) -> object:
    """ISO 8601, in UTC with Z; without a zone as it is. Infinite or before Christ: as PostgreSQL writes it."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return text
    day, time, hours, minutes = match.groups()
    if hours is None:
        return f"{day}T{time}"
    zone = "Z" if hours == "+00" and minutes is None else f"{hours}:{minutes or '00'}"
    return f"{day}T{time}{zone}"


def read_text(text: str) -> object:
    """The text that PostgreSQL writes."""
    return text


# name, type's number, number of its array: PostgreSQL's pg_type, where these never change.
_TYPES: tuple[tuple[str, int, int, Read], ...] = (
    ("bool", 16, 1000, read_boolean),
    ("int2", 21, 1005, read_integer),
    ("int4", 23, 1007, read_integer),
    ("int8", 20, 1016, read_integer),
    ("oid", 26, 1028, read_integer),
    ("float4", 700, 1021, read_float),
    ("float8", 701, 1022, read_float),
    ("numeric", 1700, 1231, read_numeric),
    ("json", 114, 199, read_json),
    ("jsonb", 3802, 3807, read_json),
    ("timestamp", 1114, 1115, read_moment),
    ("timestamptz", 1184, 1185, read_moment),
    ("date", 1082, 1182, read_text),
    ("time", 1083, 1183, read_text),
    ("timetz", 1266, 1270, read_text),
    ("interval", 1186, 1187, read_text),
    ("bytea", 17, 1001, read_text),
    ("text", 25, 1009, read_text),
    ("varchar", 1043, 1015, read_text),
    ("bpchar", 1042, 1014, read_text),
    ("name", 19, 1003, read_text),
    ("uuid", 2950, 2951, read_text),
    ("inet", 869, 1041, read_text),
    ("cidr", 650, 651, read_text),
    ("int4range", 3904, 3905, read_text),
    ("int8range", 3926, 3927, read_text),
    ("numrange", 3906, 3907, read_text),
    ("tsrange", 3908, 3909, read_text),
    ("tstzrange", 3910, 3911, read_text),
    ("daterange", 3912, 3913, read_text),
)


def _caster(read: Read) -> Callable[[str | bytes | None, Cursor], Any]:
    def cast(text: str | bytes | None, _cursor: Cursor) -> object:
        return read(text) if isinstance(text, str) else None

    return cast


def _made() -> list[Any]:
    casters = []
    for name, number, array_number, read in _TYPES:
        one = new_type((number,), name, _caster(read))
        casters += [one, new_array_type((array_number,), f"{name}[]", one)]
    return casters


_CASTERS = _made()


def read_raw_values(connection: Connection) -> None:
    """Let all cursors of `connection` give values that JSON can hold; types that are not listed are text."""
    for caster in _CASTERS:
        register_type(caster, connection)
