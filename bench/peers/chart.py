"""Draw what `python -m bench.peers_run` found: `chart.py RESULTS.json PICTURE.png`, in the peers' environment."""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

INK, PALE, OURS, THEIRS = "#1f2933", "#d5dbe1", "#0b7285", "#8795a1"


def points(found: dict[str, Any]) -> list[tuple[str, list[float], bool]]:
    """What to draw, from the fastest: title, events a second of each round, whether raw rows are stored too."""
    rounds = found["rounds"]
    product = [each["product"]["events"] / each["product"]["seconds"] for each in rounds]
    drawn = [("StackLens", product, True)]
    for peer in found["peers"]:
        for store in peer["variants"]:
            name = f"{peer['name']}-{'stored' if store else 'windows'}"
            passes = [each["passes"][name] for each in rounds]
            rates = [one["events"] / one["seconds"] for one in passes]
            drawn.append((peer["title"], rates, store))
    return sorted(drawn, key=lambda point: statistics.median(point[1]))


def draw(found: dict[str, Any], picture: str) -> None:
    """One point for each, on a logarithmic scale, with the spread of the rounds; hollow: no raw rows stored."""
    drawn = points(found)
    figure, axes = pyplot.subplots(figsize=(9, 0.52 * len(drawn) + 1.5), dpi=120)
    for place, (title, rates, store) in enumerate(drawn):
        middle = statistics.median(rates)
        colour = OURS if title == "StackLens" else THEIRS
        axes.plot([min(rates), max(rates)], [place, place], color=colour, linewidth=2.5)
        axes.plot(
            middle,
            place,
            marker="o",
            markersize=11,
            markerfacecolor=colour if store else "white",
            markeredgecolor=colour,
            markeredgewidth=2,
        )
        axes.text(max(rates) * 1.17, place, f"{middle:,.0f}", va="center", color=INK, fontsize=9)
    labels = [
        f"{title}\n{'windows + raw rows' if store else 'windows only'}" for title, _, store in drawn
    ]
    axes.set_yticks(range(len(drawn)), labels, fontsize=8, color=INK)
    axes.set_xscale("log")
    axes.set_xlim(
        min(min(rates) for _, rates, _ in drawn) / 2, max(max(rates) for _, rates, _ in drawn) * 2.5
    )
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    machine = found["machine"]
    loads = [one["load_at_start"] for each in found["rounds"] for one in each["passes"].values()]
    axes.set_title(
        "Events a second, Kafka and TimescaleDB on the same machine (logarithmic)",
        fontsize=10,
        color=INK,
        loc="left",
    )
    axes.set_xlabel(
        f"median and spread of {len(found['rounds'])} round(s); {found['plan']['events']:,} events; "
        f""
        f"{machine['cpus']} CPUs ({machine['cpu']}), load {min(loads):.1f} to {max(loads):.1f}",
        fontsize=8,
        color=INK,
    )
    figure.tight_layout()
    figure.savefig(picture)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as results:
        draw(json.load(results), sys.argv[2])
