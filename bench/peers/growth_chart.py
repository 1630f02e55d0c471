"""Draw how cost grows: `growth_chart.py PICTURE.png` from the newest scale, growth and bloat results.

Needs matplotlib, which is in the peers' environment (`python -m bench.peers_run` makes it: `.venv-peers`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

RESULTS = Path(__file__).resolve().parents[1] / "results"
INK, PALE = "#1f2933", "#d5dbe1"
WORKER, DATABASE, THIRD = "#0b7285", "#c2631a", "#7a5195"
WINDOWS = ("1min", "5min", "1hour")


def load(name: str) -> dict[str, Any]:
    """The results of one bench."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def bars(axes: Any, title: str, labels: Sequence[str], series: dict[str, Sequence[float]]) -> None:
    """Stacked bars, one for each label; the sum above each."""
    below = [0.0] * len(labels)
    for (name, values), colour in zip(series.items(), (WORKER, DATABASE), strict=False):
        axes.bar(labels, values, bottom=below, color=colour, width=0.55, label=name)
        below = [a + b for a, b in zip(below, values, strict=True)]
    for place, total in enumerate(below):
        axes.text(place, total, f"{total:,.3g}", ha="center", va="bottom", fontsize=8, color=INK)
    axes.set_ylim(0, max(below) * 1.4)
    if len(series) > 1:
        axes.legend(fontsize=7, frameon=False, loc="upper left", ncols=2)
    dress(axes, title)


def dress(axes: Any, title: str) -> None:
    """What all have in common."""
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def cpu_of(loads: Sequence[dict[str, Any]]) -> dict[str, Sequence[float]]:
    """Microseconds an event."""
    return {
        "worker": [1e6 * each["worker_cpu_s"] / each["events"] for each in loads],
        "database session": [1e6 * (each["session_cpu_s"] or 0) / each["events"] for each in loads],
    }


def draw(
    scale: dict[str, Any], growth: dict[str, Any], bloat: dict[str, Any], picture: str
) -> None:
    """Six panels, of results from one machine."""
    machines = {
        (each["machine"]["cpu"], each["machine"]["cpus"]) for each in (scale, growth, bloat)
    }
    if len(machines) > 1:
        raise SystemExit(f"growth_chart: the results are from different machines: {machines}")
    figure, panels = pyplot.subplots(2, 3, figsize=(12, 6.2), dpi=110)
    workers, services = scale["workers"], scale["services"]
    bars(
        panels[0][0],
        "workers: their CPU, us an event",
        [str(each["workers"]) for each in workers],
        {"workers": [each["cpu_us"] for each in workers]},
    )
    names = [f"{each['services']:,}" for each in services]
    bars(
        panels[0][1],
        "services: CPU, us an event (backlog)",
        names,
        {
            "worker": [each["worker_cpu_us"] for each in services],
            "database session": [each["session_cpu_us"] for each in services],
        },
    )
    bars(
        panels[0][2],
        f"services: visible after, p99, s ({scale['rate']:,} events/s)",
        names,
        {"p99": [each["live"]["p99_s"] for each in services]},
    )
    days = growth["days"]
    bars(
        panels[1][0],
        f"days of {growth['services']} services in the tables: CPU, us an event",
        [f"{each['days']} ({each['windows'] / 1e6:.1f} million rows)" for each in days],
        cpu_of([each["load"] for each in days]),
    )
    backlogs = growth["backlogs"]
    bars(
        panels[1][1],
        "events that wait: CPU, us an event",
        [
            f"{each['events']:,}\n{each['events'] / each['seconds']:,.0f}/s, {each['peak_memory_bytes'] / 1e6:.0f} MB"
            for each in backlogs
        ],
        cpu_of(backlogs),
    )
    last = panels[1][2]
    minutes = [look["after_s"] / 60 for look in bloat["looks"]]
    for place, (window, colour) in enumerate(zip(WINDOWS, (WORKER, DATABASE, THIRD), strict=True)):
        sizes = [look["sizes"][place] / 1e6 for look in bloat["looks"]]
        weighed = bloat["weighed"][place]
        times = weighed["size"] / weighed["fresh"]
        last.plot(
            minutes, sizes, color=colour, label=f"{window}: {times:.1f} x a fresh copy in the end"
        )
    last.legend(fontsize=7, frameon=False, loc="upper left")
    plan = bloat["plan"]
    dress(last, f"MB of each table; minutes at {plan['rate']:,}/s, {plan['services']} services")
    machine = scale["machine"]
    figure.text(
        0.01, 0.005, f"{machine['cpus']} CPUs ({machine['cpu']}), everything on them", fontsize=8, color=INK
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(picture)


if __name__ == "__main__":
    draw(load("scale"), load("growth"), load("bloat"), sys.argv[1])
