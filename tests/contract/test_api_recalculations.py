"""`/recalculations`: the same jobs as the command makes, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.alert_rows import add_rule, rule
from tests.api_writes import READER, Sender, writing_app
from tests.databases import Database

RANGE = {"job_type": "RECALC_WINDOWS", "from": "2026-03-10T08:30:00Z", "to": "2026-03-10T10:00:01Z"}
COLUMNS = "job_type, service, from_time::text, to_time::text, reason, requested_by, status"


@pytest.fixture
def sender(database: Database) -> Iterator[Sender]:
    with writing_app(database) as app:
        yield Sender(app.test_client())


def jobs(database: Database) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute(f"SELECT {COLUMNS} FROM recalculation_queue ORDER BY id")  # noqa: S608
        return cursor.fetchall()


def test_windows_of_a_range(sender: Sender, database: Database) -> None:
    body = {**RANGE, "service": "orders", "reason": "ticket 42"}
    answer = sender.answer("POST", "/recalculations", body)
    assert answer.status_code == 202
    job = answer.get_json()
    assert answer.headers["Location"] == f"/recalculations/{job['id']}"
    assert (job["status"], job["requested_by"], job["rows_written"]) == ("PENDING", "ada", 0)
    assert (job["from_time"], job["to_time"]) == ("2026-03-10T08:00:00Z", "2026-03-10T11:00:00Z")
    assert jobs(database) == [
        (
            "RECALC_WINDOWS",
            "orders",
            "2026-03-10 08:00:00+00",
            "2026-03-10 11:00:00+00",
            "ticket 42",
            "ada",
            "PENDING",
        )
    ]
    assert sender.send("GET", answer.headers["Location"]) == job


def test_the_daily_level(sender: Sender, database: Database) -> None:
    sender.send("POST", "/recalculations", {"job_type": "REFRESH_VIEWS"}, expect=202)
    assert jobs(database) == [("REFRESH_VIEWS", None, None, None, None, "ada", "PENDING")]


def test_a_range_that_begins_before_raw_events_are_whole(
    sender: Sender, database: Database
) -> None:
    database.execute(
        "UPDATE retention_tiers SET archived_before = '2026-03-10 08:20Z' WHERE tier = 'hot'"
    )
    problem = sender.send("POST", "/recalculations", RANGE, expect=400)
    assert [error["parameter"] for error in problem["errors"]] == ["from"]
    assert "it may begin at 2026-03-10T09:00:00+00:00" in problem["detail"]
    assert jobs(database) == []
    sender.send("POST", "/recalculations", {**RANGE, "from": "2026-03-10T09:00Z"}, expect=202)


ALERTS = {**RANGE, "job_type": "RECALC_ALERTS"}


def test_alerts_of_a_range(sender: Sender, database: Database) -> None:
    job = sender.send(
        "POST",
        "/recalculations",
        {**ALERTS, "service": "orders", "reason": "late data"},
        expect=202,
    )
    assert (job["job_type"], job["status"], job["rows_written"]) == ("RECALC_ALERTS", "PENDING", 0)
    assert jobs(database) == [
        (
            "RECALC_ALERTS",
            "orders",
            "2026-03-10 08:00:00+00",
            "2026-03-10 11:00:00+00",
            "late data",
            "ada",
            "PENDING",
        )
    ]


# Raw events are archived long before the windows that a rule looks at: they are of no matter to it.
@pytest.mark.parametrize(
    ("size", "tier", "may_begin"),
    [
        ("1min", "hot", None),
        ("1min", "warm", "2026-03-10T09:00:00+00:00"),
        ("5min", "warm", None),
        ("5min", "cold", "2026-03-10T09:00:00+00:00"),
        (None, "cold", None),
    ],
)
def test_alerts_of_a_range_that_begins_before_the_windows_are_whole(
    sender: Sender, database: Database, size: str | None, tier: str, may_begin: str | None
) -> None:
    if size is not None:
        add_rule(database, rule())
        database.execute("UPDATE analytics_alert_rules SET window_size = %s", size)
        add_rule(database, rule("off"))
        database.execute("UPDATE analytics_alert_rules SET enabled = rule_name <> 'off'")
    database.execute(
        "UPDATE retention_tiers SET archived_before = '2026-03-10 08:20Z' WHERE tier = %s", tier
    )
    if may_begin is None:
        sender.send("POST", "/recalculations", ALERTS, expect=202)
        return
    problem = sender.send("POST", "/recalculations", ALERTS, expect=400)
    assert [error["parameter"] for error in problem["errors"]] == ["from"]
    assert f"it may begin at {may_begin}" in problem["detail"]
    assert jobs(database) == []
    sender.send("POST", "/recalculations", {**ALERTS, "from": may_begin}, expect=202)


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        ({}, ["job_type"]),
        ({"job_type": "EVERYTHING"}, ["job_type"]),
        ({"job_type": "RECALC_ALERTS", "service": "a"}, ["from", "to"]),
        ({"job_type": "RECALC_ALERTS", "from": "now", "to": "-2h"}, ["from"]),
        ({"job_type": "RECALC_ALERTS", "from": "-2h", "to": "later"}, ["to"]),
        ({"job_type": "RECALC_WINDOWS"}, ["from", "to"]),
        ({"job_type": "RECALC_WINDOWS", "from": "-2h"}, ["to"]),
        ({"job_type": "RECALC_WINDOWS", "from": "now", "to": "-2h"}, ["from"]),
        ({"job_type": "RECALC_WINDOWS", "from": "yesterday", "to": "soon"}, ["from", "to"]),
        ({"job_type": "REFRESH_VIEWS", "service": "a", "to": "now"}, ["service", "to"]),
        ({"job_type": "REFRESH_VIEWS", "reason": "\0"}, ["reason"]),
        ({"job_type": "REFRESH_VIEWS", "when": "now"}, ["when"]),
    ],
)
def test_bodies_that_cannot_be_used(
    sender: Sender, database: Database, body: dict[str, Any], parameters: list[str]
) -> None:
    problem = sender.send("POST", "/recalculations", body, expect=400)
    assert [error["parameter"] for error in problem["errors"]] == parameters
    assert jobs(database) == []


def test_the_list_is_newest_first_page_by_page(sender: Sender, database: Database) -> None:
    for _ in range(3):
        sender.send("POST", "/recalculations", {"job_type": "REFRESH_VIEWS"}, expect=202)
    database.execute(
        "UPDATE recalculation_queue SET status = 'FAILED', last_error = 'why' WHERE id = 2"
    )
    first = sender.send("GET", "/recalculations", limit=2)
    assert [job["id"] for job in first["jobs"]] == [3, 2]
    second = sender.send("GET", "/recalculations", limit=2, cursor=first["next_cursor"])
    assert ([job["id"] for job in second["jobs"]], second["next_cursor"]) == ([1], None)
    (failed,) = sender.send("GET", "/recalculations", status="FAILED")["jobs"]
    assert (failed["id"], failed["last_error"]) == (2, "why")


def test_one_that_is_not_there(sender: Sender) -> None:
    sender.send("GET", "/recalculations/7", expect=404)


def test_only_admins(sender: Sender, database: Database) -> None:
    reader = Sender(sender.client, READER)
    reader.send("GET", "/recalculations", expect=403)
    reader.send("POST", "/recalculations", RANGE, expect=403)
    assert jobs(database) == []
