"""Which tests start processes that run without coverage: twice as fast, and what they run is measured elsewhere.

Coverage makes itself known to a child by a variable of the environment. These tests are about what comes out of
processes under a stream, faults or a browser, not about lines that no other test reaches.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

FOR_CHILDREN = "COVERAGE_PROCESS_CONFIG"
UNMEASURED = (
    "tests/faults/",
    "tests/system/",
    "tests/integration/test_alert_storm.py",
    "tests/integration/test_complaints.py",
    "tests/integration/test_exactly_once.py",
    "tests/integration/test_frozen_flush.py",
    "tests/integration/test_generated_day.py",
    "tests/integration/test_late_attempts.py",
    "tests/integration/test_real_day.py",
    "tests/integration/test_restarts.py",
)


def measures_children(nodeid: str) -> bool:
    """Whether the processes of a test, or of the tests of a module, are measured; `nodeid` as pytest writes it."""
    return not nodeid.startswith(UNMEASURED)


@contextlib.contextmanager
def unmeasured() -> Iterator[None]:
    """Processes that are started in the block run without coverage."""
    held = os.environ.pop(FOR_CHILDREN, None)
    try:
        yield
    finally:
        if held is not None:
            os.environ[FOR_CHILDREN] = held
