"""How the page looks and reads: light and dark, on a phone, to a screen reader; how heavy it is; what it may load."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.databases import Database
from tests.system.page import CHECKOUT, Visitor, fire, shoot

AXE = CHECKOUT / "node_modules" / "axe-core" / "axe.min.js"
PLACES = {
    "services": "",
    "service": "services/checkout",
    "alerts": "alerts",
    "dead-letters": "dead-letters",
    "system": "system",
}
LARGEST_BYTES = 300_000


@pytest.fixture(scope="module", autouse=True)
def an_alert(page_database: Database) -> int:
    return fire(page_database, "checkout", name="always there")


def there(page: Page) -> None:
    """Wait until figures have come."""
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.locator("#main > *").first).to_be_visible()


def complaints_of_axe(page: Page) -> list[tuple[str, str, str]]:
    """What axe finds that is serious or critical; run beside the page's own policy, which allows no foreign script."""
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    outcome = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (rule["id"], node["html"][:160], node["failureSummary"][:300])
        for rule in outcome["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", PLACES)
def test_axe_finds_nothing_serious(visitor: Visitor, view: str, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe is not installed: scripts/fetch-frontend.sh")
    with visitor.tab(color_scheme=scheme, viewport={"width": 1280, "height": 860}) as page:
        visitor.enter(page, PLACES[view])
        there(page)
        shoot(page, f"{view}-{scheme}")
        assert complaints_of_axe(page) == []


def test_axe_finds_nothing_serious_at_the_entrance_and_in_an_alert(
    visitor: Visitor, an_alert: int
) -> None:
    if not AXE.exists():
        pytest.skip("axe is not installed: scripts/fetch-frontend.sh")
    with visitor.tab() as page:
        page.goto(visitor.url)
        expect(page.get_by_label("Password")).to_be_visible()
        assert complaints_of_axe(page) == []
        visitor.enter(page, f"alerts/{an_alert}")
        there(page)
        page.keyboard.press("s")
        expect(page.locator("dialog")).to_be_visible()
        shoot(page, "silence")
        assert complaints_of_axe(page) == []


@pytest.mark.parametrize("view", PLACES)
def test_a_phone_needs_no_scrolling_sideways(visitor: Visitor, view: str) -> None:
    with visitor.tab(viewport={"width": 360, "height": 740}, has_touch=True) as page:
        visitor.enter(page, PLACES[view])
        there(page)
        shoot(page, f"{view}-phone")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_on_a_phone_the_table_becomes_cards_and_stays_a_table_to_be_read(visitor: Visitor) -> None:
    with visitor.tab(viewport={"width": 360, "height": 740}) as page:
        visitor.enter(page)
        row = page.get_by_role("row").filter(has_text="checkout")
        expect(row).to_have_css("display", "grid")
        expect(row.get_by_role("cell").first).to_contain_text("unhealthy")
        expect(page.get_by_role("columnheader", name="p99")).to_have_count(1)


def test_the_system_says_light_or_dark_until_somebody_chooses(visitor: Visitor) -> None:
    with visitor.tab(color_scheme="dark") as page:
        visitor.enter(page)
        body = page.locator("body")
        expect(body).to_have_css("background-color", "rgb(14, 16, 19)")
        page.get_by_role("button", name="Switch between light and dark").click()
        expect(body).to_have_css("background-color", "rgb(247, 248, 249)")
        page.reload()
        expect(body).to_have_css("background-color", "rgb(247, 248, 249)")
        page.get_by_role("button", name="Switch between light and dark").click()
        expect(body).to_have_css("background-color", "rgb(14, 16, 19)")
        assert page.evaluate("JSON.stringify(localStorage)") == "{}"


def test_landmarks_and_the_sentence(visitor: Visitor) -> None:
    with visitor.tab() as page:
        visitor.enter(page)
        expect(page.get_by_role("navigation", name="Views")).to_be_visible()
        expect(page.get_by_role("main")).to_be_visible()
        expect(page.get_by_role("link", name="Services", exact=True)).to_have_attribute(
            "aria-current", "page"
        )
        expect(page.locator("#sentence")).to_contain_text("services unhealthy")
        expect(page.locator("[aria-live=polite]")).to_contain_text("critical alert")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Skip to content")).to_be_focused()


def test_whoever_wants_no_motion_gets_none(visitor: Visitor) -> None:
    with visitor.tab(reduced_motion="reduce") as page:
        page.route("**/overview", lambda _route: None)  # never answered: the skeleton stays
        page.goto(visitor.url)
        page.evaluate("sessionStorage.setItem('stacklens.credential', 'Basic eDp5')")
        page.reload()
        expect(page.locator(".skeleton div").first).to_have_css("animation-name", "none")


def test_the_first_view_is_light(visitor: Visitor) -> None:
    with visitor.tab() as page:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        sizes: list[float] = []
        session.on(
            "Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"])
        )
        visitor.enter(page)
        there(page)
        assert len(sizes) > 10
        assert sum(sizes) < LARGEST_BYTES
        assert all(url.startswith((visitor.url, "data:")) for url in visitor.requests)
