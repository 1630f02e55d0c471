"""Medians with their spread, and the table of promises."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["least", "most", "below"]
_HOLDS: Final[dict[Kind, Callable[[float, float], bool]]] = {
    "least": lambda figure, limit: figure >= limit,
    "most": lambda figure, limit: figure <= limit,
    "below": lambda figure, limit: figure < limit,
}
_SIGNS: Final[dict[Kind, str]] = {"least": ">=", "most": "<=", "below": "<"}


@dataclass(frozen=True, slots=True)
class Promise:
    """A limit that a figure has to keep."""

    kind: Kind
    limit: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: the figure of each round; `worst` takes the largest instead of the median."""

    what: str
    rounds: Sequence[float]
    form: str
    promise: Promise | None = None
    worst: bool = False

    @property
    def figure(self) -> float:
        """The median of the rounds, or the largest of them."""
        return max(self.rounds) if self.worst else statistics.median(self.rounds)

    @property
    def kept(self) -> bool:
        """Whether the promise is kept; without one, yes."""
        return self.promise is None or _HOLDS[self.promise.kind](self.figure, self.promise.limit)

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What, promise, figure with spread, verdict."""
        spread = ""
        if len(self.rounds) > 1:
            low, high = self.form.format(min(self.rounds)), self.form.format(max(self.rounds))
            spread = f"  ({low} to {high})"
        promise = verdict = ""
        if self.promise is not None:
            promise = f"{_SIGNS[self.promise.kind]} {self.form.format(self.promise.limit)}"
            verdict = "pass" if self.kept else "MISS"
        return self.what, promise, self.form.format(self.figure) + spread, verdict

    def as_json(self) -> dict[str, Any]:
        """The line for the results file."""
        promise = self.promise and {"kind": self.promise.kind, "limit": self.promise.limit}
        return {
            "what": self.what,
            "figure": self.figure,
            "of_rounds": "largest" if self.worst else "median",
            "rounds": list(self.rounds),
            "form": self.form,
            "promise": promise,
            "kept": self.kept,
        }


def table(lines: Sequence[Line]) -> str:
    """The lines under headings, columns aligned."""
    rows = [("what", "promise", "figure", ""), *(line.cells for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    texts = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    texts.insert(1, "  ".join("-" * width for width in widths).rstrip())
    return "\n".join(texts)
