"""From the columns that JSON was read into to columns of events: timestamps, levels, addresses, other names.

The rows that are odd in any way are left to the caller; see `understanding` for the same an event at a time.
"""

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analytics_service.domain.addresses import DOTTED_QUAD, canonical_address
from analytics_service.domain.event_columns import SCHEMA, EventColumns
from analytics_service.domain.events import EVENT_FIELDS, EventRules
from analytics_service.domain.fields import LEVELS, MAX_SERVICE_LENGTH
from analytics_service.domain.moments import read_text_moments

Mask = NDArray[np.bool_]
_OTHER_NAMES: Final = {
    # The first that is there and not null counts; "a.b" is field b within a.
    "risk_score": ("business_risk_score",),
    "user_id": ("enriched.user_id",),
    "request_id": ("enriched.request_id",),
    "source_ip": ("ip_address", "enriched.ip_address"),
    "geo_country": ("geo_country_name", "geo_country_code"),
}
_canonical: Final[Callable[[str], str]] = lru_cache(maxsize=32_768)(canonical_address)


def understand_columns(table: Any, rules: EventRules, now_us: int) -> tuple[EventColumns, Mask]:
    """The rows of ``table`` (of `json_columns.read_columns`) as events; True for those that are odd.

    What is in the row of an odd one means nothing.
    """
    count = table.num_rows
    odd = np.zeros(count, dtype=np.bool_)
    found = {
        name: column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    columns = {name: _column(found, name, count) for name in EVENT_FIELDS[1:]}
    times = _times(_column(found, "timestamp", count), rules, now_us, odd)
    columns["level"] = _levels(columns["level"], odd)
    _check_services(columns["service"], odd)
    for name, highest in (("latency_ms", sys.float_info.max), ("risk_score", 1.0)):
        columns[name] = _numbers(columns[name], highest, odd)
    _check_hidden_numbers(found.get("business_risk_score"), odd)
    columns["source_ip"] = _addresses(columns["source_ip"], odd)
    arrays = [times, *(columns[name] for name in EVENT_FIELDS[1:])]
    return EventColumns(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)), odd


def _column(found: Mapping[str, Any], name: str, count: int) -> Any:
    """The field's values, under whichever of its names."""
    present = [
        array
        for array in (_named(found, each) for each in (name, *_OTHER_NAMES.get(name, ())))
        if array is not None and array.null_count < count
    ]
    if not present:
        return pa.nulls(count, pa.string() if name == "timestamp" else SCHEMA.field(name).type)
    if len(present) == 1 or not present[0].null_count:
        return present[0]
    return pc.coalesce(*present)


def _named(found: Mapping[str, Any], name: str) -> Any | None:
    """The array of a field or of one within it; None where there is none."""
    outer, _, inner = name.partition(".")
    array = found.get(outer)
    return pc.struct_field(array, inner) if array is not None and inner else array


def _times(texts: Any, rules: EventRules, now_us: int, odd: Mask) -> Any:
    """Epoch microseconds."""
    moments = read_text_moments(texts, rules.default_tz)
    first, last = rules.allowed_span(now_us)
    odd |= (moments < first) | (moments > last)
    return pa.array(moments)


def _levels(texts: Any, odd: Mask) -> Any:
    """Canonical levels."""
    encoded = texts.dictionary_encode()
    names = [LEVELS.get(text.lower()) for text in encoded.dictionary.to_pylist()]
    levels = pa.array(names, pa.string()).take(encoded.indices)
    odd |= _nulls(levels)
    return levels


def _check_services(texts: Any, odd: Mask) -> None:
    lengths = pc.fill_null(pc.utf8_length(texts), 0).to_numpy()
    odd |= (lengths < 1) | (lengths > MAX_SERVICE_LENGTH)


def _numbers(numbers: Any, highest: float, odd: Mask) -> Any:
    """Finite numbers from 0 to ``highest``, 0.0 for -0.0."""
    if numbers.null_count == len(numbers):
        return numbers
    values = numbers.to_numpy(zero_copy_only=False)
    missing = _nulls(numbers)
    odd |= ~((values >= 0) & (values <= highest)) & ~missing
    return pa.array(values + 0.0, pa.float64(), mask=missing)


def _check_hidden_numbers(numbers: Any | None, odd: Mask) -> None:
    """A number that is not looked at, for another name of its field comes first, has to be JSON all the same."""
    if numbers is not None and numbers.null_count < len(numbers):
        odd |= ~np.isfinite(numbers.to_numpy(zero_copy_only=False)) & ~_nulls(numbers)


def _addresses(texts: Any, odd: Mask) -> Any:
    """Canonical addresses."""
    if texts.null_count == len(texts):
        return texts
    others = np.flatnonzero(
        ~pc.fill_null(pc.match_substring_regex(texts, f"^{DOTTED_QUAD}$"), True).to_numpy(
            zero_copy_only=False
        )
    )
    if others.size == 0:
        return texts
    canonical = []
    for place, text in zip(others.tolist(), texts.take(pa.array(others)).to_pylist(), strict=True):
        try:
            canonical.append(_canonical(text))
        except ValueError:
            odd[place] = True
            canonical.append("")
    mask = np.zeros(len(texts), dtype=np.bool_)
    mask[others] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(canonical, pa.string()))


def _nulls(array: Any) -> Mask:
    missing: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return missing
