"""The page follows what happens, says how old its data are, and asks for nothing that nobody looks at."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from devstack.ports import free_port
from tests.api_support import RunningApi, running_api, store_events
from tests.databases import Database
from tests.system.page import Visitor, events_now, fill, keep_up, users

HIDE = """
    Object.defineProperty(document, "hidden", {get: () => window.isHidden, configurable: true});
    window.isHidden = %s;
    document.dispatchEvent(new Event("visibilitychange"));
"""


def test_a_number_changes_by_itself_and_nothing_else_is_made_anew(
    visitor: Visitor, page_database: Database
) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        row = page.get_by_role("row").filter(has_text="cart")
        rate = row.locator("[data-label='req/s']")
        before = rate.text_content()
        row.evaluate("row => { row.marked = true; row.querySelector('a').focus(); }")
        store_events(page_database, events_now("cart", 4000))
        expect(rate).not_to_have_text(before or "")
        assert row.evaluate("row => row.marked && row.contains(document.activeElement)")


def test_a_new_service_shows_up(visitor: Visitor, page_database: Database) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        store_events(page_database, events_now("newcomer", 5))
        expect(page.get_by_role("link", name="newcomer")).to_be_visible()


def test_one_request_a_refresh(visitor: Visitor) -> None:
    with visitor.tab() as page:
        page.clock.install()
        visitor.enter(page)
        expect(page.get_by_role("link", name="checkout")).to_be_visible()
        with page.expect_response("**/overview"):  # one that is on its way counts for nothing
            page.clock.run_for(2100)
        visitor.requests.clear()
        for _ in range(3):
            with page.expect_response("**/overview"):
                page.clock.run_for(2100)
        assert visitor.asked(".") == visitor.asked("/overview$") == 3


def test_a_hidden_tab_asks_for_nothing(visitor: Visitor) -> None:
    with visitor.tab() as page:
        page.clock.install()
        visitor.enter(page)
        expect(page.get_by_role("link", name="checkout")).to_be_visible()
        page.evaluate(HIDE % "true")
        visitor.requests.clear()
        page.clock.run_for(120_000)
        assert visitor.requests == []
        with page.expect_response("**/overview"):
            page.evaluate(HIDE % "false")


def test_the_age_turns_amber_and_red_and_says_why(
    visitor: Visitor, page_database: Database
) -> None:
    age = "#age"
    with visitor.tab() as page:
        visitor.enter(page)
        expect(page.locator(age)).to_have_attribute("data-tone", "good")
        keep_up(page_database, 12)
        expect(page.locator(age)).to_have_attribute("data-tone", "fair")
        expect(page.locator(age)).to_contain_text("no worker reports")
        keep_up(page_database, 100)
        expect(page.locator(age)).to_have_attribute("data-tone", "bad")
        keep_up(page_database)
        expect(page.locator(age)).to_have_attribute("data-tone", "good")


def test_a_lost_api_is_told_the_figures_stay_and_it_comes_back(
    browser: Browser, database: Database
) -> None:
    fill(database)
    port = free_port()
    env = {**database.env, "API_USERS": users(), "API_PORT": str(port)}
    visitor = Visitor(browser, f"http://127.0.0.1:{port}")
    with visitor.tab() as page:
        with running_api(env, "--workers", "1"):
            visitor.enter(page)
            expect(page.get_by_role("link", name="checkout")).to_be_visible()
        expect(page.locator("#notice")).to_contain_text("cannot be reached")
        expect(page.locator("#age")).to_contain_text("trying again")
        expect(page.get_by_role("button", name="Try again now")).to_be_visible()
        expect(page.get_by_role("link", name="checkout")).to_be_visible()
        with running_api(env, "--workers", "1"):
            # The page tries again by itself, too, and may have been the quicker one.
            page.evaluate("document.querySelector('[data-do=retry]')?.click()")
            expect(page.locator("#notice")).to_be_empty()
            expect(page.locator("#age")).not_to_contain_text("trying again")


def test_without_any_event_the_page_teaches(browser: Browser, database: Database) -> None:
    with running_api({**database.env, "API_USERS": users()}, "--workers", "1") as api:
        visitor = Visitor(browser, api.url)
        with visitor.tab() as page:
            visitor.enter(page)
            expect(page.get_by_role("heading", name="No events yet")).to_be_visible()
            expect(page.get_by_text("stacklens generate")).to_be_visible()
            expect(page.locator("#sentence")).to_have_text("No services yet, no open alerts")
            store_events(database, events_now("first", 3))
            expect(page.get_by_role("link", name="first")).to_be_visible()
        assert visitor.complaints == []


def test_without_a_password_where_the_api_lets_everybody_in(
    browser: Browser, page_database: Database
) -> None:
    with running_api({**page_database.env, "API_AUTH_DISABLED": "1"}, "--workers", "1") as api:
        visitor = Visitor(browser, api.url)
        with visitor.tab() as page:
            _opens(page, api)


def _opens(page: Page, api: RunningApi) -> None:
    page.goto(api.url)
    expect(page.get_by_role("link", name="checkout")).to_be_visible()
