"""`stacklens replay`: recorded events to the input topic, their bytes unchanged."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import tzinfo
from pathlib import Path

import click

from analytics_service.adapters.kafka.producer import DeliveryError, TopicProducer
from analytics_service.config import Settings, load_settings
from analytics_service.entrypoints.cli.ndjson import STDIN, NdjsonSource
from analytics_service.entrypoints.cli.pacing import Pacer
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.rebase import shift, stamp_us
from analytics_service.entrypoints.cli.report import write_json


@dataclass(slots=True)
class ReplayReport:
    """What became of a replay; `seconds` from the first byte read to the last acknowledgement."""

    topic: str
    events: int = 0
    acknowledged: int = 0
    too_large: int = 0
    empty_lines: int = 0
    not_rebased: int = 0
    seconds: float = 0.0
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every event is in the topic."""
        return self.error is None and self.acknowledged == self.events

    def sentence(self) -> str:
        """The report in one line."""
        rate = self.acknowledged / self.seconds if self.seconds else 0.0
        text = f"replayed {self.acknowledged} events in {self.seconds:.1f} s ({rate:,.0f}/s)"
        text += f" to {self.topic}"
        for count, what in (
            (self.empty_lines, "empty lines skipped"),
            (self.not_rebased, "sent with their time unchanged: it could not be read"),
            (self.too_large, "not sent: larger than the topic takes"),
        ):
            text += f"; {count} {what}" if count else ""
        return text


@click.command()
@click.argument("file")
@click.option(
    "--rebase",
    type=click.Choice(["now"]),
    help="Shift all times so that the latest event happens now.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Events a second; default: as fast as it goes.",
)
@click.option("--topic", help="Topic to send to; default KAFKA_INPUT_TOPIC.")
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def replay(
    file: str, rebase: str | None, rate: float | None, topic: str | None, output_json: Path | None
) -> int:
    """Send recorded events from FILE to the input topic.

    FILE holds one JSON event a line (NDJSON), plain or gzip; - is standard input. Each line is sent
    as it is, without a key, spread evenly over the partitions. Exit status 0 only when the broker
    has acknowledged every event.

    \b
    Examples:
      stacklens replay events.ndjson.gz
      stacklens replay events.ndjson --rebase now --rate 500
      zcat old/*.gz | stacklens replay - --output-json report.json
    """
    settings = load_settings()
    report = ReplayReport(topic or settings.kafka_input_topic)
    with tempfile.TemporaryDirectory(prefix="stacklens-replay-") as scratch:
        if (
            rebase and file == STDIN
        ):  # the latest time is known only at the end: read it all, then send
            file = _keep_stdin(Path(scratch))
        _replay(settings, report, file, rebase is not None, rate)
    click.echo(report.sentence())
    if report.error is not None:
        click.echo(
            f"stacklens: {report.error}; {report.acknowledged} events were acknowledged", err=True
        )
    if output_json is not None:
        write_json(output_json, {**asdict(report), "ok": report.ok})
    return 0 if report.ok else 1


def _replay(
    settings: Settings, report: ReplayReport, file: str, rebase: bool, rate: float | None
) -> None:
    started = time.monotonic()
    delta_us = _delta_to_now(file, settings.default_tz) if rebase else None
    with NdjsonSource(file) as source, TopicProducer(settings, report.topic) as producer:
        progress = Progress("replay", source.size)
        try:
            for lines in _paced(source.blocks(), rate):
                if delta_us is not None:
                    lines = _shifted(lines, delta_us, settings.default_tz, report)
                producer.send(lines)
                report.events += len(lines)
                progress.update(
                    source.position if source.size else report.events,
                    f"{producer.acknowledged:,} acknowledged",
                )
            producer.flush()
        except DeliveryError as error:
            report.error = str(error)
        progress.finish()
        report.acknowledged, report.too_large = producer.acknowledged, producer.too_large
        report.empty_lines = source.empty_lines
    report.seconds = round(time.monotonic() - started, 3)


def _paced(blocks: Iterator[list[bytes]], rate: float | None) -> Iterator[list[bytes]]:
    if rate is None:
        yield from blocks
        return
    pacer = Pacer(rate)
    for block in blocks:
        at = 0
        while at < len(block):
            allowed = pacer.take()
            part = block[at : at + allowed]
            pacer.give_back(allowed - len(part))
            at += len(part)
            yield part


def _shifted(lines: list[bytes], delta_us: int, zone: tzinfo, report: ReplayReport) -> list[bytes]:
    moved = [shift(line, delta_us, zone) for line in lines]
    report.not_rebased += sum(line is None for line in moved)
    return [old if new is None else new for old, new in zip(lines, moved, strict=True)]


def _delta_to_now(file: str, zone: tzinfo) -> int:
    """Microseconds from the latest event of the file to now; 0 when no line has a time."""
    latest: int | None = None
    with NdjsonSource(file) as source:
        progress = Progress("reading times", source.size)
        for lines in source.blocks():
            for at_us in (stamp_us(line, zone) for line in lines):
                if at_us is not None and (latest is None or at_us > latest):
                    latest = at_us
            progress.update(source.position)
        progress.finish()
    return 0 if latest is None else time.time_ns() // 1_000 - latest


def _keep_stdin(folder: Path) -> str:
    kept = folder / "stdin"
    with kept.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return str(kept)
