"""Which processes of tests are measured: the list names what is there, and the variable comes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.measuring import FOR_CHILDREN, UNMEASURED, measures_children, unmeasured

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", UNMEASURED)
def test_each_place_exists(path: str) -> None:
    assert (CHECKOUT / path).exists()


def test_children_of_other_tests_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measures_children("tests/integration/test_worker_health.py::test_anything")
    assert not measures_children("tests/faults/alerts/test_stages.py::test_anything[1]")
    monkeypatch.setenv(FOR_CHILDREN, "as it was")
    with unmeasured():
        assert FOR_CHILDREN not in os.environ
    assert os.environ[FOR_CHILDREN] == "as it was"
