"""What somebody asks for is looked up again in time; what nobody asks for any more is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dashboard_api.errors import unavailable
from dashboard_api.renewing import Renewing


class Wanted:
    """Due at once; asked for a few times more. Raises what it is given."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        self.renewed = 0
        self.over = threading.Event()
        self._times = times
        self._error = error

    def due_in_s(self) -> float:
        """Always."""
        return 0.0

    def renew(self) -> bool:
        """Count."""
        self.renewed += 1
        if self.renewed >= self._times:
            self.over.set()
        if self._error is not None:
            raise self._error
        return self.renewed < self._times


@pytest.fixture
def renewing() -> Iterator[Renewing]:
    made = Renewing()
    yield made
    made.stop()


def test_each_is_renewed_until_nobody_asks_for_it(renewing: Renewing) -> None:
    one, other = Wanted(3), Wanted(1)
    renewing.want("one", one)
    renewing.want("other", other)
    assert one.over.wait(10)
    assert other.over.wait(10)
    again = Wanted(1)
    renewing.want("one", again)
    assert again.over.wait(10)
    assert (one.renewed, other.renewed) == (3, 1)


def test_what_cannot_be_looked_up_is_left_to_who_asks_next(renewing: Renewing) -> None:
    failing = Wanted(1, unavailable("no database"))
    renewing.want("failing", failing)
    assert failing.over.wait(10)
    other = Wanted(2)
    renewing.want("other", other)
    assert other.over.wait(10)
    assert failing.renewed == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_of_our_own_stops_nothing_else(renewing: Renewing) -> None:
    failing = Wanted(1, ValueError("a mistake"))
    renewing.want("failing", failing)
    assert failing.over.wait(10)
    thread = next((each for each in threading.enumerate() if each.name == "renewing"), None)
    if thread is not None:
        thread.join(10)
    other = Wanted(2)
    renewing.want("other", other)
    assert other.over.wait(10)
    assert failing.renewed == 1
