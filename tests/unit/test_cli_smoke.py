"""What `stacklens smoke` makes of the API's answers, and how it waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_service.entrypoints.cli.checking import CheckFailed
from analytics_service.entrypoints.cli.smoke import Walk
from analytics_service.entrypoints.cli.smoke_steps import SmokeEvent, api_looks
from analytics_service.entrypoints.cli.stopping import StopSignal
from tests.unit.test_cli_verify import Reply, reply, server

EVENT = SmokeEvent("0a1b2c3d", 1_769_828_400_000_000)


def looked(answer: Reply, login: tuple[str, str] | None = ("anna", "secret")) -> str | None:
    """What the first look at an API finds that answers so."""
    with server({}, answer) as url:
        _, look = next(iter(api_looks(url, login, EVENT, 10.0)))
        return look()


def row(total: object) -> Reply:
    """An answer with one row."""
    return reply(200, {"metrics": [{"total_requests": total}], "count": 1})


def test_a_row_that_counts_one_event() -> None:
    assert looked(row(1)) == "total_requests 1"


def test_no_row_yet_is_waited_for() -> None:
    assert looked(reply(200, {"metrics": [], "count": 0})) is None


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_waited_for(status: int) -> None:
    with pytest.raises(OSError, match=f"status {status}"):
        looked(reply(status, {}))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (row(2), "total_requests 2 for one event"),
        (row(None), "total_requests None for one event"),
        (reply(200, {"metrics": ["x"]}), "no rows"),
        (reply(200, {"metrics": 1}), "no rows"),
        (reply(200, {}), "no rows"),
        ((200, {}, b"<html>"), "no JSON object"),
        (reply(403, {}), "status 403"),
        (reply(401, {}), "401: name or password is wrong"),
    ],
)
def test_what_does_not_pass_is_a_failure(answer: Reply, told: str) -> None:
    with pytest.raises(CheckFailed, match=told):
        looked(answer)


def test_nobody_is_logged_in() -> None:
    with pytest.raises(CheckFailed, match="401: give --user and a password"):
        looked(reply(401, {}), login=None)


def finding(*found: str | Exception | None) -> tuple[Callable[[], str | None], list[int]]:
    """A look that finds these in turn, the last for ever, and how often it was used."""
    places: list[int] = []

    def look() -> str | None:
        places.append(min(len(places), len(found) - 1))
        result = found[places[-1]]
        if isinstance(result, Exception):
            raise result
        return result

    return look, places


def test_a_step_is_looked_for_until_it_is_there() -> None:
    look, places = finding(None, OSError("away"), None, "here")
    with StopSignal() as stop:
        walk = Walk(stop, 60.0)
        walk.wait_for("arrives", look)
    assert [(step.step, step.outcome, step.detail) for step in walk.steps] == [
        ("arrives", "PASS", "here")
    ]
    assert places == [0, 1, 2, 3]
    assert walk.is_well


def test_after_a_failure_nothing_is_done() -> None:
    look, places = finding("here")
    with StopSignal() as stop:
        walk = Walk(stop, 60.0)
        walk.wait_for("fails", finding(CheckFailed("never"))[0])
        walk.wait_for("is not looked for", look)
    assert [step.outcome for step in walk.steps] == ["FAIL", "SKIP"]
    assert (walk.is_well, places) == (False, [])


def test_a_signal_ends_the_wait() -> None:
    with StopSignal() as stop:
        stop.stopped = True
        walk = Walk(stop, 60.0)
        walk.wait_for("arrives", finding(None)[0])
    assert walk.steps[0].detail == "interrupted"


def test_a_defect_is_not_a_step() -> None:
    with StopSignal() as stop, pytest.raises(ValueError, match="a defect"):
        Walk(stop, 60.0).wait_for("breaks", finding(ValueError("a defect"))[0])
