"""The table and the results file of the bench of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.api_measure import CLIENTS, PACE_S, Measured
from bench.api_seed import Seeded
from bench.figures import Line, Promise
from bench.outcome import write

HEADINGS: Final = (
    "request", "p95 promised", "paced p50", "p95", "of rounds", "worst", "", "saturated p95", "requests/s",
    "CPU API", "database",
)  # fmt: skip
_WIDEST: Final = 52


def lines_of(measured: Sequence[Measured]) -> list[Line]:
    """Of the requests that have the same limit the slowest, by what counts."""
    lines = []
    for limit_ms in sorted({each.limit_ms for each in measured}):
        those = [each for each in measured if each.limit_ms == limit_ms]
        slowest = max(those, key=lambda each: each.counted_ms)
        what = f"API: slowest of what may take {limit_ms:g} ms, {slowest.path}"
        lines.append(Line(what, [slowest.counted_ms], "{:.1f} ms", Promise("most", limit_ms)))
    return lines


def report(
    seeded: Seeded, measured: Sequence[Measured], surroundings: Mapping[str, Any], file: Path
) -> bool:
    """Print the table and write the results; whether every promise is kept."""
    kept = all(each.kept for each in measured)
    content = {
        "clients": CLIENTS,
        "pace_s": PACE_S,
        "seed": {
            "services": seeded.services,
            "rows": dict(seeded.rows),
            "window_rows_per_second": round(seeded.rate),
            "database_bytes": seeded.bytes,
        },
        "requests": [each.as_json() for each in measured],
        "lines": [line.as_json() for line in lines_of(measured)],
    }
    write(file, "api", surroundings, content, kept)
    print(f"seed: {seeded.windows:,} windows, {seeded.rate:,.0f} rows/s")
    print(
        f"{CLIENTS} clients; paced: each asks every {PACE_S:g} s (the promise is about these);"
        " medians of the rounds; saturated: each asks again at once; times in ms"
    )
    print(table(measured))
    return kept


def table(measured: Sequence[Measured]) -> str:
    """A line for each request, columns aligned; numbers to the right."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for each in measured:
        rows.append(_cells(each))
        if each.alone is not None:
            alone = each.alone
            p50, p95, worst = (f"{ms:.1f}" for ms in (alone.p50_ms, alone.p95_ms, alone.worst_ms))
            rows.append(("  one client, now and then", "", p50, p95, "", worst, "", "", "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    texts = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    texts.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(texts)


def _cells(each: Measured) -> tuple[str, ...]:
    database = "" if each.database_cpu_ms is None else f"{each.database_cpu_ms:.1f}"
    return (
        each.path if len(each.path) <= _WIDEST else each.path[: _WIDEST - 3] + "...",
        f"{each.limit_ms:.0f}",
        f"{each.middle(50):.1f}",
        f"{each.middle(95):.1f}",
        "{:.1f}-{:.1f}".format(*each.spread(95)),
        f"{each.worst_ms:.1f}",
        "pass" if each.kept else "MISS",
        f"{each.saturated.p95_ms:.1f}",
        f"{each.saturated.per_second:,.0f}",
        f"{each.api_cpu_ms:.1f}",
        database,
    )
