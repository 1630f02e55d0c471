"""Iterating ahead in a thread: order, limits, errors, and an end that is one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from analytics_service.adapters.timescale.ahead import Ahead

LONG_S = 20.0


class Made:
    """Counts up, noting how far it has come; `error` is raised instead of the item of that number."""

    def __init__(self, count: int, error: BaseException | None = None, at: int = -1) -> None:
        self.made = 0
        self.changed = threading.Condition()
        self.threads: set[threading.Thread] = set()
        self._count, self._error, self._at = count, error, at

    def items(self) -> Iterator[int]:
        for number in range(self._count):
            self.threads.add(threading.current_thread())
            if number == self._at and self._error is not None:
                raise self._error
            with self.changed:
                self.made += 1
                self.changed.notify_all()
            yield number

    def wait(self, made: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.made >= made, LONG_S)


def test_all_items_come_in_order_from_another_thread() -> None:
    made = Made(1_000)
    with Ahead(made.items(), 3) as ahead:
        assert list(ahead) == list(range(1_000))
        assert list(ahead) == [], "it has ended"
    assert threading.current_thread() not in made.threads
    assert not any(thread.is_alive() for thread in made.threads)


def test_no_more_than_so_many_are_made_before_they_are_taken() -> None:
    made = Made(100)
    with Ahead(made.items(), 3) as ahead:
        for taken in range(20):
            made.wait(3 + taken)
            assert next(ahead) == taken
            assert made.made <= 3 + taken + 1
    assert made.made <= 3 + 20 + 1


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_nothing_is_made_any_more_once_it_is_left(taken: int) -> None:
    made = Made(10**9)
    with Ahead(made.items(), 4) as ahead:
        assert [next(ahead) for _ in range(taken)] == list(range(taken))
        made.wait(4)
    assert not any(thread.is_alive() for thread in made.threads)
    assert made.made <= taken + 5


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_comes_where_its_item_would_have(error: BaseException) -> None:
    with Ahead(Made(10, error, at=3).items(), 8) as ahead:
        assert [next(ahead) for _ in range(3)] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(type(error)):
                next(ahead)


def test_an_error_of_whoever_takes_ends_it() -> None:
    made = Made(10**9)

    def take_badly() -> None:
        with Ahead(made.items(), 2) as ahead:
            next(ahead)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        take_badly()
    assert not any(thread.is_alive() for thread in made.threads)
