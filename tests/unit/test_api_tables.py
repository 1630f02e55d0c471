"""Lists as CSV, read back by Python's own reader."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_api.tables import csv_text

cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=6))
def test_texts_come_back_but_for_the_apostrophe(rows: list[list[str]]) -> None:
    head, *found = read(csv_text(["a", "b"], rows))
    assert head == ["a", "b"]
    assert found == [
        [
            f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and cell else cell
            for cell in row
        ]
        for row in rows
    ]
    assert csv_text(["a", "b"], rows).endswith("\r\n")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("a=b", "a=b"),
        (-1, "-1"),
        (-1.5, "-1.5"),
        (1e300, "1e+300"),
        (float("nan"), ""),
        (float("inf"), ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (msgspec.Raw(b"-1.50"), "-1.50"),
        (datetime(2026, 3, 10, 12, tzinfo=UTC), "2026-03-10T12:00:00Z"),
        (["=1", 2], '["=1",2]'),
        ({"a": None}, '{"a":null}'),
        ('say "x"', 'say "x"'),
    ],
)
def test_cells(value: object, cell: str) -> None:
    assert read(csv_text(["a"], [[value]])) == [["a"], [cell] if cell else []] or cell == ""
    assert read(csv_text(["a", "b"], [[value, 1]]))[1] == [cell, "1"]


def test_names_of_columns_are_cells_too() -> None:
    assert read(csv_text(["=a"], [])) == [["'=a"]]
