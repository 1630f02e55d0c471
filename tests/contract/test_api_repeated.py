"""What is asked again and again is looked up once a second; whoever asks now and then sees what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dashboard_api import repeated
from dashboard_api.renewing import Renewing
from dashboard_api.shared_newest import AGAIN_S, OLDEST_S, STILL_ASKED_S
from devstack.api import Stack
from tests.api_support import (
    NOW_S,
    USER,
    Asking,
    api_app,
    api_settings,
    event,
    fresh_database,
    store_events,
)
from tests.databases import Database

PATHS = [
    "/health-status",
    "/metrics/summary?from=-3h",
    "/metrics/series?metric=total_requests",
    "/slowest-services",
    "/top-error-services?threshold=0",
    "/sla",
]
OFTEN = 5


class InHand(Renewing):
    """Renews when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[object, object] = {}

    def wants(self, key: object) -> bool:
        """As told."""
        return key in self.wanted

    def want(self, key: object, wanted: object) -> None:
        """Note it."""
        self.wanted[key] = wanted

    def renew(self) -> list[bool]:
        """All that is wanted."""
        return [wanted.renew() for wanted in self.wanted.values()]  # type: ignore[attr-defined]


@dataclass
class Arena:
    """An API whose clock stands still, and its database."""

    asking: Asking
    database: Database
    renewing: InHand
    now_s: float = 5000.0

    def ask(self, path: str, expect: int = 200) -> tuple[str, str]:
        """When the answer was looked up, and its body."""
        answer = self.asking.client.get(path, auth=USER)
        assert answer.status_code == expect, answer.text
        return answer.headers.get(repeated.AS_OF, ""), answer.text

    def store_one_more(self) -> None:
        """An event that changes every answer."""
        store_events(
            self.database,
            [event(NOW_S - 70, "auth", level="error", latency_ms=9000.0 + self.now_s)],
        )


@pytest.fixture
def arena(stack: Stack, migrated_template: str) -> Iterator[Arena]:
    moments = (f"moment {number}" for number in range(1000))
    with fresh_database(stack, migrated_template) as database:
        store_events(database, [event(NOW_S - 80, "auth", latency_ms=5.0)])
        with api_app(api_settings(database.env)) as app:
            made = Arena(Asking(app.test_client()), database, InHand())
            app.extensions[repeated.EXTENSION] = repeated.Repeated(
                made.renewing, lambda: next(moments), lambda: made.now_s
            )
            yield made


@pytest.mark.parametrize("path", PATHS)
def test_now_and_then_it_is_what_is_stored(arena: Arena, path: str) -> None:
    # 0.3 s apart: the fifth comes 1.2 s after the first.
    bodies = []
    for _ in range(7):
        bodies.append(arena.ask(path)[1])
        arena.store_one_more()
        arena.now_s += 0.3
    assert len(set(bodies)) == 7
    assert not arena.renewing.wanted


@pytest.mark.parametrize("path", PATHS)
def test_again_and_again_it_is_at_most_a_second_old(arena: Arena, path: str) -> None:
    # 0 s: four as stored, the fifth is kept; until 0.95 s the same, then a new one
    for _ in range(OFTEN - 1):
        arena.ask(path)
    kept = arena.ask(path)
    arena.store_one_more()
    assert arena.ask(path) == kept
    arena.now_s += OLDEST_S + 0.01
    for _ in range(OFTEN):
        later = arena.ask(path)
    assert later[0] != kept[0]
    assert later[1] != kept[1]


@pytest.mark.parametrize("path", PATHS)
def test_it_is_renewed_while_it_is_asked_for(arena: Arena, path: str) -> None:
    for _ in range(OFTEN):
        kept = arena.ask(path)
    arena.store_one_more()
    arena.now_s += AGAIN_S
    assert arena.renewing.renew() == [True]
    renewed = [arena.ask(path) for _ in range(OFTEN)][-1]
    assert renewed[1] != kept[1]
    arena.now_s += STILL_ASKED_S + 0.1
    assert arena.renewing.renew() == [False]


def test_questions_are_told_apart(arena: Arena) -> None:
    paths = [
        "/metrics/summary?from=-3h&service=auth",
        "/metrics/summary?from=-3h&service=none",
        "/metrics/summary?from=-3h&service=auth&format=csv",
        "/v1/metrics/summary?from=-3h&service=auth",
    ]
    answers = [[arena.ask(path)[1] for _ in range(OFTEN + 2)] for path in paths]
    assert [len(set(each)) for each in answers] == [1, 1, 1, 1]
    assert answers[0] == answers[3]
    assert len({each[0] for each in answers}) == 3


def test_questions_that_share_a_place_do_not_make_each_other_asked_often(arena: Arena) -> None:
    # One is asked again and again; then, within a second, each of more others than there are places, twice.
    for _ in range(OFTEN):
        arena.ask("/sla")
    others = [f"/sla?days={days}" for days in range(2, 2 + 2 * repeated.PLACES)]
    before = [arena.ask(path)[1] for path in others]
    kept = arena.ask("/sla")
    arena.store_one_more()
    after = [arena.ask(path)[1] for path in others]
    assert not any(one == other for one, other in zip(before, after, strict=True))
    assert arena.ask("/sla") == kept


def test_as_csv_too(arena: Arena) -> None:
    path = "/health-status?format=csv"
    answers = [arena.asking.client.get(path, auth=USER) for _ in range(OFTEN + 2)]
    assert len({answer.text for answer in answers}) == 1
    assert {answer.content_type for answer in answers} == {
        "text/csv; charset=utf-8; header=present"
    }
    assert {answer.headers["ETag"] for answer in answers} == {answers[0].headers["ETag"]}


def test_what_cannot_be_used_is_not_kept(arena: Arena) -> None:
    for _ in range(OFTEN + 2):
        arena.ask("/sla?days=0", expect=400)
    assert not arena.renewing.wanted
