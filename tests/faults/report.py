"""What came of the runs, for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from tests.faults.run import PROMISED_S, Measured, Outcome


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """One run: figures, how the faults showed, recoveries, differences."""
    yield f"seed {outcome.seed}: " + ", ".join(f"{n} {name}" for name, n in outcome.figures.items())
    yield "in the workers' logs: " + ", ".join(f"{n} {name}" for name, n in outcome.marks.items())
    for recovery in outcome.recoveries:
        note = " (other faults near)" if recovery.disturbed else ""
        promised = PROMISED_S.get(recovery.what)
        limit = f", {promised:.0f} s promised" if promised else ""
        above = "  ABOVE THE PROMISE" if recovery.late else ""
        yield f"  recovered after {recovery.seconds:5.1f} s: {recovery.what}{limit}{note}{above}"
    yield from (f"DIFFERENCE: {difference}" for difference in outcome.differences)
    yield from (f"PROBLEM: {problem}" for problem in outcome.problems)
    verdict = "every comparison equal" if outcome.good else "FAILED"
    yield f"seed {outcome.seed}: {verdict} ({outcome.seconds:.0f} s)"


def summary_lines(outcomes: Sequence[Outcome], broken: str | None) -> Iterator[str]:
    """All runs together."""
    if broken is not None:
        yield f"BROKEN OFF: {broken}"
    if not outcomes:
        return
    total = sum(outcome.figures["in the topic"] for outcome in outcomes)
    faults = sum(outcome.figures["faults"] for outcome in outcomes)
    yield f"{len(outcomes)} run(s), {faults} faults, {total} messages"
    everything = [recovery for outcome in outcomes for recovery in outcome.recoveries]
    for what in sorted({recovery.what for recovery in everything}):
        yield _recovery_line(what, [each for each in everything if each.what == what])
    bad = [str(outcome.seed) for outcome in outcomes if not outcome.good]
    yield f"FAILED: seeds {', '.join(bad)}" if bad else "every comparison equal in every run"


def failed(outcomes: Sequence[Outcome], broken: str | None) -> bool:
    """Whether something is not as it should be; a late recovery is shown, not judged: the machine may be busy."""
    return broken is not None or not outcomes or not all(outcome.good for outcome in outcomes)


def _recovery_line(what: str, measured: Sequence[Measured]) -> str:
    every = [each.seconds for each in measured]
    text = f"  {what}: median {statistics.median(every):.1f} s, longest {max(every):.1f} s of {len(every)}"
    calm = [each.seconds for each in measured if not each.disturbed]
    if calm:
        text += f"; undisturbed: longest {max(calm):.1f} s of {len(calm)}"
    late = sum(each.late for each in measured)
    return text + (f"; {late} ABOVE THE PROMISE of {PROMISED_S[what]:.0f} s" if late else "")
