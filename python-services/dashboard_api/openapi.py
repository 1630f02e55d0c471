"""The API's description, OpenAPI 3.1, made from what the code itself uses: routes, types, and what views note."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask
from werkzeug.routing import Rule

from dashboard_api.operations import Operation, operation_of
from dashboard_api.parameters import described
from dashboard_api.paths import VERSION_PREFIX, template_of
from dashboard_api.responses import API_VERSION, CSV, JSON, NEXT_CURSOR
from dashboard_api.roles import ADMIN, role_of
from dashboard_api.schemas.base import ProblemBody

REFERENCE = "#/components/schemas/{name}"
PROBLEM_JSON = "application/problem+json"

_WITHOUT_BODY = ("get", "head", "options")
_IMPLIED = ("HEAD", "OPTIONS")
_TITLES = {
    200: "Done.", 201: "Made.", 202: "Taken; it is done soon.", 204: "Done; there is nothing to say.",
    304: "The client has this very content: its ETag still holds.",
    400: "A parameter or a member of the body cannot be used; `errors` names each.",
    401: "A user and password, or an API key, is needed.",
    403: "The role does not allow it, or a page of another site sent it.",
    404: "There is nothing under this path.", 409: "The state of things does not allow it.",
    413: "The body is too large.", 415: "The body is not declared as JSON.",
    429: "Too many wrong passwords from this address; see Retry-After.",
    500: "Something went wrong here; it is in the log of the service.",
    503: "A part that is needed does not work; see Retry-After.",
}  # fmt: skip
_SERVERS = [{"url": "/"}, {"url": VERSION_PREFIX}]
_INTRODUCTION = """Windows, health, alerts and service levels of every service.

Times are ISO 8601 in UTC. Parameters that are not listed are refused. Every path is also there under `/v1`.
Lists come as CSV with `format=csv` or `Accept: text/csv`; the cursor of the next page is then in the
header `X-Next-Cursor`. Answers to GET carry an ETag. Errors are RFC 9457 problems.

Summaries, series, health, the worst services and service levels are of the moment that `X-As-Of` names. That is when
they were asked for, but for what is asked again and again, from the fifth time within a second on: that may have been
looked up for somebody else, at most a second ago. `/overview` and all under it always may; their `timestamp` says when.
"""


def describe(app: Flask) -> dict[str, Any]:
    """The description of every view of `app` that noted what it promises. Needs the application's context."""
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    noted = [
        (rule, view, promise)
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith(f"{VERSION_PREFIX}/") and rule.rule != VERSION_PREFIX
        if (promise := operation_of(view := app.view_functions[rule.endpoint])) is not None
    ]
    types = _types(promise for _, _, promise in noted)
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    schema_of = {_key(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for rule, view, promise in sorted(noted, key=lambda one: one[0].rule):
        for method in sorted((rule.methods or set()) - set(_IMPLIED)):
            path = paths.setdefault(template_of(rule.rule), {})
            path[method.lower()] = _operation(rule, method.lower(), view, promise, schema_of)
            if VERSION_PREFIX + rule.rule not in rules:
                path["servers"] = _SERVERS[:1]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "StackLens Analytics",
            "version": API_VERSION,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": _SERVERS,
        "security": [{"basic": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _types(promises: Iterable[Operation]) -> list[Any]:
    found: dict[str, Any] = {_key(ProblemBody): ProblemBody}
    for promise in promises:
        for kind in (promise.answer, promise.body, *(kind for _, kind in promise.other)):
            if kind is not None:
                found.setdefault(_key(kind), kind)
    return list(found.values())


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(
    rule: Rule, method: str, view: Any, promise: Operation, schema_of: dict[str, Any]
) -> dict[str, Any]:
    role = role_of(view)
    text = inspect.getdoc(view) or ""
    parameters = [*_path_parameters(rule), *_query_parameters(promise)]
    found: dict[str, Any] = {
        "operationId": f"{method}_{_slug(rule.rule)}",
        "summary": promise.summary,
        "description": f"{text}\n\nNeeds the role `{role}`." if role else text,
        "tags": [rule.rule.strip("/").split("/")[0] or "page"],
        "x-role": role or "nobody",
        "responses": _responses(rule, method, promise, role, schema_of),
    }
    if parameters:
        found["parameters"] = parameters
    if role is None:
        found["security"] = []
    if promise.body is not None:
        found["requestBody"] = {
            # A DELETE may do without.
            "required": method != "delete",
            "content": {JSON: {"schema": schema_of[_key(promise.body)]}},
        }
    return found


def _query_parameters(promise: Operation) -> list[dict[str, Any]]:
    if promise.reads is None:
        return []
    return [
        {
            "name": one.name,
            "in": "query",
            "required": one.required,
            "description": one.doc,
            "schema": dict(one.schema),
        }
        for one in described(promise.reads)
    ]


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    found = []
    for converter, options, name in re.findall(r"<(?:(\w+)(?:\((.*?)\))?:)?(\w+)>", rule.rule):
        schema: dict[str, Any] = {"type": "string"}
        if converter == "int":
            bounds = dict(re.findall(r"(min|max)=(\d+)", options))
            named = {"min": "minimum", "max": "maximum"}
            schema = {
                "type": "integer",
                **{named[end]: int(value) for end, value in bounds.items()},
            }
        elif converter == "any":
            schema["enum"] = re.findall(r"[\w.]+", options)
        else:
            schema["minLength"] = 1
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _responses(
    rule: Rule, method: str, promise: Operation, role: str | None, schema_of: dict[str, Any]
) -> dict[str, Any]:
    good: dict[str, Any] = {"description": _title(promise.status)}
    if promise.media is not None:
        good["content"] = {promise.media: {"schema": {"type": "string"}}}
    elif promise.answer is not None:
        good["content"] = {JSON: {"schema": schema_of[_key(promise.answer)]}}
        is_list = any(one["name"] == "format" for one in _query_parameters(promise))
        if is_list:
            good["content"][CSV] = {"schema": {"type": "string"}}
            good["headers"] = {NEXT_CURSOR: {"schema": {"type": "string"}}}
    found = {promise.status: good}
    for status, kind in promise.other:
        found[status] = {
            "description": _title(status),
            "content": {JSON: {"schema": schema_of[_key(kind)]}},
        }
    if method == "get":
        found[304] = {"description": _title(304)}
    for status in _problem_statuses(rule, method, promise, role):
        content = {PROBLEM_JSON: {"schema": schema_of[_key(ProblemBody)]}}
        known = found.setdefault(status, {"description": _title(status), "content": {}})
        known["content"] = {**known["content"], **content}
    return {str(status): found[status] for status in sorted(found)}


def _problem_statuses(rule: Rule, method: str, promise: Operation, role: str | None) -> set[int]:
    statuses = {400, 500, 503, *promise.problems}
    if role is not None:
        statuses |= {401, 429}
    if role == ADMIN:
        statuses.add(403)
    if "<" in rule.rule:
        statuses.add(404)
    if method not in _WITHOUT_BODY:
        statuses |= {403, 413}
    if promise.body is not None:
        statuses.add(415)
    return statuses


def _title(status: int) -> str:
    return _TITLES.get(status) or f"{HTTPStatus(status).phrase}."


def _slug(rule: str) -> str:
    return re.sub(r"\W+", "_", template_of(rule)).strip("_") or "page"
