"""What came of the runs, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.faults.alerts.run import Outcome


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """One run: figures, and everything that is wrong."""
    yield f"seed {outcome.seed}: " + ", ".join(f"{n} {name}" for name, n in outcome.figures.items())
    yield from (f"DIFFERENCE: {difference}" for difference in outcome.differences)
    yield from (f"PROBLEM: {problem}" for problem in outcome.problems)
    verdict = "everything as it should be" if outcome.good else "FAILED"
    yield f"seed {outcome.seed}: {verdict} ({outcome.seconds:.0f} s)"


def summary_lines(outcomes: Sequence[Outcome], broken: str | None) -> Iterator[str]:
    """All runs together."""
    if broken is not None:
        yield f"BROKEN OFF: {broken}"
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.figures)
    yield f"{len(outcomes)} run(s): " + ", ".join(f"{n} {name}" for name, n in total.items())
    bad = [str(outcome.seed) for outcome in outcomes if not outcome.good]
    yield f"FAILED: seeds {', '.join(bad)}" if bad else "everything as it should be in every run"
