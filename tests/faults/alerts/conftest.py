"""Servers and processes for the stages of episodes: started once, struck by every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.alerts.stage import Stage, open_ward
from tests.faults.arena import open_arena


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """What all stages share. No fsync: a process that is killed leaves its writes with the kernel."""
    directory = tmp_path_factory.mktemp("alert-stages")
    with open_arena(print, fsync=False) as arena, open_ward(arena, directory) as opened:
        yield opened


@pytest.fixture
def stage(ward: Stage) -> Stage:
    """A stage on which no rule is yet."""
    return Stage(ward.scene, ward.stream, ward.watch, ward.ward)
