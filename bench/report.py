"""What was measured and promised: the plan, the figures of each round, the table and the results file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench import outcome
from bench.bare_copy import CopyResult
from bench.figures import Line, Promise
from bench.live import LiveResult
from bench.load import LoadResult
from bench.regression import Ratio

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    events: int = 1_000_000
    faust_events: int = 100_000
    rounds: int = 3
    rate: int = 10_000
    live_seconds: float = 25.0


@dataclass(slots=True)
class Round:
    """What one round gave."""

    order: tuple[str, ...]
    load_at_start: float
    load: LoadResult | None = None
    live: LiveResult | None = None
    copy: CopyResult | None = None
    faust_rate: float = 0.0


def lines_of(rounds: list[Round]) -> list[Line]:
    """The table: figures and promises."""
    loads = [each.load for each in rounds if each.load is not None]
    lives = [each.live for each in rounds if each.live is not None]
    copies = [each.copy for each in rounds if each.copy is not None]
    memory = [max(a.peak_memory_bytes, b.peak_memory_bytes) / 1e6 for a, b in _pairs(loads, lives)]
    of_copy = [a.rate / b.rate for a, b in _pairs(loads, copies)]
    of_faust = [a.rate / b.faust_rate for a, b in _pairs(loads, rounds)]
    rate = "{:,.0f}/s"
    lines = [
        Line("end to end: raw rows, 3 windows, offsets", [x.rate for x in loads], rate),
        Line("  process start included", [x.events / x.seconds_from_start for x in loads], rate),
        Line("bare COPY of the same raw rows", [x.rate for x in copies], rate),
        Line("Faust with three windowed Tables", [x.faust_rate for x in rounds], rate),
        Line("end to end, share of the bare COPY", of_copy, "{:.3f}", Promise("least", 0.5)),
        Line("end to end, times Faust", of_faust, "{:.1f}", Promise("least", 120)),
        Line("peak memory of the worker", memory, "{:.0f} MB", Promise("below", 300), worst=True),
        Line("visible after, p50", [x.p50_s for x in lives], "{:.3f} s", Promise("most", 0.5)),
        Line("visible after, p99", [x.p99_s for x in lives], "{:.3f} s", Promise("most", 1.0)),
        Line("  slowest event", [x.worst_s for x in lives], "{:.3f} s"),
        Line(
            "CPU an event: worker", [_micros(x.worker_cpu_s, x.events) for x in loads], "{:.2f} us"
        ),
        Line("WAL an event", [x.wal_bytes / x.events for x in loads], "{:.0f} B"),
        Line("on disk an event", [x.disk_bytes / x.events for x in loads], "{:.0f} B"),
    ]
    sessions = [_micros(x.session_cpu_s, x.events) for x in loads if x.session_cpu_s is not None]
    bare = [_micros(x.session_cpu_s, x.rows) for x in copies if x.session_cpu_s is not None]
    if sessions and bare:
        lines.append(Line("CPU an event: its database session", sessions, "{:.2f} us"))
        lines.append(Line("CPU a row: session of the bare COPY", bare, "{:.2f} us"))
    return lines


def ratios_of(rounds: list[Round]) -> list[Ratio]:
    """What may be compared with another run: each figure within its round."""
    loads = [each.load for each in rounds if each.load is not None]
    copies = [each.copy for each in rounds if each.copy is not None]
    ratios = [
        Ratio(
            "share of a bare COPY",
            [a.rate / b.rate for a, b in _pairs(loads, copies)],
            True,
            "rate",
        ),
        Ratio(
            "times Faust", [a.rate / b.faust_rate for a, b in _pairs(loads, rounds)], True, "rate"
        ),
        Ratio("WAL bytes an event", [x.wal_bytes / x.events for x in loads], False),
        Ratio("disk bytes an event", [x.disk_bytes / x.events for x in loads], False),
    ]
    cpu = [
        (a.worker_cpu_s + a.session_cpu_s) / a.events / (b.session_cpu_s / b.rows)
        for a, b in _pairs(loads, copies)
        if a.session_cpu_s is not None and b.session_cpu_s
    ]
    return [*ratios, Ratio("CPU an event, in COPYs", cpu, False)] if cpu else ratios


def _pairs(one: Sequence[T], other: Sequence[U]) -> Iterator[tuple[T, U]]:
    return zip(one, other, strict=True)


def _micros(seconds: float, count: int) -> float:
    return 1e6 * seconds / count


def report(plan: Plan, surroundings: Mapping[str, Any], rounds: list[Round], file: Path) -> bool:
    """Print the table and write the results; whether every promise is kept."""
    content = {"plan": asdict(plan), "rounds": [asdict(each) for each in rounds]}
    return outcome.report(file, "end_to_end", surroundings, content, lines_of(rounds))
