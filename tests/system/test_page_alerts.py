"""What people do with alerts on the page, with the mouse and without."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests import alert_rows
from tests.databases import Database
from tests.system.page import Visitor, fire


def status_of(database: Database, alert_id: int) -> str:
    ((status,),) = database.rows("SELECT status FROM analytics_alerts WHERE id = %s", alert_id)
    return str(status)


def focus(page: Page, name: str) -> None:
    """Go down with j until this alert has the focus."""
    link = page.get_by_role("link", name=name)
    expect(link).to_be_visible()
    for _ in range(50):
        page.keyboard.press("j")
        if link.evaluate("link => link === document.activeElement"):
            return
    raise AssertionError(f"j does not come to {name}")


def test_acknowledge_in_two_key_strokes(visitor: Visitor, page_database: Database) -> None:
    number = fire(page_database, "cart", name="to be acknowledged")
    with visitor.tab() as page:
        visitor.enter(page, "alerts")
        focus(page, "to be acknowledged")
        page.keyboard.press("a")
        page.keyboard.press("Enter")
        expect(page.get_by_text("acknowledged by admin").first).to_be_visible()
        expect(page.locator("dialog")).to_have_count(0)
    assert status_of(page_database, number) == "acknowledged"
    history = "SELECT actor, comment FROM analytics_alert_history WHERE alert_id = %s AND to_status = 'acknowledged'"
    assert page_database.rows(history, number) == [("admin", "Looking into it")]


def test_silence_with_a_comment_and_take_it_back(visitor: Visitor, page_database: Database) -> None:
    fire(page_database, "cart", name="to be silenced")
    with visitor.tab() as page:
        visitor.enter(page, "alerts")
        focus(page, "to be silenced")
        page.keyboard.press("s")
        page.keyboard.type("deploy at noon")  # in place of what stood there
        page.keyboard.press("Enter")
        expect(page.locator(".silence")).to_contain_text("deploy at noon")
        page.get_by_role("button", name="Undo").click()  # at once: it is offered for some seconds
        expect(page.locator(".silence")).to_have_count(0)
    silences = (
        "SELECT service, rule_name, comment, author, ends_at > now(), ends_at > created_at"
        " FROM alert_silences"
    )
    assert page_database.rows(silences) == [
        ("cart", "to be silenced", "deploy at noon", "admin", False, True)
    ]


def test_the_time_line_of_an_episode(visitor: Visitor, page_database: Database) -> None:
    number = fire(page_database, "cart", name="with a history")
    alert_rows.add_deliveries(
        page_database,
        number,
        {"channel": "slack", "kind": "firing", "status": "sent", "attempts": 2},
        {
            "channel": "pagerduty",
            "kind": "firing",
            "status": "failed",
            "attempts": 4,
            "last_error": "HTTP 403",
        },
    )
    with visitor.tab() as page:
        visitor.enter(page, f"alerts/{number}")
        steps = page.locator(".timeline li")
        expect(steps.first).to_contain_text("active")
        expect(page.locator(".timeline")).to_contain_text("slack, firing: sent after 2 attempts")
        expect(page.locator(".timeline")).to_contain_text("failed after 4 attempts (HTTP 403)")
        page.get_by_role("button", name="Resolve").click()
        page.get_by_label("Comment").fill("rolled back")
        page.locator("dialog").get_by_role("button", name="Resolve").click()
        expect(steps.last).to_contain_text("resolved by admin")
        expect(steps.last).to_contain_text("rolled back")
        expect(page.get_by_role("button", name="Silence")).to_have_count(0)
    assert status_of(page_database, number) == "resolved"


def test_what_somebody_else_has_done_is_told(visitor: Visitor, page_database: Database) -> None:
    number = fire(page_database, "cart", name="somebody was faster")
    with visitor.tab() as page:
        visitor.enter(page, "alerts")
        focus(page, "somebody was faster")
        page.keyboard.press("a")
        expect(page.locator("dialog")).to_be_visible()
        page_database.execute(
            "UPDATE analytics_alerts SET status = 'resolved', resolved_at = now() WHERE id = %s",
            number,
        )
        page.keyboard.press("Enter")
        expect(page.locator("dialog").get_by_role("alert")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)


def test_an_alert_that_is_not_there(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page, "alerts")
        page.goto(f"{visitor.url}/#/alerts/99999999")
        expect(page.get_by_role("heading", name="Not there")).to_be_visible()


def test_everything_with_the_keyboard(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        page.keyboard.press("?")
        expect(page.locator("dialog")).to_contain_text("acknowledge the alert")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).not_to_be_attached()
        page.keyboard.press("/")
        expect(page.locator("#filter")).to_be_focused()
        page.keyboard.type("sea")
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page).to_have_url(re.compile("q=sea$"))
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        expect(page.get_by_role("link", name="search")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="search")).to_be_visible()


def test_j_and_k_and_sorting(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        names = page.locator("tbody th a")
        expect(names.first).to_have_text("checkout")  # the one that fails
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        expect(names.first).to_be_focused()
        page.get_by_role("columnheader", name="Service").get_by_role("button").click()
        expect(page.get_by_role("columnheader", name="Service")).to_have_attribute(
            "aria-sort", "ascending"
        )
        expect(page).to_have_url(re.compile("sort=service$"))
        page.get_by_role("columnheader", name="Service").get_by_role("button").click()
        expect(names.first).to_contain_text("\u0633\u0644\u0629")
        page.go_back()
        page.go_back()
        expect(names.first).to_have_text("checkout")


def test_send_a_dead_letter_again(visitor: Visitor, page_database: Database) -> None:
    page_database.execute(
        "INSERT INTO analytics_dead_letters (topic, topic_incarnation, kafka_partition, kafka_offset, reason,"
        " raw_value) VALUES ('stacklens-analytics', 1, 0, 3, 'invalid_field:latency_ms', %s)",
        b"<img src=x onerror=window.hacked=1>",
    )
    with visitor.tab() as page:
        visitor.enter(page, "dead-letters")
        letter = page.get_by_role("listitem").filter(has_text="invalid_field:latency_ms").first
        letter.locator("summary").click()
        expect(letter).to_contain_text("<img src=x onerror=window.hacked=1>")
        letter.get_by_role("button", name="Send again").click()
        expect(letter).to_contain_text("replay asked for")
        assert page.evaluate("window.hacked") is None
        page.get_by_label("Status").select_option("replayed")
        expect(page.get_by_role("heading", name="None")).to_be_visible()
        expect(page).to_have_url(re.compile("status=replayed$"))


@pytest.mark.parametrize("text", ["Partitions of", "Rules evaluated by", "Visible after"])
def test_the_system_view(visitor: Visitor, text: str) -> None:
    with visitor.tab() as page:
        visitor.enter(page, "system")
        expect(page.get_by_text(text)).to_be_visible()
