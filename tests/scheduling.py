"""Which tests of a parallel run belong in one process, because what they start is shared there. Told by their ids."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadGroupScheduling

# What an id holds, and the group it belongs to then. (xdist's own marks are lost with this pytest.)
GROUPS = (
    (
        "tests/faults/alerts/test_stages.py",
        "alert stages",
    ),  # servers of their own, killed again and again
    ("tests/system/test_page_", "browser"),
    ("[pg15", "PostgreSQL 15"),
)


def group_of(nodeid: str) -> str:
    """The group of a test; one that belongs to none is a group of its own."""
    return next((group for part, group in GROUPS if part in nodeid), nodeid)


class Scheduler(LoadGroupScheduling):  # type: ignore[misc]  # the library is not typed
    """Hands out tests one by one, and groups as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def make_scheduler(config: Any, log: Any) -> Scheduler:
    """As xdist's hook wants it."""
    return Scheduler(config, log)
