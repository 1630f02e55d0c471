"""Who gets in, and what they may do."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.databases import Database
from tests.system.page import PASSWORD, Visitor, fire, log_in


def test_nothing_is_shown_before_the_log_in(visitor: Visitor) -> None:
    with visitor.tab() as page:
        page.goto(visitor.url)
        expect(page.get_by_label("Password")).to_be_visible()
        expect(page.get_by_label("User")).to_be_focused()
        assert "checkout" not in page.content()


def test_a_wrong_password_is_told_and_the_next_try_gets_in(visitor: Visitor) -> None:
    with visitor.tab() as page:
        page.goto(visitor.url)
        log_in(page, "admin", "wrong")
        expect(page.get_by_role("alert")).to_contain_text("do not match")
        log_in(page, "admin", PASSWORD)
        expect(page.get_by_role("link", name="checkout")).to_be_visible()


def test_a_reload_stays_in_and_another_tab_does_not(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        page.reload()
        expect(page.get_by_role("link", name="checkout")).to_be_visible()
        other = visitor.page_in(page.context)
        other.goto(visitor.url)
        expect(other.get_by_label("Password")).to_be_visible()
        assert page.context.cookies() == []
        assert page.evaluate("JSON.stringify(localStorage)") == "{}"


def test_who_logs_out_leaves_nothing_behind(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        assert page.evaluate("JSON.stringify(sessionStorage)") == "{}"
        page.reload()
        expect(page.get_by_label("Password")).to_be_visible()


@pytest.mark.parametrize("place", ["alerts", "services/checkout"])
def test_a_reader_sees_alerts_and_no_buttons(
    visitor: Visitor, page_database: Database, place: str
) -> None:
    fire(page_database, "checkout", name=f"seen by a reader at {place}")
    with visitor.tab() as page:
        visitor.enter(page, place, "reader")
        expect(page.get_by_text(f"seen by a reader at {place}")).to_be_visible()
        expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
        page.keyboard.press("a")
        expect(page.locator("#toasts")).to_contain_text("admin")


def test_what_a_reader_may_not_see_says_so(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        page.get_by_role("button", name="Log out").click()
        page.goto(f"{visitor.url}/#/dead-letters")
        page.reload()
        log_in(page, "reader", PASSWORD)
        expect(page.get_by_role("heading", name="Not for your role")).to_be_visible()
        page.get_by_role("link", name="Back to all services").click()
        expect(page.get_by_role("link", name="checkout")).to_be_visible()
