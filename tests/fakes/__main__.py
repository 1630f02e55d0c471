"""Slack, PagerDuty and a mail server for people: `python -m tests.fakes --port 8090 --smtp-port 8025`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
from pathlib import Path

from tests.fakes.records import Diary
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhooks import FakeWebhooks


def main() -> int:
    """Run until Ctrl-C or SIGTERM; a line for everything that comes in."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8090, help="Slack and PagerDuty; 0: a free one")
    parser.add_argument("--smtp-port", type=int, default=8025, help="mail; 0: a free one")
    parser.add_argument(
        "--smtp-tls", choices=("starttls", "implicit", "none"), default="none", help="default: none"
    )
    parser.add_argument("--output", type=Path, help="file that a JSON object a line is added to")
    asked = parser.parse_args()
    logging.getLogger("mail").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(asked.output.open("a")) if asked.output else None
        diary = Diary(output)
        web = stack.enter_context(FakeWebhooks(asked.port, host=asked.host, listener=diary))
        smtp = stack.enter_context(
            FakeSmtp(asked.smtp_port, host=asked.host, tls=asked.smtp_tls, listener=diary)
        )
        print(f"SLACK_WEBHOOK_URL={web.slack_url}")
        print(f"PAGERDUTY_EVENTS_URL={web.pagerduty_url} PAGERDUTY_SERVICE_KEY={'0' * 32}")
        print(f"SMTP_HOST={asked.host} SMTP_PORT={smtp.port} SMTP_TLS={asked.smtp_tls}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
