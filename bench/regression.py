"""Is it slower than it was? Ratios of this run against those of stored runs, beyond the noise that all of them show.

Ratios within one run hold on any machine of a kind: the product beside a bare COPY and beside Faust, CPU beside the CPU
of COPY, bytes an event. Yet hours differ in which others use the machine: a COPY suffers from that more than Faust, and
the product lies in between. So runs of several hours are stored, and a loss is real when it is larger
than what all their rounds and those of this run differ by among themselves, and every ratio that is about the same
figure of the product shows it: where one reference alone has moved, the product has not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.figures import Line

# Less than this no run of minutes can tell from chance, however alike its rounds happen to be.
LEAST_NOISE: Final = 0.10


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure that may be compared between runs: what, the figure of each round, whether more is better, and which
    figure of the product it is about (by itself: its own).
    """

    what: str
    rounds: Sequence[float]
    more_is_better: bool
    about: str = ""

    @property
    def middle(self) -> float:
        """The median."""
        return Line(self.what, self.rounds, "{}").figure

    @property
    def spread(self) -> float:
        """Half of what the rounds differ by, as a share of the median."""
        return (max(self.rounds) - min(self.rounds)) / 2 / self.middle


@dataclass(frozen=True, slots=True)
class Compared:
    """One ratio beside the stored one. `loss`: 0.1 is a tenth worse, below 0 better; `noise` in the same measure."""

    ratio: Ratio
    stored: float
    loss: float
    noise: float

    @property
    def is_loss(self) -> bool:
        """Whether it is worse beyond the noise."""
        return self.loss > self.noise

    def __str__(self) -> str:
        verdict = "worse" if self.is_loss else "no loss"
        change = f"{abs(self.loss):.0%} {'worse' if self.loss > 0 else 'better'}"
        return (
            f"{self.ratio.what}: {self.ratio.middle:.3g}, stored {self.stored:.3g}:"
            f" {change}, noise {self.noise:.0%}: {verdict}"
        )


def compare(ratios: Sequence[Ratio], file: Path) -> list[Compared]:
    """Each ratio beside the stored ones of its name. Raises BenchError when the file does not have them all."""
    try:
        runs = _runs(file)
        return [
            _compared(ratio, [figure for run in runs for figure in run["ratios"][ratio.what]])
            for ratio in ratios
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(
            f"{file} does not say what there is to compare with ({error!r}):"
            " write it with `python -m bench --quick --store anew`"
        ) from error


def losses(compared: Sequence[Compared]) -> list[str]:
    """The figures of the product that every ratio about them says have become worse."""
    by_figure: dict[str, list[bool]] = {}
    for each in compared:
        by_figure.setdefault(each.ratio.about or each.ratio.what, []).append(each.is_loss)
    return [about for about, worse in by_figure.items() if all(worse)]


def store(
    ratios: Sequence[Ratio], surroundings: Mapping[str, Any], file: Path, *, more: bool
) -> None:
    """Write the ratios for later runs to be compared with; `more`: beside those of the runs that are stored."""
    run = {**surroundings, "ratios": {ratio.what: list(ratio.rounds) for ratio in ratios}}
    try:
        runs = [*_runs(file), run] if more else [run]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{file} has no runs to add one to ({error!r})") from error
    file.write_text(json.dumps({"runs": runs}, indent=2) + "\n", encoding="utf-8")


def _runs(file: Path) -> list[dict[str, Any]]:
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
    if not runs:
        raise ValueError("no runs")
    return list(runs)


def _compared(ratio: Ratio, rounds: Sequence[float]) -> Compared:
    stored = Ratio(ratio.what, rounds, ratio.more_is_better)
    change = ratio.middle / stored.middle
    loss = 1 - change if ratio.more_is_better else change - 1
    return Compared(ratio, stored.middle, loss, max(LEAST_NOISE, ratio.spread + stored.spread))
