"""What the other sides answer now and then instead of yes: drawn from a seed."""

from __future__ import annotations

import random

from tests.fakes.rules import Reply
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhooks import FakeWebhooks

ANSWERS = 4_000
# A silence longer than anybody waits for, and then no yes: what comes of it was never taken.
SILENCE_S = 9.0
LIMITED = Reply(429, "", {"Retry-After": "1"})
BROKEN = Reply(500, "rollup_error")
SILENT = BROKEN.after(SILENCE_S)


def make_trouble(seed: int, web: FakeWebhooks, smtp: FakeSmtp) -> None:
    """Script the answers of a whole run."""
    rng = random.Random(f"trouble {seed}")
    for endpoint in (web.slack, web.pagerduty):
        endpoint.script(*(_reply(rng) for _ in range(ANSWERS)))
    smtp.script(
        "BODY", *("451 4.3.0 later" if rng.random() < 0.05 else None for _ in range(ANSWERS))
    )


def _reply(rng: random.Random) -> Reply | None:
    draw = rng.random()
    if draw < 0.05:
        return LIMITED
    if draw < 0.09:
        return BROKEN
    return SILENT if draw < 0.10 else None
