"""`/rules`: made, looked at, changed and removed; on a real database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from dashboard_api.schemas.rules import NewRule, RuleBody, RulePatch
from tests.api_writes import READER, Sender, writing_app
from tests.databases import Database
from tests.waiting import wait_until

LEAST: dict[str, Any] = {
    "rule_name": "errors",
    "metric_name": "error_rate",
    "operator": ">",
    "threshold": 5,
    "severity": "warning",
}
AS_BY_DEFAULT: dict[str, Any] = {
    "description": None,
    "service": "*",
    "window_size": "1min",
    "resolve_threshold": None,
    "duration_seconds": 60,
    "keep_firing_seconds": 60,
    "min_requests": 1,
    "no_data_policy": "resolve",
    "notification_channels": [],
    "enabled": True,
}
ELSE: dict[str, Any] = {
    "description": "what to do",
    "service": "api",
    "metric_name": "latency_p99_ms",
    "window_size": "5min",
    "operator": "<=",
    "threshold": 2.5,
    "resolve_threshold": 3.5,
    "duration_seconds": 0,
    "keep_firing_seconds": 300,
    "min_requests": 20,
    "no_data_policy": "keep",
    "severity": "critical",
    "notification_channels": ["slack", "pagerduty"],
    "enabled": False,
}
NAMES = [
    "High Error Rate",
    "<img src=x onerror=alert(1)>",
    'it\'s "quoted" \\',
    "=cmd|' /C calc'!A0",
    "x" * 255,
    "a/b",
    "/",
    "//x//",
    "ends/",
    "100%",
    "%2F",
    "%00",
    "a?b=c#d",
    "a b+c",
    ";x=1",
    "line\nbreak",
    "ü☃",
    "%s %(id)s {0}",
    "comment",
]
TRAIL = "SELECT actor, action, subject_id, comment, detail FROM audit_trail ORDER BY id"


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    with writing_app(database) as app:
        yield app


@pytest.fixture
def api(app: Flask) -> Sender:
    return Sender(app.test_client())


def fields(row: dict[str, Any]) -> dict[str, Any]:
    """A rule without what the database adds."""
    assert set(row) == {*LEAST, *AS_BY_DEFAULT, "id", "created_at", "updated_at"}
    return {
        name: value for name, value in row.items() if name not in ("id", "created_at", "updated_at")
    }


def path_of(name: str) -> str:
    return f"/rules/{quote(name, safe='')}"


def test_a_rule_from_making_to_removing(api: Sender, database: Database) -> None:
    answer = api.answer("POST", "/rules", {**LEAST, "comment": "reviewed"})
    assert (answer.status_code, answer.headers["Location"]) == (201, "/rules/errors")
    made = answer.get_json()
    assert fields(made) == {**LEAST, **AS_BY_DEFAULT}
    assert made["created_at"] == made["updated_at"]
    assert api.get("/rules") == {"rules": [made], "count": 1}
    assert api.get("/rules/errors") == api.get("/v1/rules/errors") == made

    replaced = api.send("PUT", "/rules/errors", {**ELSE, "comment": "worse"})
    assert fields(replaced) == {"rule_name": "errors", **ELSE}
    assert (replaced["id"], replaced["created_at"]) == (made["id"], made["created_at"])
    assert replaced["updated_at"] > made["updated_at"]
    # What is left out is as by default again.
    assert fields(api.send("PUT", "/rules/errors", LEAST)) == {**LEAST, **AS_BY_DEFAULT}

    off = api.send("PATCH", "/rules/errors", {"enabled": False, "resolve_threshold": 2})
    assert fields(off) == {**LEAST, **AS_BY_DEFAULT, "enabled": False, "resolve_threshold": 2.0}
    on = api.send("PATCH", "/rules/errors", {"enabled": True, "resolve_threshold": None})
    assert fields(on) == {**LEAST, **AS_BY_DEFAULT}
    # No change leaves no trace.
    assert api.send("PATCH", "/rules/errors", {}) == on
    assert api.send("PATCH", "/rules/errors", {"enabled": True, "comment": "to be sure"}) == on
    assert api.send("PUT", "/rules/errors", LEAST) == on

    gone = api.answer("DELETE", "/rules/errors", {"comment": "not needed"})
    assert (gone.status_code, gone.get_data()) == (204, b"")
    api.get("/rules/errors", 404)
    assert api.get("/rules") == {"rules": [], "count": 0}

    trail = database.rows(TRAIL)
    assert [row[:4] for row in trail] == [
        ("ada", "create", "errors", "reviewed"),
        ("ada", "change", "errors", "worse"),
        ("ada", "change", "errors", None),
        ("ada", "change", "errors", None),
        ("ada", "change", "errors", None),
        ("ada", "remove", "errors", "not needed"),
    ]
    details = [row[4] for row in trail]
    assert set(details[0]) == {"after"}
    assert set(details[5]) == {"before"}
    for earlier, later in pairwise(details):
        assert later["before"] == earlier["after"]
    assert details[1]["after"] == {"rule_name": "errors", **ELSE}


def test_a_csv_of_the_rules(api: Sender) -> None:
    api.send("POST", "/rules", LEAST, 201)
    lines = api.answer("GET", "/rules", format="csv").get_data(as_text=True).splitlines()
    assert lines[0].startswith("id,rule_name,")
    assert ",errors," in lines[1]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_makes_its_way_through_the_path(
    api: Sender, database: Database, name: str
) -> None:
    answer = api.answer("POST", "/v1/rules", {**LEAST, "rule_name": name})
    assert answer.status_code == 201
    location = answer.headers["Location"]
    assert location == f"/v1/rules/{quote(name, safe='')}"
    assert api.get(location)["rule_name"] == name
    assert api.send("PATCH", path_of(name), {"threshold": 7})["threshold"] == 7.0
    assert api.send("PUT", path_of(name), {**LEAST, "rule_name": name})["rule_name"] == name
    api.send("DELETE", path_of(name), expect=204)
    assert database.rows("SELECT count(*) FROM analytics_alert_rules") == [(0,)]
    assert {row[2] for row in database.rows(TRAIL)} == {name}


@pytest.mark.parametrize("name", ["nothing", "x" * 256, "nul\0", "%FF", "ü/☃"])
def test_names_that_are_not_there(api: Sender, name: str) -> None:
    for method, body in (
        ("GET", None),
        ("PUT", LEAST | {"rule_name": name}),
        ("PATCH", {}),
        ("DELETE", {}),
    ):
        expect = 400 if method == "PUT" and name in ("x" * 256,) else 404
        api.send(method, path_of(name), body, expect)


def test_bytes_that_are_no_text(api: Sender) -> None:
    api.get("/rules/%FF%FE", 404)


def test_a_name_that_is_taken(api: Sender, database: Database) -> None:
    api.send("POST", "/rules", LEAST, 201)
    body = api.send("POST", "/rules", LEAST | {"threshold": 6}, 409)
    assert body["detail"] == "There is a rule 'errors' already."
    assert body["errors"] == [{"parameter": "rule_name", "detail": "is taken"}]
    assert database.rows("SELECT threshold FROM analytics_alert_rules") == [(5.0,)]
    assert len(database.rows(TRAIL)) == 1


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"threshold": "5"}, "threshold", "must be a number"),
        ({"threshold": True}, "threshold", "must be a number"),
        ({"threshold": 10**400}, "threshold", "must be a number"),
        ({"operator": "=>"}, "operator", "must be one of >, <, >=, <=, =="),
        ({"operator": ["<"]}, "operator", "must be one of >, <, >=, <=, =="),
        ({"metric_name": "errors"}, "metric_name", "must be one of total_requests, "),
        ({"severity": "bad"}, "severity", "must be one of info, warning, critical"),
        ({"window_size": "2min"}, "window_size", "must be one of 1min, 5min, 1hour"),
        ({"duration_seconds": -1}, "duration_seconds", "must be a whole number, 0 or more"),
        ({"duration_seconds": 2**31}, "duration_seconds", "must be a whole number, 0 or more"),
        ({"keep_firing_seconds": 1.5}, "keep_firing_seconds", "must be a whole number, 0 or more"),
        ({"min_requests": 0}, "min_requests", "must be a whole number, 1 or more"),
        ({"no_data_policy": "panic"}, "no_data_policy", "must be one of resolve, keep, alert"),
        (
            {"notification_channels": "slack"},
            "notification_channels",
            "must be a list of slack, email, pagerduty",
        ),
        (
            {"notification_channels": [1]},
            "notification_channels",
            "must be a list of slack, email, pagerduty",
        ),
        ({"enabled": "yes"}, "enabled", "must be true or false"),
        ({"enabled": None}, "enabled", "must be `bool`, not `null`"),
        ({"service": ""}, "service", "must be a text of 1 to 255 characters"),
        ({"service": "nul\0"}, "service", "must be a text of 1 to 255 characters"),
        ({"description": 7}, "description", "must be a text of at most 10,000 characters"),
        ({"comment": ""}, "comment", "must be `str` of length >= 1"),
        ({"comment": "x" * 2001}, "comment", "must be `str` of length <= 2000"),
        ({"comment": "nul\0"}, "comment", "must be `str` matching regex"),
        ({"treshold": 5}, "treshold", "is not a member here; there are: rule_name, "),
        ({"id": 5}, "id", "is not a member here"),
    ],
)
def test_each_bad_field_is_named(
    api: Sender, change: dict[str, Any], name: str, words: str
) -> None:
    api.send("POST", "/rules", LEAST, 201)
    new = LEAST | {"rule_name": "new"} | change
    requests = (
        ("POST", "/rules", new),
        ("PUT", "/rules/errors", LEAST | change),
        ("PATCH", "/rules/errors", change),
    )
    for method, path, body in requests:
        problems = api.problems(method, path, body)
        assert list(problems) == [name]
        assert problems[name].startswith(words)
    assert fields(api.get("/rules")["rules"][0]) == {**LEAST, **AS_BY_DEFAULT}


def test_all_bad_fields_are_named_at_once(api: Sender) -> None:
    body = {
        "rule_name": "",
        "operator": "!",
        "threshold": "x",
        "severity": 1,
        "y": 1,
        "enabled": 0,
        "comment": 2,
    }
    assert set(api.problems("POST", "/rules", body)) == {*body, "metric_name"}
    assert api.problems("POST", "/rules", {}) == dict.fromkeys(LEAST, "is missing")
    assert set(api.problems("PUT", "/rules/x", {})) == {*LEAST} - {"rule_name"}


def test_a_rule_keeps_its_name(api: Sender) -> None:
    api.send("POST", "/rules", LEAST, 201)
    for method, body in (
        ("PUT", LEAST | {"rule_name": "other"}),
        ("PATCH", {"rule_name": "other"}),
    ):
        problems = api.problems(method, "/rules/errors", body)
        assert problems == {"rule_name": "must be that of the path: a rule keeps its name"}
    api.send("PATCH", "/rules/errors", {"rule_name": "errors"})


def test_readers_look_and_touch_nothing(app: Flask, api: Sender) -> None:
    api.send("POST", "/rules", LEAST, 201)
    reader = Sender(app.test_client(), READER)
    assert reader.get("/rules")["count"] == 1
    for method, path, body in (
        ("POST", "/rules", LEAST | {"rule_name": "x"}),
        ("PUT", "/rules/errors", LEAST | {"threshold": 6}),
        ("PATCH", "/rules/errors", {"enabled": False}),
        ("DELETE", "/rules/errors", {}),
    ):
        reader.send(method, path, body, 403)
    assert fields(api.get("/rules/errors")) == {**LEAST, **AS_BY_DEFAULT}


def test_two_who_make_one_of_the_same_name(app: Flask, database: Database) -> None:
    """The second waits for the first, and is told."""
    with contextlib.closing(database.connect()) as first, first.cursor() as cursor:
        first.autocommit = False
        cursor.execute(
            "INSERT INTO analytics_alert_rules (rule_name, metric_name, operator, threshold, severity)"
            " VALUES ('errors', 'error_rate', '>', 1, 'info')"
        )
        with ThreadPoolExecutor(1) as second:
            asked = second.submit(Sender(app.test_client()).answer, "POST", "/rules", LEAST)
            wait_for_a_waiter(database)
            first.commit()
            assert asked.result().status_code == 409


def test_two_changes_at_once_are_both_there(app: Flask, api: Sender, database: Database) -> None:
    """A PATCH that waits for another change starts from what that has made of the rule."""
    api.send("POST", "/rules", LEAST, 201)
    with contextlib.closing(database.connect()) as first, first.cursor() as cursor:
        first.autocommit = False
        cursor.execute("UPDATE analytics_alert_rules SET threshold = 9")
        with ThreadPoolExecutor(1) as second:
            asked = second.submit(
                Sender(app.test_client()).answer, "PATCH", "/rules/errors", {"enabled": False}
            )
            wait_for_a_waiter(database)
            first.commit()
            assert asked.result().status_code == 200
    assert fields(api.get("/rules/errors")) == {
        **LEAST,
        **AS_BY_DEFAULT,
        "threshold": 9.0,
        "enabled": False,
    }


def test_somebody_holds_the_rule_for_too_long(app: Flask, api: Sender, database: Database) -> None:
    api.send("POST", "/rules", LEAST, 201)
    with contextlib.closing(database.connect()) as first, first.cursor() as cursor:
        first.autocommit = False
        cursor.execute("UPDATE analytics_alert_rules SET threshold = 9")
        answer = Sender(app.test_client()).answer("DELETE", "/rules/errors")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        first.rollback()
    api.get("/rules/errors")


def wait_for_a_waiter(database: Database) -> None:
    waits = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = %s AND wait_event_type = 'Lock' AND application_name LIKE '%%writer'"
    )
    wait_until(lambda: database.rows(waits, database.name) == [(1,)], 20, "the other waits")


def test_the_bodies_have_the_columns_of_a_rule() -> None:
    """What can be sent is what a rule has, in each of the three."""
    wanted = {*LEAST, *AS_BY_DEFAULT, "comment"}
    for body in (NewRule, RuleBody, RulePatch):
        assert set(body.__struct_fields__) == wanted
