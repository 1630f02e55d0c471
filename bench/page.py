"""`python -m bench.page`: the page in a real Chromium, 200 services: its first view, and memory while it stays open.

The page is open for some minutes, with the figures of its services changing every second, and what an hour would add
is worked out from how its memory grew: JavaScript's heap after a garbage collection each time, and the private memory
of the tab's process.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright

from bench.figures import Line, Promise
from bench.outcome import report
from bench.progress import Progress
from bench.running import FAILURES
from bench.site import ROOT, Site
from bench.surroundings import describe, sentences
from devstack.api import running_stack
from tests.api_support import fresh_database, running_api, store_events
from tests.databases import Database
from tests.stack_fixtures import ensure_template
from tests.system.page import PASSWORD, events_now, fill, launch, log_in, users

HOUR_S: Final = 3600.0
MEGABYTE: Final = 1e6
SAMPLE_EVERY_S: Final = 10.0
WARM_UP_SHARE: Final = 0.2
RESULTS: Final = ROOT / "bench" / "results" / "page.json"
TEMPLATE: Final = "bench_page_template"


@dataclass(slots=True)
class PageResult:
    """Seconds and bytes of first views (log-in to the last row), and samples of (seconds, heap, private) in bytes."""

    services: int
    first_view_s: list[float] = field(default_factory=list)
    first_view_bytes: list[float] = field(default_factory=list)
    samples: list[tuple[float, float, float]] = field(default_factory=list)

    def at_hour(self, column: int) -> float:
        """Bytes after an hour: a straight line through the samples after the first fifth, at an hour, or the largest.

        `column`: 1 for the heap, 2 for private memory.
        """
        rows = np.array(self.samples)
        settled = rows[rows[:, 0] >= WARM_UP_SHARE * rows[-1, 0]]
        slope, start = np.polyfit(settled[:, 0], settled[:, column], 1)
        return float(max(start + slope * HOUR_S, rows[:, column].max()))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--services", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="it stays open (%(default)s)")
    parser.add_argument("--views", type=int, default=5, help="first views (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="two minutes, two first views")
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file (%(default)s)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.minutes, options.views = 2.0, 2
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status: 0 every promise kept, 1 one missed or something failed."""
    options = parse(arguments)
    progress = Progress()
    try:
        with running_stack() as stack:
            surroundings = describe(Site(stack, Path()))
            print(sentences(surroundings), file=sys.stderr)
            with fresh_database(stack, ensure_template(stack, TEMPLATE)) as database:
                progress.say(f"half an hour of {options.services} services")
                names = tuple(f"service-{number:03}" for number in range(options.services - 5))
                fill(database, names)
                env = {**database.env, "API_USERS": users()}
                with running_api(env, "--workers", "1") as api, sync_playwright() as playwright:
                    browser = launch(playwright)
                    result = PageResult(options.services)
                    for _ in range(options.views):
                        _first_view(browser, api.url, result)
                    with _traffic(database, names):
                        _stay(browser, api.url, options.minutes * 60, result, progress)
                    browser.close()
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    content = {"page": asdict(result)}
    kept = report(options.output, "page", surroundings, content, lines_of(result))
    progress.say(f"results are in {options.output}")
    return 0 if kept else 1


def lines_of(result: PageResult) -> list[Line]:
    """The table; promises of the page."""
    about = f"page, {result.services} services"
    minutes = result.samples[-1][0] / 60
    heap = [sample[1] / MEGABYTE for sample in result.samples]
    private = [sample[2] / MEGABYTE for sample in result.samples]
    return [
        Line(f"{about}: first view", result.first_view_s, "{:.2f} s", Promise("most", 1.0)),
        Line(
            "  transferred",
            [size / 1000 for size in result.first_view_bytes],
            "{:.0f} KB",
            Promise("below", 300),
        ),
        Line(f"{about}: heap over {minutes:.0f} minutes", heap, "{:.1f} MB"),
        Line(
            "  heap after an hour, extrapolated",
            [result.at_hour(1) / MEGABYTE],
            "{:.1f} MB",
            Promise("below", 100),
        ),
        Line("  private memory of the tab's process", private, "{:.1f} MB"),
        Line(
            "  the same after an hour, extrapolated",
            [result.at_hour(2) / MEGABYTE],
            "{:.1f} MB",
            Promise("below", 100),
        ),
    ]


def _first_view(browser: Browser, url: str, result: PageResult) -> None:
    """A profile of its own, from the address to the last row of the table; logging in is not in it."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    log_in(page, "admin", PASSWORD)
    _all_rows(page, result.services)
    session = page.context.new_cdp_session(page)
    sizes: list[float] = []
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    began = time.perf_counter()
    page.reload()
    _all_rows(page, result.services)
    result.first_view_s.append(time.perf_counter() - began)
    result.first_view_bytes.append(sum(sizes))
    context.close()


def _all_rows(page: Page, services: int) -> None:
    expect(page.locator("table.services tbody tr")).to_have_count(services, timeout=30_000)


def _stay(
    browser: Browser, url: str, seconds: float, result: PageResult, progress: Progress
) -> None:
    """Leave the page open and take samples."""
    page = browser.new_page()
    page.goto(url)
    log_in(page, "admin", PASSWORD)
    _all_rows(page, result.services)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    pid = _process_of(browser, page)
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        result.samples.append((elapsed, _heap_bytes(session), _private_bytes(pid)))
        progress.tick(f"the page is open for {elapsed:.0f} of {seconds:.0f} s")
        page.wait_for_timeout(SAMPLE_EVERY_S * 1000)
    page.close()


def _heap_bytes(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize"))


def _process_of(browser: Browser, page: Page) -> int:
    """The process that has used the most time of those that show pages: it has just drawn this one."""
    session = browser.new_browser_cdp_session()
    found: list[dict[str, Any]] = session.send("SystemInfo.getProcessInfo")["processInfo"]
    page.evaluate("() => null")
    drawing = [each for each in found if each["type"] == "renderer"]
    return int(max(drawing, key=lambda each: each["cpuTime"])["id"])


def _private_bytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return 1024.0 * sum(int(size) for size in re.findall(r"^Private_\w+: +(\d+) kB", text, re.M))


@contextmanager
def _traffic(database: Database, services: tuple[str, ...]) -> Iterator[None]:
    """Some events of every service every second, so that every row of the page has something new to show."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(1.0):
            store_events(database, [each for name in services for each in events_now(name, 2)])

    thread = threading.Thread(target=run, name="traffic", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    raise SystemExit(main())
