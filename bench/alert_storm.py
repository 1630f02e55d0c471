"""Many services that break within one second: how long looks at the rules take then, by the worker's own metric."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from bench.child import Child
from bench.site import PORT_SAID

_SAMPLE: Final = "stacklens_evaluation_seconds_bucket"
_PORT = re.compile(rf"{PORT_SAID} (\d+)")
_PATIENCE_S: Final = 10.0


def looks_so_far(workers: Sequence[Child]) -> dict[float, float]:
    """How many looks of all the workers took at most so many seconds, by the bounds of their histogram."""
    counts: dict[float, float] = {}
    for worker in workers:
        _, line = worker.wait_for(PORT_SAID, _PATIENCE_S)
        found = _PORT.search(line)
        assert found is not None
        url = f"http://127.0.0.1:{found.group(1)}/metrics"
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == _SAMPLE:
                    bound = float(sample.labels["le"])
                    counts[bound] = counts.get(bound, 0.0) + sample.value
    return counts


def bound_of(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float:
    """The least bound (seconds) that `share` (0 to 1) of the looks between two readings kept; infinity: none did.

    The truth is at most that; how far below cannot be told from a histogram. Raises ValueError without a look.
    """
    looks = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    total = max(looks.values(), default=0.0)
    if total <= 0:
        raise ValueError("no look was made in between")
    return min(bound for bound, count in looks.items() if count >= share * total)
