"""Commands in a markdown page, and what they are said to print.

A block ```bash is one piece of shell text; a block ```text right after it is what that prints on
standard output, where `...` stands for anything within a line, and a line that is nothing but `...`
for any number of lines, none too. A comment `<!-- not tested: why -->` before a block excuses it.
A block ```crontab holds lines of a crontab.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ANYTHING = "..."
_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_EXCUSE = re.compile(r"<!-- not tested(?P<as_it_stands> as it stands)?: (?P<why>.+?) -->\s*\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of shell text under a heading, on a line of the page."""

    heading: str
    line: int
    commands: str
    expected: str | None
    excuse: str | None

    def __str__(self) -> str:
        return f"line {self.line} ({self.heading})"


def blocks(page: str) -> list[Block]:
    """Every ```bash block of a page, in its order."""
    found: list[Block] = []
    fences = list(_FENCE.finditer(page))
    for number, fence in enumerate(fences):
        if fence["kind"] != "bash":
            continue
        before = page[fences[number - 1].end() if number else 0 : fence.start()]
        excuse = _EXCUSE.search(before)
        following = fences[number + 1] if number + 1 < len(fences) else None
        answered = (
            following is not None
            and following["kind"] == "text"
            and not page[fence.end() : following.start()].strip()
        )
        headings = re.findall(r"^#+ (.+)$", page[: fence.start()], re.M)
        found.append(
            Block(
                heading=headings[-1] if headings else "",
                line=page.count("\n", 0, fence.start()) + 1,
                commands=fence["text"],
                expected=following["text"] if following is not None and answered else None,
                excuse=excuse["why"] if excuse else None,
            )
        )
    return found


def crontab_lines(page: str) -> list[str]:
    """The commands of the page's crontab, as cron would give them to the shell: without times, `\\%` as `%`."""
    text = "".join(fence["text"] for fence in _FENCE.finditer(page) if fence["kind"] == "crontab")
    return [line.split(None, 5)[5].replace("\\%", "%") for line in text.splitlines() if line]


def differs(expected: str, printed: str) -> str | None:
    """None when `printed` is what was expected; otherwise where they part, for people."""
    wanted = [line.rstrip() for line in expected.strip("\n").splitlines()]
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    reached = {0}
    for number, pattern in enumerate(wanted):
        if pattern == ANYTHING:
            reached = set(range(min(reached), len(lines) + 1))
            continue
        regex = re.compile(re.escape(pattern).replace(re.escape(ANYTHING), ".*"))
        after = {at + 1 for at in reached if at < len(lines) and regex.fullmatch(lines[at])}
        if not after:
            shown = lines[min(reached)] if min(reached) < len(lines) else "(nothing more)"
            return f"expected line {number + 1} {pattern!r}, found {shown!r}"
        reached = after
    if len(lines) not in reached:
        return f"nothing more was expected, found {lines[max(reached)]!r}"
    return None
