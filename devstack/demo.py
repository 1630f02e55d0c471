"""`make demo`: the whole product on the embedded stack with live traffic, checked at the end.

Nothing of the product is imported: its commands are run as an operator runs them, its figures are
read through its API and its tables.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devstack.api import Stack, running_stack
from devstack.demo_figures import TROUBLE, Api, Figures, Tables, wake_group_coordinator
from devstack.demo_process import DemoProcess
from devstack.errors import DevstackError
from devstack.ports import free_port, listening

CHECKOUT = Path(__file__).resolve().parents[1]
SEED_RULES = CHECKOUT / "sql" / "seeds" / "alert_rules.sql"
COMMAND = [sys.executable, "-m", "analytics_service.entrypoints.cli.main"]
USER = "demo"
RATE = 200
SERVICES = 12
INCIDENT = "payment-service"
INCIDENT_S = 240
BAD_FRACTION = 0.005
FIRST_WINDOW_S = 60.0
CATCH_UP_S = 60.0
STATUS_EVERY_S = 5.0


@dataclass(frozen=True)
class Demo:
    """A demo that runs: its processes in the order in which they are to be ended, and its places."""

    generator: DemoProcess
    api_process: DemoProcess
    notifier: DemoProcess
    worker: DemoProcess
    report: Path
    logs: Path
    api: Api
    tables: Tables
    worker_url: str
    notifier_url: str

    @property
    def processes(self) -> tuple[DemoProcess, ...]:
        """All of them."""
        return (self.generator, self.api_process, self.notifier, self.worker)

    def keep_alive(self, *, traffic: bool = True) -> None:
        """Start again what somebody killed, as an operator's supervisor would; DevstackError for what ended by itself.

        The traffic is not: what it had sent is not known then. `traffic` False: it is over, do not look at it.
        """
        for process in (self.api_process, self.notifier, self.worker):
            with _uninterrupted():
                restarted = process.restart_if_killed()
            if restarted:
                say(f"{process.name} was killed: it is started again")
        if traffic:
            self.generator.expect_alive()


class _Interrupted(Exception):
    """Ctrl-C or SIGTERM."""


def main() -> int:
    """Run the demo until Ctrl-C, or for DEMO_SECONDS; return the exit status (0: all was right)."""
    started = time.monotonic()
    seconds = _demo_seconds()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with running_stack(progress=say) as stack, _running(stack) as demo:
            product_s = time.monotonic()
            _wait_for_first_window(demo)
            now = time.monotonic()
            say(
                f"first window readable after {now - started:.1f} s"
                f" (of these {now - product_s:.1f} s since the product's processes were started)"
            )
            with contextlib.suppress(_Interrupted):
                say(_welcome(demo))
                _watch(demo, None if seconds is None else time.monotonic() + seconds)
            return _finish(demo)
    except TROUBLE as error:
        raise DevstackError(f"the database or the broker does not answer: {error}") from error
    except _Interrupted:
        say("interrupted before the demo was up")
        return 130


def say(line: str) -> None:
    """Print a line for the person at the terminal, at once."""
    print(line, flush=True)


def _demo_seconds() -> float | None:
    text = os.environ.get("DEMO_SECONDS", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e7:
        raise DevstackError(f"DEMO_SECONDS must be a number of seconds above 0, not {text!r}")
    return seconds


def _interrupt(*_: object) -> None:
    # Shells deliver Ctrl-C once, `timeout` and make may add a SIGTERM: one is enough.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise _Interrupted


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: a process that was started but is not known yet would be left behind."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    held = [signal.signal(number, lambda found, _frame: came.append(found)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, held, strict=True):
            signal.signal(number, handler)
    if came:
        _interrupt()


@contextlib.contextmanager
def _running(stack: Stack) -> Iterator[Demo]:
    """Schema, topics and four processes; all are ended with the block, or with this process."""
    logs = Path(tempfile.mkdtemp(prefix="stacklens-demo-"))
    say(f"logs: {logs}")
    password = secrets.token_urlsafe(12)
    ports = [_port(preferred) for preferred in (8004, 8005, 9105, 8006)]
    env = _environment(stack, ports, password)
    _prepare(stack, env)
    tables = Tables(stack)
    tables.seed_rules(SEED_RULES.read_text(encoding="utf-8"))
    report = logs / "generate.json"
    generate = ["--rate", str(RATE), "--services", str(SERVICES), "--incident", INCIDENT]
    generate += ["--incident-seconds", str(INCIDENT_S)]
    generate += ["--bad-fraction", str(BAD_FRACTION), "--output-json", str(report)]
    demo = Demo(
        generator=_process("generate", logs, env, generate, signal.SIGKILL),
        api_process=_process("api", logs, env, [], signal.SIGTERM),
        notifier=_process("notifier", logs, env, [], signal.SIGKILL),
        worker=_process("analytics", logs, env, [], signal.SIGKILL),
        report=report,
        logs=logs,
        api=Api(f"http://127.0.0.1:{ports[1]}", USER, password),
        tables=tables,
        worker_url=f"http://127.0.0.1:{ports[0]}",
        notifier_url=f"http://127.0.0.1:{ports[3]}",
    )
    try:
        for process in reversed(demo.processes):
            with _uninterrupted():
                process.start()
        yield demo
    finally:
        for process in demo.processes:
            process.stop()
        tables.close()


def _port(preferred: int) -> int:
    return free_port() if listening(preferred) else preferred


def _environment(stack: Stack, ports: list[int], password: str) -> dict[str, str]:
    env = {
        **os.environ,
        **stack.env,
        "PYTHONPATH": str(CHECKOUT / "python-services"),
        "METRICS_PORT": str(ports[0]),
        "API_HOST": "127.0.0.1",
        "API_PORT": str(ports[1]),
        "API_METRICS_PORT": str(ports[2]),
        "NOTIFIER_METRICS_PORT": str(ports[3]),
    }
    hashed = subprocess.run(
        [*COMMAND, "hash-password", "--user", USER, "--role", "admin"],
        env=env,
        input=password,
        text=True,
        capture_output=True,
        check=False,
    )
    if hashed.returncode:
        raise DevstackError(f"stacklens hash-password failed:\n{hashed.stderr}")
    return {**env, "API_USERS": hashed.stdout.strip()}


def _prepare(stack: Stack, env: dict[str, str]) -> None:
    """Schema, topics and the broker's own offsets topic, side by side."""
    steps = {
        name: subprocess.Popen(
            [*COMMAND, *name.split()], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for name in ("migrate up", "topics create")
    }
    wake_group_coordinator(stack)
    for name, step in steps.items():
        output, _ = step.communicate()
        if step.returncode:
            raise DevstackError(f"stacklens {name} failed:\n{output.decode(errors='replace')}")


def _process(
    name: str, logs: Path, env: dict[str, str], arguments: list[str], orphan_signal: signal.Signals
) -> DemoProcess:
    command = [*COMMAND, name, *arguments]
    return DemoProcess(f"stacklens {name}", command, env, logs / f"{name}.log", orphan_signal)


def _wait_for_first_window(demo: Demo) -> None:
    last_moment = time.monotonic() + FIRST_WINDOW_S
    while not demo.api.windows(limit=1):
        demo.keep_alive()
        if time.monotonic() > last_moment:
            raise DevstackError(
                f"no window could be read through the API in {FIRST_WINDOW_S:.0f} s; logs: {demo.logs}\n"
                f"the end of the worker's log:\n{demo.worker.log_tail()}"
            )
        time.sleep(0.05)


def _welcome(demo: Demo) -> str:
    url, login = demo.api.url, f"{USER}:{demo.api.password}"
    return f"""
  page, API {url}
  user      {USER}
  password  {demo.api.password}
  worker    {demo.worker_url}/health  {demo.worker_url}/metrics
  notifier  {demo.notifier_url}/health  {demo.notifier_url}/metrics  ({_channels()})

  curl -u {login} '{url}/metrics?window=1min&limit=5'
  curl -u {login} '{url}/metrics/summary?from=-1h'
  curl -u {login} '{url}/health-status'

  curl -u {login} '{url}/alerts?status=active'

  {INCIDENT} has an incident, of which alerts tell after a minute, and which is over after {INCIDENT_S // 60} minutes;
  about {BAD_FRACTION:.1%} of the events are bad on purpose. Ctrl-C ends it all.

  Kill any of these, they are started again, and nothing is lost or counted twice:
  kill -9 {demo.worker.pid}   # the worker
  kill -9 {demo.notifier.pid}   # the notifier
  kill -9 {demo.api_process.pid}   # the API

  Which service is worst, since when, and why? Open {url} and log in as {USER} with {demo.api.password}
"""


def _channels() -> str:
    """Which channels are on, by the settings that switch them on."""
    switches = {
        "slack": "SLACK_WEBHOOK_URL",
        "email": "SMTP_HOST",
        "pagerduty": "PAGERDUTY_SERVICE_KEY",
    }
    return ", ".join(
        f"{name} {'on' if os.environ.get(setting) else f'off: set {setting}'}"
        for name, setting in switches.items()
    )


def _watch(demo: Demo, until: float | None) -> None:
    started = time.monotonic()
    next_status = started + STATUS_EVERY_S
    while until is None or time.monotonic() < until:
        demo.keep_alive()
        now = time.monotonic()
        if now >= next_status:
            say(_status(demo, now - started))
            next_status = now + STATUS_EVERY_S
        time.sleep(max(0.0, min(0.5, (until or now + 1) - now)))


def _status(demo: Demo, seconds: float) -> str:
    figures = demo.tables.figures()
    delay = demo.tables.visible_delay_s()
    shown = "" if delay is None else f", newest event {delay:.2f} s ago"
    busiest = sorted(demo.api.windows(limit=SERVICES), key=lambda row: -int(row["total_requests"]))
    windows = " | ".join(_window(row) for row in busiest[:3])
    return (
        f"{seconds:5.0f} s  {demo.tables.sent()} sent, {figures.stored} stored, "
        f"{figures.dead_lettered} dead-lettered{shown}\n         {windows}"
    )


def _window(row: dict[str, object]) -> str:
    clock = str(row["timestamp"])[11:16]
    p95 = row["latency_p95_ms"]
    slow = f"{p95:.0f} ms" if isinstance(p95, int | float) else "-"
    return f"{clock} {row['service']}: {row['total_requests']}, {row['error_rate']:.1f} % errors, p95 {slow}"


def _finish(demo: Demo) -> int:
    """Stop the traffic, let the worker catch up, and compare; the exit status."""
    say("stopping the traffic and checking that every event has arrived ...")
    demo.generator.stop()
    if not demo.report.is_file():
        raise DevstackError(f"the generator left no report; its log:\n{demo.generator.log_tail()}")
    sent = int(json.loads(demo.report.read_text())["acknowledged"])
    last_moment = time.monotonic() + CATCH_UP_S
    figures = demo.tables.figures()
    while figures.settled < sent and time.monotonic() < last_moment:
        demo.keep_alive(traffic=False)
        time.sleep(0.1)
        figures = demo.tables.figures()
    say(f"sent {sent}, stored {figures.stored}, dead-lettered {figures.dead_lettered}")
    problems = _problems(sent, figures)
    for problem in problems:
        say(f"WRONG: {problem}")
    if not problems:
        say(
            "every event is accounted for, and each of the three window tables adds up to the stored ones"
        )
    return 1 if problems else 0


def _problems(sent: int, figures: Figures) -> list[str]:
    problems = []
    if figures.settled != sent:
        problems.append(f"{sent} sent, but {figures.settled} stored or dead-lettered")
    for table, total in figures.windows.items():
        if total != figures.rows:
            problems.append(f"{table} adds up to {total}, {figures.rows} events are stored")
    return problems
