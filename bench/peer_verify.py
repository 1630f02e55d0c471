"""Is what a peer counted right? Its windows against a brute-force pass, its raw rows each once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from psycopg2 import sql
from psycopg2.extensions import connection

from bench.errors import WrongResult
from bench.events import Columns, Floats
from bench.peers.common import BOUNDS_MS, COLUMNS, PERCENTILES
from bench.truth import SUM_TOLERANCE, WINDOWS, figures_of, nearest_rank, places_of

# The first of common.COLUMNS; the others follow from them.
CHECKED: Final = COLUMNS[: COLUMNS.index("latency_bucket_counts") + 1]
SHOWN: Final = 8

PeerKey = tuple[str, str, int]
"""Window size, service, window start in epoch seconds."""
PeerRow = tuple[Any, ...]
"""The values of CHECKED, or the first few of them."""


def expected_windows(events: Columns) -> dict[PeerKey, PeerRow]:
    """Every window of all three sizes with its figures."""
    rows: dict[PeerKey, PeerRow] = {}
    for window, seconds in WINDOWS.items():
        for (service, start), places in places_of(events, seconds).items():
            figures = figures_of(events, places)
            latencies = np.sort(events.latency_ms[places])
            latencies = latencies[~np.isnan(latencies)]
            counts = np.bincount(_buckets(latencies), minlength=len(BOUNDS_MS) + 1).tolist()
            rows[window, service, start] = (
                figures.total,
                figures.failed,
                figures.latency_min,
                figures.latency_max,
                figures.latency_mean,
                *(_percentile(latencies, percent) for percent in PERCENTILES),
                len(latencies),
                counts,
            )
    return rows


def verify_peer_windows(expected: Mapping[PeerKey, PeerRow], rows: Iterable[Sequence[Any]]) -> int:
    """Each row (window, service, start, figures...) is as by brute force; how many. Raises WrongResult.

    Rows may hold fewer figures than CHECKED (the first ones), but at least requests and failures.
    """
    found = {(row[0], row[1], int(row[2])): tuple(row[3 : 3 + len(CHECKED)]) for row in rows}
    problems = [f"{key}: no row" for key in sorted(expected.keys() - found.keys())]
    problems += [f"{key}: a row too many" for key in sorted(found.keys() - expected.keys())]
    for key in sorted(expected.keys() & found.keys()):
        if len(found[key]) < 2:
            problems.append(f"{key}: too few figures")
        problems += [
            f"{key}: {name} is {value}, not {wanted}"
            for name, wanted, value in zip(CHECKED, expected[key], found[key], strict=False)
            if not _same(wanted, value)
        ]
    if problems:
        shown = "".join(f"\n  {text}" for text in problems[:SHOWN])
        raise WrongResult(f"{len(problems)} differences from the brute-force pass:{shown}")
    return len(found)


def stored_windows(conn: connection) -> list[Sequence[Any]]:
    """The rows of the three window tables as `verify_peer_windows` takes them."""
    rows: list[Sequence[Any]] = []
    for window in WINDOWS:
        with conn.cursor() as cur:
            cur.execute(
                sql.SQL("SELECT %s, service, extract(epoch FROM timestamp), {} FROM {}").format(
                    sql.SQL(", ").join(map(sql.Identifier, CHECKED)),
                    sql.Identifier(f"analytics_metrics_{window}"),
                ),
                (window,),
            )
            rows += cur.fetchall()
    return rows


def written_windows(file: Path) -> list[Sequence[Any]]:
    """The rows that a peer without a database wrote into its result file."""
    rows: list[Sequence[Any]] = json.loads(file.read_text(encoding="utf-8"))
    return rows


def _buckets(latencies: Floats) -> Any:
    return np.searchsorted(BOUNDS_MS, latencies, side="left")


def _percentile(ordered: Floats, percent: int) -> float | None:
    if not len(ordered):
        return None
    bucket = int(_buckets(np.array([nearest_rank(ordered, percent)]))[0])
    high = float(ordered[-1])
    return min(float(BOUNDS_MS[bucket]), high) if bucket < len(BOUNDS_MS) else high


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, float):
        return math.isclose(wanted, found, rel_tol=SUM_TOLERANCE)
    return bool(wanted == found)
