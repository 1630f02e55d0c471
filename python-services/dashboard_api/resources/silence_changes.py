"""Changes of `/silences`; each leaves an entry in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Blueprint, Response
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.audit import Hand
from analytics_service.adapters.timescale.silences import (
    NoSuchSilence,
    SilenceOver,
    change_silence,
    database_now,
    end_silence,
    make_silence,
    silence_numbered,
)
from analytics_service.domain.durations import parse_later
from analytics_service.domain.silence_checks import MATCHERS, matcher_problems, period_problems
from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import conflict, invalid_parameters, not_found
from dashboard_api.operations import operation
from dashboard_api.paths import NUMBER, location_below
from dashboard_api.reading import read_nothing
from dashboard_api.resources.silences import silence_row
from dashboard_api.responses import json_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.comments import CommentBody
from dashboard_api.schemas.silences import NewSilence, SilenceBody, SilencePatch, SilenceRow

blueprint = Blueprint("silence_changes", __name__)


@blueprint.post("/silences")
@admin_only
@operation("Make a silence", body=NewSilence, answer=SilenceRow, status=201)
def create() -> Response:
    """Nobody is told of alerts that match; the alerts themselves go on. Its author is whoever asks."""
    read_nothing()
    body = read_members(NewSilence, _check)
    matcher = {name: value for name in MATCHERS if (value := getattr(body.matcher, name))}
    with _transaction() as cursor:
        now = database_now(cursor)
        moments = _moments({"from": body.since, "until": body.until}, now)
        starts_at, ends_at = moments.get("from"), moments["until"]
        _refuse(period_problems(starts_at, ends_at, now))
        made = make_silence(cursor, Hand(actor(), body.comment), matcher, starts_at, ends_at)
        answer = json_answer(silence_row(made), 201)
    answer.headers["Location"] = location_below(made.id)
    return answer


@blueprint.put(f"/silences/<{NUMBER}:silence_id>")
@admin_only
@operation("Change a silence", body=SilenceBody, answer=SilenceRow, problems=(404, 409))
def replace(silence_id: int) -> Response:
    """Its end and its comment; 409 when it is over. What it matches cannot be changed: end it, make another."""
    read_nothing()
    body = read_members(SilenceBody)
    return _change(silence_id, body.until, body.comment)


@blueprint.patch(f"/silences/<{NUMBER}:silence_id>")
@admin_only
@operation("Change a silence", body=SilencePatch, answer=SilenceRow, problems=(404, 409))
def change(silence_id: int) -> Response:
    """Its end, or its comment; 409 when it is over."""
    read_nothing()
    body = read_members(SilencePatch)
    return _change(silence_id, body.until, body.comment)


@blueprint.delete(f"/silences/<{NUMBER}:silence_id>")
@admin_only
@operation("End a silence now", body=CommentBody, answer=SilenceRow, problems=(404, 409))
def end(silence_id: int) -> Response:
    """It stays as a record; 409 when it is over. One that has not begun never will."""
    read_nothing()
    comment = read_members(CommentBody).comment
    with _transaction() as cursor:
        ended = end_silence(cursor, silence_id, Hand(actor(), comment))
        return json_answer(silence_row(ended))


def _check(plain: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the matchers, by `matcher.service` and so on."""
    matcher = plain.get("matcher")
    if not isinstance(matcher, dict):
        return {}
    problems = matcher_problems(matcher)
    return {f"matcher.{name}".rstrip("."): why for name, why in problems.items()}


def _change(silence_id: int, until: str | None, comment: str | None) -> Response:
    with _transaction() as cursor:
        now = database_now(cursor)
        ends_at = _moments({"until": until}, now).get("until")
        if ends_at is not None:
            starts_at = silence_numbered(cursor, silence_id).starts_at
            _refuse(period_problems(starts_at, ends_at, now))
        changed = change_silence(
            cursor, silence_id, Hand(actor(), comment), ends_at=ends_at, comment=comment
        )
        return json_answer(silence_row(changed))


@contextmanager
def _transaction() -> Iterator[Cursor]:
    with context().writer.transaction() as cursor:
        try:
            yield cursor
        except NoSuchSilence as error:
            raise not_found(error) from None
        except SilenceOver as error:
            raise conflict(error) from None


def _moments(given: Mapping[str, str | None], now: datetime) -> dict[str, datetime]:
    """The moments that are given, relative to the clock of the database; Problem 400 naming each that is none."""
    found: dict[str, datetime] = {}
    problems: dict[str, str] = {}
    for name, text in given.items():
        if text is not None:
            try:
                found[name] = parse_later(text, now)
            except ValueError as error:
                problems[name] = str(error)
    _refuse(problems)
    return found


def _refuse(problems: dict[str, str]) -> None:
    if problems:
        raise invalid_parameters(problems)
