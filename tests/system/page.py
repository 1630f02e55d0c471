"""A real browser on the dashboard page: Chromium, driven by Playwright, on an API whose database the tests write."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

from tests import alert_rows
from tests.api_support import event, store_events
from tests.databases import Database
from tests.quick_hash import quick_hash

CHECKOUT = Path(__file__).resolve().parents[2]
SCREENSHOTS = CHECKOUT / "tests" / "screenshots"
VENDOR = CHECKOUT / "python-services" / "dashboard_api" / "static" / "vendor"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
)  # fmt: skip
PASSWORD = "a long enough password"
expect.set_options(timeout=30_000)  # a page on a busy machine, as for actions
HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "\"'><script>window.hacked=1</script>",
    "a/b?c=d&e#f%41",
    "\u202e\u0633\u0644\u0629 \U0001f6d2",
    "x" * 255,
)


@functools.cache
def users() -> str:
    """API_USERS with an admin and a reader."""
    return ",".join(f"{role}:{role}:{quick_hash(PASSWORD)}" for role in ("admin", "reader"))


def need_chromium() -> str:
    """The path of Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install -y chromium")
    return found


def need_charts() -> None:
    """Skip where nobody has fetched the page's chart library."""
    if not (VENDOR / "uPlot.js").exists():
        pytest.skip("the chart library is not installed: scripts/fetch-frontend.sh")


def launch(playwright: Playwright) -> Browser:
    """Chromium without a window."""
    return playwright.chromium.launch(executable_path=need_chromium(), args=list(FLAGS))


@dataclass
class Visitor:
    """Somebody at a page of their own: what they open, and what went wrong there."""

    browser: Browser
    url: str
    options: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def tab(self, **options: Any) -> Iterator[Page]:
        """A browser profile of its own with one page, closed at the end."""
        context = self.browser.new_context(**{**self.options, **options})
        try:
            yield self.page_in(context)
        finally:
            context.close()

    def page_in(self, context: BrowserContext) -> Page:
        """One more page in a profile, listened to."""
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)
        page.on("request", lambda request: self.requests.append(request.url))
        return page

    def _console(self, message: ConsoleMessage) -> None:
        # A browser reports every answer that is an error; the page tells people of those.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def enter(self, page: Page, place: str = "", user: str = "admin") -> Page:
        """Open `#/place` and log in."""
        page.goto(f"{self.url}/#/{place}")
        log_in(page, user, PASSWORD)
        expect(page.locator("#sentence")).to_be_visible()
        return page

    def asked(self, pattern: str) -> int:
        """How often the page asked the API for what matches."""
        return sum(1 for url in self.requests if re.search(pattern, url))


def log_in(page: Page, user: str, password: str) -> None:
    """Fill the form and send it."""
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def events_now(service: str, number: int, failed: int = 0, *, ago_s: float = 0.0) -> list[Any]:
    """Events of this minute, or of one before."""
    at = time.time() - ago_s
    return [
        event(
            at - place * 0.001,
            service,
            "error" if place < failed else "info",
            latency_ms=20.0 + place % 30,
            user_id=f"u{place % 7}",
            risk_score=0.1,
        )
        for place in range(number)
    ]


def fill(database: Database, services: tuple[str, ...] = ("checkout", "search", "cart")) -> None:
    """Half an hour of services, one of them in trouble for ten minutes, and a worker that keeps up."""
    events = []
    for place, service in enumerate((*services, *HOSTILE)):
        for minute in range(30):
            failing = 12 if place == 0 and minute < 10 else 0
            events += events_now(service, 30, failing, ago_s=60 * minute)
    store_events(database, events)
    database.execute("INSERT INTO topic_incarnations VALUES ('stacklens-analytics', 1, 'topic')")
    database.execute(
        "INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset)"
        " SELECT 'stacklens-analytics', 1, n, 0 FROM generate_series(0, 2) AS n"
    )
    keep_up(database)
    database.execute((CHECKOUT / "sql" / "seeds" / "alert_rules.sql").read_text())


def keep_up(database: Database, age_s: float = 0.0) -> None:
    """A worker says that everything up to so long ago is stored; by default up to an hour from now."""
    offset_s = -age_s if age_s else 3600.0
    database.execute(
        "UPDATE kafka_offsets SET lag = 0, lag_measured_at = clock_timestamp() + make_interval(secs => %s),"
        " caught_up_at = clock_timestamp() + make_interval(secs => %s)",
        offset_s,
        offset_s,
    )


def fire(database: Database, service: str, *, severity: str = "critical", name: str = "") -> int:
    """An alert that fired ten minutes ago; its number."""
    rule = alert_rows.rule(
        name or "Critical Error Rate", severity=severity, threshold=20.0, metric_name="error_rate"
    )
    return alert_rows.fire(database, rule, service, time.time() - 600, 40.0)


def shoot(page: Page, name: str) -> None:
    """Keep a picture for people to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
