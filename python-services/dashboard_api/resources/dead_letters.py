"""`/dead-letters`: messages that broke a rule, and sending them again."""

from __future__ import annotations

from flask import Blueprint, Response

from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import Problem
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.paths import NUMBER
from dashboard_api.queries.dead_letters import (
    ALL_BYTES,
    SHOWN_BYTES,
    LetterFilter,
    find_letters,
    request_replays,
)
from dashboard_api.reading import read_nothing, read_query
from dashboard_api.responses import json_answer, list_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.dead_letters import (
    DeadLetter,
    DeadLetterList,
    ReplayAnswer,
    ReplayBody,
)

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
LONGEST_NAME = 255
STATUSES = ("pending", "replayed", "discarded", "all")

blueprint = Blueprint("dead_letters", __name__)


def _read(query: Parameters) -> tuple[LetterFilter, int]:
    status = query.choice("status", STATUSES, "pending", "Only letters in this state.")
    wanted = LetterFilter(
        before_id=query.before_id(),
        status=None if status == "all" else status,
        topic=query.text("topic", LONGEST_NAME, "Only letters of this topic."),
        reason=query.text("reason", LONGEST_NAME, "Only letters with this reason."),
    )
    limit = query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many.")
    query.format()
    return wanted, limit


@blueprint.get("/dead-letters")
@admin_only
@operation("Messages that broke a rule", answer=DeadLetterList, reads=_read)
def dead_letters() -> Response:
    """Newest first, page by page; keys and values are cut to 2,000 bytes, whole ones are under `/dead-letters/{id}`."""
    wanted, limit = read_query(_read)
    with context().reader.snapshot() as cursor:
        found = find_letters(cursor, wanted, limit + 1, SHOWN_BYTES)
    page = found[:limit]
    next_cursor = str(page[-1].id) if len(found) > limit else None
    return list_answer(DeadLetterList(page, len(page), next_cursor), "dead_letters", DeadLetter)


@blueprint.get(f"/dead-letters/<{NUMBER}:letter_id>")
@admin_only
@operation("One dead letter, whole", answer=DeadLetter, problems=(404,))
def dead_letter(letter_id: int) -> Response:
    """Its original key and value as text where they are UTF-8, else in base64."""
    read_nothing()
    with context().reader.snapshot() as cursor:
        found = find_letters(cursor, LetterFilter(letter_id=letter_id), 1, ALL_BYTES)
    if not found:
        raise Problem(404, "not-found", f"There is no dead letter {letter_id}.")
    return json_answer(found[0])


@blueprint.post("/dead-letters/replay")
@admin_only
@operation(
    "Send dead letters again", answer=ReplayAnswer, body=ReplayBody, status=202, problems=(404,)
)
def replay() -> Response:
    """A worker sends them to the input topic, original key and bytes, within seconds.

    Do this when the cause is gone. A letter that is stored becomes `replayed` and counts once, however often
    it is sent; one that fails again stays pending with its count raised. Only letters of the input topic: no
    worker reads another one.
    """
    read_nothing()
    body = read_members(ReplayBody)
    shared = context()
    with shared.writer.transaction() as cursor:
        queued, left = request_replays(cursor, body, shared.settings.kafka_input_topic, actor())
    if not queued:
        raise Problem(404, "not-found", f"No {body.status} dead letter matches.")
    return json_answer(ReplayAnswer(queued, left), 202)
