"""Lists as CSV: RFC 4180, and harmless to spreadsheets. Pure.

A cell that begins like a formula would be run by a spreadsheet; an apostrophe before it makes it text.
Numbers are left alone: -5 is no formula.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A line of column names and one for each row, ended by CRLF. Nothing: an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return value if math.isfinite(value) else ""
    if isinstance(value, str):
        return harmless(value)
    # As in JSON: times without their quotes, numbers as exact as they came, lists and objects.
    text = msgspec.json.encode(value).decode()
    return text.strip('"') if isinstance(value, datetime) else text


def harmless(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would run."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
