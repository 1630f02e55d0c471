"""Read a chunk of JSON values into columns, if all of them are as producers usually write them.

Apache Arrow reads objects that follow one another, strictly typed, at the speed of a parser in C++ and without Python's
lock. Whatever it refuses, and what it might take although the contract does not, is for the caller to read another way.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.json
from pyarrow.json import ParseOptions, ReadOptions

from analytics_service.domain.event_columns import NUMBERS
from analytics_service.domain.events import EVENT_FIELDS
from analytics_service.domain.wire import ESCAPED_NUL, USUAL_BYTES, is_utf8

_TEXT: Final = pa.string()
_FIELDS: Final[Mapping[str, Any]] = {
    "timestamp": _TEXT,
    **{name: pa.float64() if name in NUMBERS else _TEXT for name in EVENT_FIELDS[1:]},
    "business_risk_score": pa.float64(),
    "ip_address": _TEXT,
    "geo_country_name": _TEXT,
    "geo_country_code": _TEXT,
    "enriched": pa.struct([("user_id", _TEXT), ("request_id", _TEXT), ("ip_address", _TEXT)]),
}
_REQUIRED: Final = ("timestamp", "service", "level")
_ALL: Final = pa.schema(list(_FIELDS.items()))
# Numbers to Arrow (``Infinity``, too), but not in JSON; within a text they are rare.
_NO_JSON: Final = (b"NaN", b"Inf")
_OPENS, _CLOSES = b"{}"
# What Arrow says of a field that is not in the schema.
_UNEXPECTED: Final = "unexpected field"


def read_columns(values: Sequence[bytes | None], max_value_bytes: int) -> tuple[Any, bool] | None:
    """A pyarrow Table with a row for each value and a column for each field that is present; None if any is odd.

    The columns are named as in the JSON; texts are strings, numbers float64, ``enriched`` is a struct. The three
    required fields are there, but may hold nulls. Beside it whether no text can hold what is not plain (see
    `decoding.DecodedBatch`).
    """
    try:
        joined = b"\n".join(values)  # type: ignore[arg-type]  # None is met by an error, sooner than by a look at each
    except TypeError:
        return None
    plain = b"\\" not in joined
    if not _is_usual(values, joined, max_value_bytes) or not (plain or ESCAPED_NUL not in joined):
        return None
    try:
        table = _read(joined, _expected(values[0]))
    except pa.ArrowInvalid:
        return None
    return (table, plain) if table is not None and table.num_rows == len(values) else None


def _is_usual(values: Sequence[Any], joined: bytes, max_value_bytes: int) -> bool:
    """Whether every value looks like one object, in UTF-8, and none is so long that it may nest deep.

    An object may end in the middle of a value, but not go on in the next one where all begin and end with a brace: a
    brace that opens never follows one that closes within an object, and no text holds a line's end. So where there
    are as many objects as values each value is one.
    """
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    if lengths.min() < 2 or lengths.max() > min(USUAL_BYTES, max_value_bytes):
        return False
    characters = np.frombuffer(joined, np.uint8)
    ends = np.cumsum(lengths + 1) - 2  # behind each but the last value comes a line's end
    return (
        bool((characters[ends] == _CLOSES).all())
        and bool((characters[ends - lengths + 1] == _OPENS).all())
        and is_utf8(joined)
    )


def _expected(value: bytes | None) -> Any | None:
    """A schema of just the fields of a value, None if it has any that are no event's.

    Fewer columns cost less, and producers keep to the same fields.
    """
    try:
        document = msgspec.json.decode(value or b"", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    names = {**dict.fromkeys(_REQUIRED), **dict.fromkeys(document)}
    if not names.keys() <= _FIELDS.keys():
        return None
    return pa.schema([(name, _FIELDS[name]) for name in names])


def _read(joined: bytes, expected: Any | None) -> Any | None:
    """The rows; None where Arrow may take what is no JSON.

    Raises ArrowInvalid for what is no JSON, or has a field of another type or twice.
    """
    if expected is not None:
        try:
            return _read_as(joined, expected, "error")
        except pa.ArrowInvalid as error:
            if _UNEXPECTED not in str(error):
                raise
    # A field that is not looked at may hold anything, these among it; in others they are no event's numbers.
    if any(word in joined for word in _NO_JSON):
        return None
    return _read_as(joined, _ALL, "ignore")


def _read_as(joined: bytes, schema: Any, unexpected: str) -> Any:
    return pyarrow.json.read_json(
        pa.py_buffer(joined),
        # One block, or a block might end in the middle of a value.
        read_options=ReadOptions(use_threads=False, block_size=len(joined) + 1),
        parse_options=ParseOptions(
            explicit_schema=schema, unexpected_field_behavior=unexpected, newlines_in_values=False
        ),
    )
