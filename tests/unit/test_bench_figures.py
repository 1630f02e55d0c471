"""The bench's table: medians, spread, promises."""

from __future__ import annotations

import pytest

from bench.figures import Kind, Line, Promise, table


@pytest.mark.parametrize(
    ("kind", "figure", "kept"),
    [
        ("least", 0.25, True),  # a promise of at least is kept at the limit
        ("least", 0.2499, False),
        ("most", 0.5, True),
        ("most", 0.5001, False),
        ("below", 299.9, True),
        ("below", 300.0, False),  # below is below
    ],
)
def test_a_promise_is_kept_or_missed(kind: Kind, figure: float, kept: bool) -> None:
    limit = {"least": 0.25, "most": 0.5, "below": 300.0}[kind]
    line = Line("x", [figure], "{:.4f}", Promise(kind, limit))
    assert line.kept is kept
    assert line.cells[3] == ("pass" if kept else "MISS")


def test_the_figure_is_the_median_of_the_rounds_or_the_largest() -> None:
    assert Line("x", [9.0, 1.0, 2.0], "{}").figure == 2.0
    assert Line("x", [9.0, 1.0, 2.0], "{}", worst=True).figure == 9.0


def test_a_line_without_a_promise_is_kept_and_says_nothing() -> None:
    assert Line("x", [1.0], "{:.0f}").cells == ("x", "", "1", "")
    assert Line("x", [1.0], "{:.0f}").kept


def test_the_table_shows_spread_limits_and_verdicts_in_columns() -> None:
    lines = [
        Line("ratio", [0.3, 0.1, 0.2], "{:.2f}", Promise("least", 0.25)),
        Line("memory, peak", [120.0], "{:.0f} MB", Promise("below", 300)),
    ]
    assert table(lines).splitlines() == [
        "what          promise   figure",
        "------------  --------  --------------------  ----",
        "ratio         >= 0.25   0.20  (0.10 to 0.30)  MISS",
        "memory, peak  < 300 MB  120 MB                pass",
    ]


def test_a_line_for_the_results_file_holds_every_round() -> None:
    line = Line("p50", (0.3, 0.1, 0.2), "{:.2f}", Promise("most", 0.5))
    assert line.as_json() == {
        "what": "p50",
        "figure": 0.2,
        "of_rounds": "median",
        "rounds": [0.3, 0.1, 0.2],
        "form": "{:.2f}",
        "promise": {"kind": "most", "limit": 0.5},
        "kept": True,
    }
