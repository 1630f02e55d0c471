"""`/rules`: what alerts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Blueprint, Response

from analytics_service.adapters.timescale.audit import Hand
from analytics_service.adapters.timescale.rule_changes import (
    NoSuchRule,
    RuleExists,
    StoredRule,
    create_rule,
    remove_rule,
    replace_rule,
    stored_rule,
    stored_rules,
)
from analytics_service.domain.rule_files import as_fields, checked_fields, rule_from
from analytics_service.domain.rules import Rule
from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import Problem, invalid_parameters
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.paths import location_below
from dashboard_api.reading import read_nothing, read_query
from dashboard_api.responses import json_answer, list_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.alerts_comment import CommentBody
from dashboard_api.schemas.rules import NewRule, RuleBody, RuleList, RulePatch, RuleRow

blueprint = Blueprint("rules", __name__)

_NO_FIELDS = ("comment",)


def _read_list(query: Parameters) -> None:
    query.format()


@blueprint.get("/rules")
@operation("Alert rules", answer=RuleList, reads=_read_list)
def rules() -> Response:
    """Every rule, enabled or not, by name."""
    read_query(_read_list)
    with context().reader.snapshot() as cursor:
        found = [rule_row(stored) for stored in stored_rules(cursor)]
    return list_answer(RuleList(found, len(found)), "rules", RuleRow)


@blueprint.get("/rules/<anything:name>")
@operation("One alert rule", answer=RuleRow, problems=(404,))
def rule(name: str) -> Response:
    """The rule of this name, which is percent-encoded in the path."""
    read_nothing()
    with context().reader.snapshot() as cursor:
        return json_answer(rule_row(_known(cursor, name)))
