"""`/rules`: what alerts are made of."""

from __future__ import annotations

from flask import Blueprint, Response

from analytics_service.adapters.timescale.rule_changes import stored_rules
from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.rules import known_rule, rule_row
from dashboard_api.reading import read_nothing, read_query
from dashboard_api.responses import json_answer, list_answer
from dashboard_api.schemas.rules import RuleList, RuleRow

blueprint = Blueprint("rules", __name__)


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
        return json_answer(rule_row(known_rule(cursor, name)))
