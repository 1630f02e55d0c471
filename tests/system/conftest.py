"""One browser and one API on a filled database for all tests of the page that change nothing others look at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from devstack.api import Stack
from tests.api_support import RunningApi, fresh_database, running_api, store_events
from tests.databases import Database
from tests.measuring import unmeasured
from tests.system.page import Visitor, events_now, fill, launch, need_chromium, users


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; a new profile for each page that is opened.

    Not for longer than a module: while Playwright runs it keeps an event loop, in which no other test can start one.
    """
    need_chromium()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_database(stack: Stack, migrated_template: str) -> Iterator[Database]:
    """Half an hour of some services."""
    with fresh_database(stack, migrated_template) as database:
        fill(database)
        yield database


@pytest.fixture(scope="session")
def page_api(page_database: Database) -> Iterator[RunningApi]:
    """An API on it, with the users admin and reader."""
    running = running_api({**page_database.env, "API_USERS": users()}, "--workers", "1")
    with contextlib.ExitStack() as ending:
        with unmeasured():  # this is made before what the module does for all its tests
            api = ending.enter_context(running)
        yield api


@pytest.fixture
def visitor(browser: Browser, page_api: RunningApi, page_database: Database) -> Iterator[Visitor]:
    """Somebody whose page must not complain, and who finds a service that has been failing until now."""
    store_events(page_database, events_now("checkout", 30, 12))  # health looks at five minutes
    somebody = Visitor(browser, page_api.url)
    yield somebody
    assert somebody.complaints == []
