"""Changes of `/rules`. Each is in force within seconds, and leaves an entry in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Blueprint, Response

from analytics_service.adapters.timescale.audit import Hand
from analytics_service.adapters.timescale.rule_changes import (
    NoSuchRule,
    RuleExists,
    create_rule,
    remove_rule,
    replace_rule,
)
from analytics_service.domain.rule_files import as_fields, checked_fields, rule_from
from analytics_service.domain.rules import Rule
from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import conflict, invalid_parameters, not_found
from dashboard_api.operations import operation
from dashboard_api.paths import location_below
from dashboard_api.queries.rules import known_rule, rule_row
from dashboard_api.reading import read_nothing
from dashboard_api.responses import json_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.comments import CommentBody
from dashboard_api.schemas.rules import NewRule, RuleBody, RulePatch, RuleRow

blueprint = Blueprint("rule_changes", __name__)

_FIELDS = frozenset(RuleBody.__struct_fields__) - {"comment"}


@blueprint.post("/rules")
@admin_only
@operation("Make an alert rule", body=NewRule, answer=RuleRow, status=201, problems=(409,))
def create() -> Response:
    """The rule is checked as one of a rules file; 409 when there is one of this name."""
    read_nothing()
    body = read_members(NewRule, lambda plain: rule_from(_fields(plain))[1])
    with context().writer.transaction() as cursor:
        try:
            made = create_rule(cursor, _rule(_plain(body)), Hand(actor(), body.comment))
        except RuleExists as error:
            raise conflict(error, {"rule_name": "is taken"}) from None
        answer = json_answer(rule_row(made), 201)
    answer.headers["Location"] = location_below(body.rule_name)
    return answer


@blueprint.put("/rules/<anything:name>")
@admin_only
@operation("Replace an alert rule", body=RuleBody, answer=RuleRow, problems=(404,))
def replace(name: str) -> Response:
    """What is left out is as by default; the name cannot be changed."""
    read_nothing()

    def check(plain: Mapping[str, Any]) -> dict[str, str]:
        problems = rule_from({"rule_name": name, **_fields(plain)})[1]
        return _of_name(name, plain) | problems

    body = read_members(RuleBody, check)
    with context().writer.transaction() as cursor:
        wanted = _rule({**_plain(body), "rule_name": name})
        try:
            stored = replace_rule(cursor, wanted, Hand(actor(), body.comment))
        except NoSuchRule as error:
            raise not_found(error) from None
        return json_answer(rule_row(stored))


@blueprint.patch("/rules/<anything:name>")
@admin_only
@operation("Change an alert rule", body=RulePatch, answer=RuleRow, problems=(404,))
def change(name: str) -> Response:
    """What is left out stays, as in `{"enabled": false}`."""
    read_nothing()

    def check(plain: Mapping[str, Any]) -> dict[str, str]:
        return _of_name(name, plain) | checked_fields(_fields(plain))[1]

    body = read_members(RulePatch, check)
    with context().writer.transaction() as cursor:
        before = known_rule(cursor, name, lock=True).rule
        wanted = _rule({**as_fields(before), **_plain(body)})
        return json_answer(rule_row(replace_rule(cursor, wanted, Hand(actor(), body.comment))))


@blueprint.delete("/rules/<anything:name>")
@admin_only
@operation("Remove an alert rule", body=CommentBody, status=204, problems=(404,))
def remove(name: str) -> Response:
    """Its open alerts are resolved."""
    read_nothing()
    comment = read_members(CommentBody).comment
    with context().writer.transaction() as cursor:
        try:
            remove_rule(cursor, name, Hand(actor(), comment))
        except NoSuchRule as error:
            raise not_found(error) from None
    return nothing()


def nothing() -> Response:
    """204: done, and there is nothing to say."""
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def _fields(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a rule among the members; what is unknown is told by the body's type."""
    return {name: value for name, value in plain.items() if name in _FIELDS}


def _plain(body: msgspec.Struct) -> dict[str, Any]:
    """The rule's fields that a body gives."""
    plain: dict[str, Any] = msgspec.to_builtins(body)
    plain.pop("comment")
    return plain


def _rule(fields: Mapping[str, Any]) -> Rule:
    """The rule of fields that were checked each; Problem 400 when they do not go together."""
    rule, problems = rule_from(fields)
    if rule is None:
        raise invalid_parameters(problems)
    return rule


def _of_name(name: str, plain: Mapping[str, Any]) -> dict[str, str]:
    if plain.get("rule_name", name) == name:
        return {}
    return {"rule_name": "must be that of the path: a rule keeps its name"}
