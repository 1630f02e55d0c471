"""Every answer in a test is held against the API's own description of it."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from dashboard_api.openapi import describe
from dashboard_api.operations import operation_of

LONG = 60


class CheckedClient(FlaskClient):
    """Fails a test whose answer is not as described; asks from another address each time.

    The eleventh wrong password from one address would not be looked at.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """The answer."""
        kwargs.setdefault(
            "environ_base", {"REMOTE_ADDR": f"10.{random.getrandbits(8)}.{random.getrandbits(8)}.1"}
        )
        answer = super().open(*args, **kwargs)
        check_answer(self.application, answer)
        return answer


def check_answer(app: Flask, answer: TestResponse) -> None:
    """AssertionError that says where the answer departs from the description.

    Views without one, which some tests add, are left out; so are paths and methods that there are none of.
    """
    asked = answer.request
    try:
        rule, _ = app.url_map.bind("localhost").match(asked.path, asked.method, return_rule=True)
    except HTTPException:
        return
    if operation_of(app.view_functions[rule.endpoint]) is None or asked.method == "OPTIONS":
        return
    method = "get" if asked.method == "HEAD" else asked.method.lower()
    described = description(app)
    found = described["paths"][template(rule.rule)][method]
    known = found["responses"].get(str(answer.status_code))
    where = f"{asked.method} {asked.path} {answer.status_code}"
    assert known is not None, f"{where}: this status is not described"
    data = answer.get_data()
    if not data:
        return
    media = answer.mimetype or ""
    contents = known.get("content", {})
    schema = next((one["schema"] for name, one in contents.items() if fits(name, media)), None)
    assert schema is not None, f"{where}: {media} is not described"
    if media.endswith("json"):
        check_body(described, schema, json.loads(data), where)


def check_body(described: dict[str, Any], schema: dict[str, Any], body: Any, where: str) -> None:
    """AssertionError when the body does not fit the schema."""
    whole = {**schema, "components": described["components"]}
    problems = [
        f"{error.json_path}: {error.message[:300]}"
        for error in Draft202012Validator(whole).iter_errors(shortened(body))
    ]
    assert not problems, f"{where}: {problems[:5]}"


@functools.lru_cache(maxsize=64)
def description(app: Flask) -> dict[str, Any]:
    """The description as clients read it."""
    with app.app_context():
        found: dict[str, Any] = json.loads(json.dumps(describe(app)))
    return found


def template(rule: str) -> str:
    """The path of a route in the description; written anew, not shared with the code under test."""
    parts = rule.removeprefix("/v1").split("<")
    return parts[0] + "".join(
        "{" + part.split(">")[0].rsplit(":", 1)[-1] + "}" + part.split(">", 1)[1]
        for part in parts[1:]
    )


def fits(described: str, media: str) -> bool:
    """Whether the media type is the one described, or of its kind (`text/*`)."""
    plain = described.split(";")[0]
    return plain in (media, "*/*") or (plain.endswith("/*") and media.startswith(plain[:-1]))


def shortened(body: Any) -> Any:
    """Long lists without their middle: thousands of rows are no better than sixty."""
    if isinstance(body, list):
        kept = body if len(body) <= LONG else body[: LONG // 2] + body[-LONG // 2 :]
        return [shortened(one) for one in kept]
    if isinstance(body, dict):
        return {name: shortened(one) for name, one in body.items()}
    return body
