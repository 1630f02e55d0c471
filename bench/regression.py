"""Is it slower than it was? Ratios of this run against stored ones, beyond the noise that both measured themselves.

Ratios within one run hold on any machine of a kind: the product beside a bare COPY and beside Faust, CPU beside the CPU
of COPY, bytes an event. A loss is real when it is larger than what the rounds of a run differ by among themselves, and
every ratio that is about the same figure of the product shows it: where one reference alone has moved, the product has
not. (Faust is slowed down least in hours in which others use a machine's memory, COPY more, the product between them.)
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
    """Each ratio beside the stored one of its name. Raises BenchError when the file does not have them all."""
    try:
        stored: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["ratios"]
        return [_compared(ratio, stored[ratio.what]) for ratio in ratios]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(
            f"{file} does not say what there is to compare with ({error!r}):"
            " write it with `python -m bench --quick --store` on a quiet machine"
        ) from error


def losses(compared: Sequence[Compared]) -> list[str]:
    """The figures of the product that every ratio about them says have become worse."""
    by_figure: dict[str, list[bool]] = {}
    for each in compared:
        by_figure.setdefault(each.ratio.about or each.ratio.what, []).append(each.is_loss)
    return [about for about, worse in by_figure.items() if all(worse)]


def store(ratios: Sequence[Ratio], surroundings: Mapping[str, Any], file: Path) -> None:
    """Write the ratios for later runs to be compared with."""
    kept = {
        ratio.what: {"figure": ratio.middle, "spread": ratio.spread, "rounds": list(ratio.rounds)}
        for ratio in ratios
    }
    document = {**surroundings, "ratios": kept}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _compared(ratio: Ratio, stored: Mapping[str, float]) -> Compared:
    figure, spread = float(stored["figure"]), float(stored["spread"])
    change = ratio.middle / figure
    loss = 1 - change if ratio.more_is_better else change - 1
    return Compared(ratio, figure, loss, max(LEAST_NOISE, ratio.spread + spread))
