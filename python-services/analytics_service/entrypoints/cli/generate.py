"""`stacklens generate`: lifelike made-up traffic, live to the input topic or into a file."""

from __future__ import annotations

import gzip
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from analytics_service.adapters.kafka.producer import DeliveryError, TopicProducer
from analytics_service.config import load_settings
from analytics_service.domain.traffic import Burst, Traffic, TrafficPlan, timeline
from analytics_service.entrypoints.cli.pacing import Pacer
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import write_json
from analytics_service.entrypoints.cli.stopping import StopSignal

FILE_CHUNK = 1_000


@dataclass(slots=True)
class TrafficReport:
    """What was made; `acknowledged` is None when it went into a file."""

    seed: int
    destination: str
    sent: int = 0
    acknowledged: int | None = None
    bad: int = 0
    bad_by_reason: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None

    def sentence(self) -> str:
        """The report in one line."""
        rate = self.sent / self.seconds if self.seconds else 0.0
        text = f"generated {self.sent} events in {self.seconds:.1f} s ({rate:,.0f}/s)"
        text += f" to {self.destination}, {self.bad} of them bad on purpose"
        if self.acknowledged is not None:
            text += f"; {self.acknowledged} acknowledged"
        return f"{text}; seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Options:
    """The command's options; `count` and `seconds` say when to end, None: never."""

    rate: float
    services: int
    incident: str | None
    incident_seconds: float | None
    count: int | None
    seconds: float | None
    seed: int | None
    bad_fraction: float
    to_stdout: bool
    output: Path | None
    topic: str | None
    output_json: Path | None

    @property
    def plan(self) -> TrafficPlan:
        """What the traffic is to be like."""
        return TrafficPlan(
            services=self.services,
            incident=self.incident,
            incident_s=self.incident_seconds,
            bad_fraction=self.bad_fraction,
        )

    @property
    def total(self) -> int | None:
        """Number of events if it is known beforehand."""
        by_time = None if self.seconds is None else max(1, round(self.rate * self.seconds))
        given = [limit for limit in (self.count, by_time) if limit is not None]
        return min(given) if given else None

    def done(self, sent: int, elapsed_s: float) -> bool:
        """Whether it is time to end."""
        if self.count is not None and sent >= self.count:
            return True
        return self.seconds is not None and elapsed_s >= self.seconds


@click.command()
@click.option(
    "--rate",
    type=click.FloatRange(0, 1e6, min_open=True),
    default=100.0,
    show_default=True,
    help="Events a second.",
)
@click.option(
    "--services",
    type=click.IntRange(1, 100_000),
    default=12,
    show_default=True,
    help="How many services.",
)
@click.option(
    "--incident", metavar="SERVICE", help="This service fails and slows down from the start on."
)
@click.option(
    "--incident-seconds",
    type=click.FloatRange(0, min_open=True),
    help="The incident is over after so long; default: never.",
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="End after so long.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Same seed, same services and dice; default: a new one.",
)
@click.option(
    "--bad-fraction",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of events that are bad on purpose, of every kind.",
)
@click.option("--to-stdout", is_flag=True, help="Write NDJSON to standard output, not to Kafka.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write NDJSON to this file (.gz: compressed), not to Kafka.",
)
@click.option("--topic", help="Topic to send to; default KAFKA_INPUT_TOPIC.")
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def generate(**given: Any) -> int:
    """Send lifelike made-up traffic to the input topic, until Ctrl-C or SIGTERM.

    Services have their own daily rhythm, heavy-tailed latencies, error rates and now and then a
    small incident; users, addresses (IPv4, IPv6) and risk come with the events; some events are
    late. Live, events carry the present time and go out at --rate in bursts of at most 100 ms.
    Into a file they are written at once, with times that end now and lie as far back as --rate says.

    \b
    Examples:
      stacklens generate --rate 200
      stacklens generate --rate 1000 --services 50 --incident checkout-service --seconds 300
      stacklens generate --incident checkout-service --incident-seconds 180
      stacklens generate --bad-fraction 0.01 --count 10000 --seed 7
      stacklens generate --rate 10 --seconds 86400 -o day.ndjson.gz
    """
    options = Options(**given)
    if options.incident_seconds is not None and options.incident is None:
        raise click.UsageError("--incident-seconds needs --incident SERVICE")
    if options.to_stdout and options.output is not None:
        raise click.UsageError("--to-stdout and --output exclude each other")
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    into_file = options.to_stdout or options.output is not None
    report = _to_file(options, seed) if into_file else _live(options, seed)
    click.echo(report.sentence(), err=options.to_stdout)
    if report.error is not None:
        click.echo(f"stacklens: {report.error}", err=True)
    if options.output_json is not None:
        write_json(options.output_json, asdict(report))
    return 0 if report.error is None else 1


def _live(options: Options, seed: int) -> TrafficReport:
    settings = load_settings()
    report = TrafficReport(seed, options.topic or settings.kafka_input_topic)
    with StopSignal() as stop, TopicProducer(settings, report.destination) as producer:
        started, last_us = time.monotonic(), time.time_ns() // 1000
        traffic = Traffic(options.plan, seed, last_us)
        pacer = Pacer(options.rate, wait=stop.wait)
        progress = Progress("generate", options.count)
        try:
            while not stop.stopped and not options.done(report.sent, time.monotonic() - started):
                due = pacer.take()
                if options.count is not None:
                    due = min(due, options.count - report.sent)
                now_us = time.time_ns() // 1000
                moments = _spread(last_us, now_us, due)
                last_us = now_us
                _note(report, burst := traffic.burst(moments))
                producer.send(burst.values)
                progress.update(report.sent, f"{producer.acknowledged:,} acknowledged")
            producer.flush()
        except DeliveryError as error:
            report.error = str(error)
        progress.finish()
        report.seconds = round(time.monotonic() - started, 3)
        report.acknowledged = producer.acknowledged
    return report


def _spread(after_us: int, until_us: int, count: int) -> list[int]:
    """`count` moments from `after_us` (not itself) to `until_us`, evenly."""
    step = max(0, until_us - after_us)
    return [after_us + step * (number + 1) // count for number in range(count)]


def _to_file(options: Options, seed: int) -> TrafficReport:
    total = options.total
    if total is None:
        raise click.UsageError("into a file or to standard output: give --count or --seconds")
    end_us = time.time_ns() // 1000
    start_us = end_us - round(total / options.rate * 1e6)
    report = TrafficReport(seed, str(options.output or "standard output"))
    started = time.monotonic()
    traffic = Traffic(options.plan, seed, start_us)
    moments = timeline(start_us, end_us, total)
    with _opened(options.output) as file, StopSignal() as stop:
        progress = Progress("generate", total)
        while report.sent < total and not stop.stopped:
            burst = traffic.burst(moments[report.sent : report.sent + FILE_CHUNK])
            file.write(b"\n".join(burst.values) + b"\n")
            _note(report, burst)
            progress.update(report.sent)
        file.flush()
        progress.finish()
    report.seconds = round(time.monotonic() - started, 3)
    return report


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
    elif output.suffix == ".gz":
        with gzip.open(output, "wb") as zipped:
            yield cast(BinaryIO, zipped)
    else:
        with output.open("wb") as plain:
            yield plain


def _note(report: TrafficReport, burst: Burst) -> None:
    report.sent += len(burst.values)
    report.bad += burst.bad.total()
    report.bad_by_reason = dict(burst.bad + Counter(report.bad_by_reason))
