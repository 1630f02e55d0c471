"""The description: complete, valid, and true to the parameters that views read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator

from tests.api_description import check_answer, template
from tests.api_support import USER, api_app, api_settings

PREFIX = "/v1"
NGINX = Path(__file__).resolve().parents[2] / "nginx" / "templates" / "api.inc.template"


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    """No database is needed to describe what there is."""
    with api_app(api_settings({"DB_PORT": "1"})) as app:
        yield app


@pytest.fixture(scope="module")
def described(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get("/openapi.json", auth=USER)
    assert answer.status_code == 200
    found: dict[str, Any] = json.loads(answer.get_data())
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if method != "servers":
                yield path, method, operation


def test_every_route_is_described_and_every_description_has_a_route(
    app: Flask, described: dict[str, Any]
) -> None:
    plain: set[tuple[str, str]] = set()
    versioned: set[tuple[str, str]] = set()
    for rule in app.url_map.iter_rules():
        known = versioned if rule.rule.startswith(PREFIX) else plain
        known |= {
            (template(rule.rule), method.lower())
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
    assert versioned <= plain
    assert {path for path, _ in plain - versioned} == {
        path for path, methods in described["paths"].items() if "servers" in methods
    }
    assert {(path, method) for path, method, _ in operations(described)} == plain


def test_it_is_openapi_3_1(described: dict[str, Any]) -> None:
    assert described["openapi"] == "3.1.0"
    assert [server["url"] for server in described["servers"]] == ["/", PREFIX]
    for name, schema in described["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert "description" in schema, name
    names = set(described["components"]["schemas"])
    text = json.dumps(described)
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= names
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(ids) == len(set(ids))


def test_everything_is_explained(described: dict[str, Any]) -> None:
    for path, method, operation in operations(described):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        named = set(re.findall(r"{(\w+)}", path))
        parameters = operation.get("parameters", [])
        assert {one["name"] for one in parameters if one["in"] == "path"} == named, where
        for one in parameters:
            Draft202012Validator.check_schema(one["schema"])
            assert one["in"] == "path" or one["description"], f"{where} {one['name']}"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_who_needs_a_password_is_as_described(
    app: Flask, described: dict[str, Any], method: str
) -> None:
    for path, verb, operation in operations(described):
        if verb != method:
            continue
        concrete = re.sub(r"{\w+}", "docs.js" if path.startswith("/docs") else "1", path)
        answer = app.test_client().open(concrete, method=method.upper())
        needs = operation["x-role"] != "nobody"
        assert (answer.status_code == 401) == needs, path
        assert ("401" in operation["responses"]) == needs, path
        assert (operation.get("security") == []) != needs, path


def test_a_parameter_that_is_described_is_one_that_is_taken(
    app: Flask, described: dict[str, Any]
) -> None:
    """Those of every GET are listed in the refusal of one that there is not, word for word."""
    asked = 0
    for path, method, operation in operations(described):
        if method != "get" or operation["x-role"] == "nobody":
            continue
        concrete = re.sub(r"{\w+}", "docs.js" if path.startswith("/docs") else "1", path)
        answer = app.test_client().get(concrete, query_string={"nonsense": "1"}, auth=USER)
        assert answer.status_code == 400, path
        wrong = {error["parameter"]: error["detail"] for error in answer.get_json()["errors"]}
        names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        listed = wrong.pop("nonsense").rpartition("there are: ")[2]
        assert listed == (", ".join(names) or "none"), path
        required = {one["name"] for one in operation.get("parameters", []) if one["required"]}
        assert set(wrong) == required - set(re.findall(r"{(\w+)}", path)), path
        asked += 1
    assert asked > 20


def test_the_check_of_answers_notices_what_does_not_fit(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/healthz")
    for status, body in (
        (200, {"status": "alive", "more": 1}),
        (200, {"status": "dead"}),
        (418, {}),
    ):
        answer.status_code = status
        answer.set_data(json.dumps(body))
        with pytest.raises(AssertionError):
            check_answer(app, answer)


class Links(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += tag == "style" or (tag == "script" and "src" not in given)
        self.inline += any(name.startswith("on") or name == "style" for name in given)
        self.found += [value for name in ("src", "href") if (value := given.get(name))]


def test_the_page_loads_nothing_but_its_own(app: Flask) -> None:
    client = app.test_client()
    for prefix in ("", PREFIX):
        page = client.get(f"{prefix}/docs", auth=USER)
        assert page.mimetype == "text/html"
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        links = Links()
        links.feed(page.get_data(as_text=True))
        assert links.inline == 0
        for target in links.found:
            if target != "data:,":
                assert client.get(target, auth=USER).status_code == 200, target
    for asset, kind in (("docs.js", "text/javascript"), ("docs.css", "text/css")):
        answer = client.get(f"/docs/{asset}", auth=USER)
        assert answer.mimetype == kind
        assert "innerHTML" not in answer.get_data(as_text=True)
    assert client.get("/docs/index.html", auth=USER).status_code == 404
    assert client.get("/docs/..%2f..%2fapp.py", auth=USER).status_code == 404


def test_nginx_lets_pass_the_502_of_an_operation_that_has_one(described: dict[str, Any]) -> None:
    """Of every other path nginx takes a 502 for a replica that does not answer."""
    own = {
        prefix + path
        for path, _, operation in operations(described)
        if {"502", "504"} & set(operation["responses"])
        for prefix in ("", PREFIX)
    }
    (passed,) = re.findall(r"location ~ (\S+) \{", NGINX.read_text(encoding="utf-8"))
    every = {prefix + path for path, _, _ in operations(described) for prefix in ("", PREFIX)}
    assert {path for path in every if re.search(passed, path)} == own != set()
