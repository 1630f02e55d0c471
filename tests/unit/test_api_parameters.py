"""Reading query parameters: what is accepted, and a 400 that names whatever is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from analytics_service.domain.windows import window_named
from dashboard_api.cursors import Cursor
from dashboard_api.errors import Problem
from dashboard_api.parameters import Parameters

NOW = datetime(2026, 3, 10, 12, 0, 0, tzinfo=UTC)
MINUTE = window_named("1min")


def parameters(*pairs: tuple[str, str]) -> Parameters:
    return Parameters(MultiDict(pairs), NOW)


def problems_of(read: Callable[[Parameters], object], *pairs: tuple[str, str]) -> dict[str, str]:
    query = parameters(*pairs)
    read(query)
    with pytest.raises(Problem) as caught:
        query.check()
    assert caught.value.status == 400
    return caught.value.parameters


def limit(query: Parameters) -> int:
    return query.integer("limit", 100, 1, 5000)


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("5000", 5000), ("+7", 7), ("007", 7)])
def test_limits(text: str, expected: int) -> None:
    query = parameters(("limit", text))
    assert limit(query) == expected
    query.check()


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "5001", "1e3", "1.0", "ten", "٣", "1_000", " 1", "9" * 30, "0x10", "\0"]
)
def test_limits_that_are_refused(text: str) -> None:
    assert list(problems_of(limit, ("limit", text))) == ["limit"]


def test_defaults() -> None:
    query = parameters()
    assert limit(query) == 100
    assert query.window() == MINUTE
    assert query.services() is None
    assert query.moment("from") is None
    assert query.moment("to", "now") == NOW
    assert query.cursor(MINUTE) is None
    query.check()


@pytest.mark.parametrize("name", ["2min", "", "1MIN", "1min ", "analytics_events"])
def test_windows_that_do_not_exist(name: str) -> None:
    problems = problems_of(lambda query: query.window(), ("window", name))
    assert problems == {"window": "must be one of 1min, 5min, 1hour"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        (["a", "a"], ["a"]),
        (["a,b"], ["a", "b", "a,b"]),  # a name may hold a comma
        (["a,,b,"], ["a", "b", "a,,b,"]),
        ([" a b\t"], [" a b\t"]),
        (["x" * 255], ["x" * 255]),
        (["x" * 200 + "," + "y" * 200], ["x" * 200, "y" * 200]),
    ],
)
def test_services(values: list[str], expected: list[str]) -> None:
    query = parameters(*[("service", value) for value in values])
    assert query.services() == expected
    query.check()


@pytest.mark.parametrize(
    "values",
    [[""], [","], ["a", ""], ["x" * 256], ["nul\0"], [",".join(map(str, range(501)))]],
)
def test_services_that_are_refused(values: list[str]) -> None:
    pairs = [("service", value) for value in values]
    assert list(problems_of(lambda query: query.services(), *pairs)) == ["service"]


def test_a_single_parameter_is_given_once() -> None:
    assert problems_of(limit, ("limit", "1"), ("limit", "2")) == {"limit": "must be given once"}


def test_unknown_parameters_are_named_with_those_there_are() -> None:
    problems = problems_of(limit, ("limt", "1"), ("x", "y"))
    assert problems == dict.fromkeys(["limt", "x"], "is not a parameter here; there are: limit")


def test_everything_wrong_is_told_at_once() -> None:
    def read(query: Parameters) -> None:
        limit(query)
        query.window()
        query.moment("from")

    problems = problems_of(read, ("limit", "0"), ("window", "w"), ("from", "f"), ("y", ""))
    assert list(problems) == ["limit", "window", "from", "y"]


def test_what_was_found_first_about_a_parameter_stays() -> None:
    def read(query: Parameters) -> None:
        query.moment("from")
        query.refuse("from", "must be before `to`")

    assert "ISO 8601" in problems_of(read, ("from", "f"))["from"]


@given(st.integers(-(2**55), 2**55), st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_cursors_there_and_back(timestamp_us: int, service: str) -> None:
    cursor = Cursor("1min", timestamp_us, service)
    query = parameters(("cursor", cursor.encode()))
    assert query.cursor(MINUTE) == cursor
    query.check()


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "====", "abc", "é", "a b", "W10", "bnVsbA",
        Cursor("5min", 0, "a").encode(), Cursor("1min", 2**62, "a").encode(),
        Cursor("1min", -(2**62), "a").encode(), Cursor("1min", 0, "nul\0").encode(),
    ],
)  # fmt: skip
def test_cursors_that_are_refused(text: str) -> None:
    assert list(problems_of(lambda query: query.cursor(MINUTE), ("cursor", text))) == ["cursor"]


@given(st.lists(st.tuples(st.sampled_from(["limit", "from", "service", "cursor", "x"]), st.text())))
def test_any_query_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    query = parameters(*pairs)
    limit(query)
    query.moment("from")
    query.services()
    query.cursor(MINUTE)
    refused: set[str] = set()
    try:
        query.check()
    except Problem as problem:
        refused = set(problem.parameters)
    assert refused <= {name for name, _ in pairs}
