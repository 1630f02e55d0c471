"""A service's page: its charts, zooming, and what a URL shares."""

from __future__ import annotations

import re
import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.databases import Database
from tests.system.page import HOSTILE, PASSWORD, Visitor, fire, log_in, need_charts

ZOOMED = re.compile(r"from=\d+&to=\d+")


def drawn(page: Page) -> None:
    """Wait until the four charts are there, and their style sheet with them."""
    expect(page.locator(".chart canvas")).to_have_count(4)
    expect(page.locator(".chart .u-over").first).to_have_css("position", "absolute")


def drag(page: Page, first: float, last: float) -> None:
    """Drag over a part of the first chart."""
    box = page.locator(".chart .u-over").first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * first, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * last, middle, steps=5)
    page.mouse.up()


def test_drag_zooms_and_a_double_click_goes_back(visitor: Visitor) -> None:
    need_charts()
    with visitor.tab() as page:
        visitor.enter(page, "services/checkout?range=6h")
        drawn(page)
        drag(page, 0.7, 0.9)
        expect(page).to_have_url(ZOOMED)
        expect(page.get_by_role("button", name="6h")).to_have_attribute("aria-pressed", "false")
        drag(page, 0.2, 0.8)
        page.locator(".chart .u-over").first.dblclick()
        expect(page).to_have_url(ZOOMED)
        page.locator(".chart .u-over").first.dblclick()
        expect(page).to_have_url(re.compile("range=6h$"))
        drawn(page)


def range_in(page: Page) -> tuple[int, int]:
    """From and to in the URL, epoch seconds."""
    found = re.search(r"from=(\d+)&to=(\d+)", page.url)
    assert found is not None
    return int(found[1]), int(found[2])


def test_the_range_moves_without_a_mouse(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page, "services/checkout?range=1h")
        page.get_by_role("button", name="Zoom in").focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(ZOOMED)
        near = range_in(page)
        assert 1700 <= near[1] - near[0] <= 1900
        page.get_by_role("button", name="Earlier").click()
        page.wait_for_url(lambda url: f"from={near[0]}&" not in url)
        before = range_in(page)
        assert abs((near[0] - before[0]) - (near[1] - near[0]) / 2) <= 120
        page.get_by_role("button", name="Zoom out").click()
        page.wait_for_url(lambda url: f"from={before[0]}&" not in url)
        wide = range_in(page)
        assert abs((wide[1] - wide[0]) - 2 * (before[1] - before[0])) <= 240
        for _ in range(3):  # never into the future
            page.get_by_role("button", name="Later").click()
        page.wait_for_url(lambda url: f"from={wide[0]}&" not in url)
        assert range_in(page)[1] <= time.time() + 60
        page.go_back()
        expect(page).to_have_url(ZOOMED)


def test_the_charts_as_a_table(visitor: Visitor, page_database: Database) -> None:
    stored = page_database.rows(
        "SELECT total_requests, failed_requests FROM analytics_metrics_1min"
        " WHERE service = 'checkout' AND timestamp > now() - interval '59 minutes' ORDER BY timestamp DESC"
    )
    assert len(stored) > 10
    with visitor.tab() as page:
        visitor.enter(page, "services/checkout?range=1h")
        page.get_by_role("button", name="As a table").click()
        table = page.get_by_role("region", name="The charts as a table").get_by_role("table")
        expect(table.get_by_role("columnheader")).to_have_text(
            ["From", "Requests", "Failed", "Errors %", "p50 ms", "p95 ms", "p99 ms", "Users", "Mean risk"]
        )  # fmt: skip
        expect(table.locator("tbody tr")).to_have_count(len(stored))
        for column, at in ((2, 0), (3, 1)):
            shown = table.locator(f"tbody td:nth-child({column})").all_text_contents()
            assert [int(text.replace(",", "")) for text in shown] == [row[at] for row in stored]
        page.get_by_role("button", name="As a table").click()
        expect(table).to_have_count(0)


def test_the_back_button_goes_the_way_back(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        page.get_by_role("link", name="checkout").click()
        expect(page.get_by_role("heading", name="checkout")).to_be_visible()
        page.get_by_role("button", name="24h").click()
        expect(page).to_have_url(re.compile("services/checkout.range=24h$"))
        expect(page.get_by_text("One point is 5 min")).to_be_visible()
        page.go_back()
        expect(page.get_by_text("One point is 1 min")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("table", name="Services")).to_be_visible()


def test_a_url_shows_somebody_else_the_same(visitor: Visitor, page_database: Database) -> None:
    fire(page_database, "search", name="shared")
    now = int(time.time())
    place = f"services/search?from={now - 1500}&to={now - 300}"
    with visitor.tab() as page:
        visitor.enter(page, place)
        expect(page.get_by_role("link", name="shared")).to_be_visible()
        shared = page.url
    with visitor.tab() as page:
        page.goto(shared)
        log_in(page, "reader", PASSWORD)
        expect(page.get_by_role("heading", name="search")).to_be_visible()
        assert page.url == shared
        expect(page.locator(".free summary")).to_contain_text(" to ")


def test_a_free_range_by_hand(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page, "services/checkout")
        page.get_by_text("Other range").click()
        page.get_by_label("From").fill("2026-01-02T03:04")
        page.get_by_label("To").fill("2026-01-01T03:04")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#toasts")).to_contain_text("begin before it ends")
        page.get_by_label("To").fill("2026-01-03T03:04")
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(ZOOMED)


def test_the_crosshair_says_what_was_then(visitor: Visitor) -> None:
    need_charts()
    with visitor.tab() as page:
        visitor.enter(page, "services/checkout?range=15m")
        drawn(page)
        times = page.locator(".chart .at")
        box = page.locator(".chart .u-over").first.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
        expect(page.locator(".chart output").first).to_contain_text("/s")
        assert len(set(times.all_text_contents())) == 1
        expect(page.locator("[data-chart=errors] [role=img]")).to_have_attribute(
            "aria-label", re.compile("^Errors: now .* %")
        )


def test_without_the_library_the_page_says_how_to_get_it(visitor: Visitor) -> None:
    with visitor.tab() as page:
        page.route("**/vendor/**", lambda route: route.fulfill(status=404))
        visitor.enter(page, "services/checkout")
        expect(page.get_by_text("scripts/fetch-frontend.sh")).to_be_visible()
        expect(page.get_by_role("heading", name="Error budget")).to_be_visible()


def test_an_error_budget_in_words(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page, "services/checkout")
        expect(page.locator(".budget")).to_contain_text("Used up")
        page.goto(f"{visitor.url}/#/services/search")
        expect(page.locator(".budget")).to_contain_text("100 % left")
        expect(page.locator(".budget")).to_contain_text("no failures")


def test_dead_letters_that_name_the_service(visitor: Visitor, page_database: Database) -> None:
    page_database.execute(
        "INSERT INTO analytics_dead_letters (topic, topic_incarnation, kafka_partition, kafka_offset, reason, detail,"
        " raw_value) VALUES ('stacklens-analytics', 1, 0, 7, 'missing_field:timestamp', 'timestamp is missing', %s)",
        b'{"service": "search", "level": "info"}',
    )
    with visitor.tab() as page:
        visitor.enter(page, "services/search")
        expect(page.get_by_text("missing_field:timestamp")).to_be_visible()
        page.goto(f"{visitor.url}/#/services/cart")
        expect(page.get_by_text("None of the last 500 names this service.")).to_be_visible()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(visitor: Visitor, name: str) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        link = page.locator("main a").filter(has_text=name)
        assert link.get_attribute("href") == f"#/services/{quote(name, safe='()*!' + chr(39))}"
        link.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.locator(".facts")).to_be_visible()
        assert page.evaluate("window.hacked") is None
        assert page.locator("main img, main script").count() == 0


def test_a_service_that_is_not_there_and_a_broken_url(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page, "services/never-seen")
        expect(page.get_by_text("not seen within a day")).to_be_visible()
        page.goto(f"{visitor.url}/#/services/%E0%A4%A")
        expect(page.get_by_role("heading", level=1)).to_have_text("%E0%A4%A")
        page.goto(f"{visitor.url}/#/services/{'y' * 300}")
        expect(page.locator("#main")).to_contain_text("255 characters")
        page.goto(f"{visitor.url}/#/nowhere")
        expect(page.get_by_role("table", name="Services")).to_be_visible()
