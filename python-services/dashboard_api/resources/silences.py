"""`/silences`: looking at what nobody is told of for a while."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.silences import (
    STATES,
    NoSuchSilence,
    State,
    StoredSilence,
    list_silences,
    silence_numbered,
)
from dashboard_api.context import context
from dashboard_api.errors import not_found
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.paths import NUMBER
from dashboard_api.reading import read_nothing, read_query
from dashboard_api.responses import json_answer, list_answer
from dashboard_api.schemas.silences import Matcher, SilencePage, SilenceRow

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
CURRENT: tuple[State, ...] = ("active", "pending")

blueprint = Blueprint("silences", __name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    state: str
    limit: int
    below: int | None

    @property
    def states(self) -> tuple[State, ...]:
        """The states that are meant."""
        named: dict[str, tuple[State, ...]] = {"current": CURRENT, "all": STATES}
        return named.get(self.state) or tuple(state for state in STATES if state == self.state)


def _read(query: Parameters) -> _Wanted:
    query.format()
    return _Wanted(
        query.choice(
            "state", ("current", *STATES, "all"), "current", "current: active or pending."
        ),
        query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many silences."),
        query.before_id(),
    )


@blueprint.get("/silences")
@operation("Silences", answer=SilencePage, reads=_read)
def silences() -> Response:
    """Silences, newest first."""
    wanted = read_query(_read)
    with context().reader.snapshot() as cursor:
        found = list_silences(cursor, wanted.states, wanted.limit + 1, below=wanted.below)
    page = [silence_row(silence) for silence in found[: wanted.limit]]
    next_cursor = str(page[-1].id) if len(found) > wanted.limit else None
    return list_answer(
        SilencePage(page, len(page), wanted.state, next_cursor), "silences", SilenceRow
    )


@blueprint.get(f"/silences/<{NUMBER}:silence_id>")
@operation("One silence", answer=SilenceRow, problems=(404,))
def silence(silence_id: int) -> Response:
    """A silence, over or not."""
    read_nothing()
    with context().reader.snapshot() as cursor:
        return json_answer(silence_row(_known(cursor, silence_id)))


def silence_row(stored: StoredSilence) -> SilenceRow:
    """A silence as it is answered."""
    return SilenceRow(
        id=stored.id,
        matcher=Matcher(**stored.matcher),
        since=stored.starts_at,
        until=stored.ends_at,
        author=stored.author,
        comment=stored.comment,
        created_at=stored.created_at,
        state=stored.state,
    )


def _known(cursor: Cursor, silence_id: int) -> StoredSilence:
    try:
        return silence_numbered(cursor, silence_id)
    except NoSuchSilence as error:
        raise not_found(error) from None
