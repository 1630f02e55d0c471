"""`stacklens dead-letters`: look at the messages that could not be stored, send them again, set them aside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from psycopg2.extensions import connection

from analytics_service.adapters.kafka.letter_replays import send_again
from analytics_service.adapters.kafka.raw_producer import open_raw_producer
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.dead_letter_queries import (
    STATUSES,
    LetterFilter,
    StoredLetter,
    count_letters,
    discard_letters,
    find_letters,
    reopen_letters,
    states_of,
)
from analytics_service.config import Settings, load_settings
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import print_table, printable, write_json
from analytics_service.entrypoints.cli.stopping import StopSignal

BATCH = 500
LOOK_EVERY_S = 0.2

topic_option = click.option("--topic", help="Only those of this topic.")
reason_option = click.option("--reason", help="Only those with this reason, e.g. invalid_json.")
json_option = click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)


@dataclass(slots=True)
class ReplayReport:
    """What became of the letters that were sent again."""

    sent: int = 0
    stored: int = 0
    failed_again: int = 0
    waiting: int = 0
    refused: dict[int, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """The report in one line."""
        text = f"sent {self.sent} again: {self.stored} stored, {self.failed_again} failed again"
        if self.waiting:
            text += f", {self.waiting} not read by a worker yet"
        if self.refused:
            text += f"; {len(self.refused)} refused by the broker"
        return text


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show, replay or discard messages that broke a rule.

    \b
    Examples:
      stacklens dead-letters list --limit 20
      stacklens dead-letters show 17
      stacklens dead-letters replay --reason too_old
      stacklens dead-letters discard 17 18
    """


@dead_letters.command("list")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@topic_option
@click.option(
    "--status",
    type=click.Choice([*STATUSES, "all"]),
    default="pending",
    show_default=True,
    help="Only those in this state.",
)
@reason_option
@json_option
def list_(
    limit: int, topic: str | None, status: str, reason: str | None, output_json: Path | None
) -> None:
    """List dead letters, newest first.

    \b
    Examples:
      stacklens dead-letters list
      stacklens dead-letters list --status all --reason invalid_json --limit 200
      stacklens dead-letters list --output-json letters.json
    """
    wanted = LetterFilter(topic=topic, status=None if status == "all" else status, reason=reason)
    with _database(load_settings()) as conn:
        letters = find_letters(conn, wanted, limit, newest_first=True)
        total = count_letters(conn, wanted)
    print_table(
        ("ID", "CREATED", "REASON", "STATUS", "RETRIES", "ORIGIN", "DETAIL"),
        [_line(letter) for letter in letters],
    )
    if total > len(letters):
        click.echo(f"{total - len(letters)} more; --limit shows more of them")
    if output_json is not None:
        write_json(
            output_json,
            {
                "dead_letters": [letter.as_dict() for letter in letters],
                "count": len(letters),
                "total": total,
            },
        )


@dead_letters.command()
@click.argument("letter_id", metavar="ID", type=click.IntRange(min=1))
@json_option
def show(letter_id: int, output_json: Path | None) -> None:
    """Show one dead letter with its key and its value.

    \b
    Examples:
      stacklens dead-letters show 17
      stacklens dead-letters show 17 --output-json letter.json
    """
    with _database(load_settings()) as conn:
        found = find_letters(conn, LetterFilter(ids=(letter_id,)), 1)
    if not found:
        raise CommandFailed(
            f"there is no dead letter {letter_id}: see `stacklens dead-letters list`"
        )
    report = found[0].as_dict()
    hidden = ("raw_key_hex", "raw_value_hex")
    print_table(
        ("FIELD", "VALUE"),
        [
            (name, "-" if value is None else printable(str(value)))
            for name, value in report.items()
            if name not in hidden
        ],
    )
    if output_json is not None:
        write_json(output_json, report)


@dead_letters.command()
@click.argument("ids", metavar="[ID]...", type=click.IntRange(min=1), nargs=-1)
@click.option(
    "--limit", type=click.IntRange(min=1), help="At most so many, oldest first; default: all."
)
@topic_option
@click.option(
    "--status",
    type=click.Choice(["pending", "discarded"]),
    default="pending",
    show_default=True,
    help="Only those in this state; discarded ones become pending again. Replayed ones are stored already.",
)
@reason_option
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds to wait for workers to read them; 0: do not wait.",
)
@json_option
def replay(
    ids: tuple[int, ...],
    limit: int | None,
    topic: str | None,
    status: str,
    reason: str | None,
    wait: float,
    output_json: Path | None,
) -> int:
    """Send dead letters to their topic again, original key and bytes.

    Do this when the cause is gone: a setting was changed, an event from the future has become present. A letter that is
    stored becomes `replayed` and counts once, however often it is sent; one that fails again stays pending with its
    count raised. Letters that are settled are never stored a second time.

    \b
    Examples:
      stacklens dead-letters replay 17
      stacklens dead-letters replay --reason future_timestamp
      stacklens dead-letters replay --limit 1000 --topic stacklens-analytics --wait 60
    """
    settings = load_settings()
    wanted = LetterFilter(ids=ids or None, topic=topic, status=status, reason=reason)
    report = ReplayReport()
    before: dict[int, tuple[str, int]] = {}
    with _database(settings) as conn, StopSignal() as stop:
        total = min(count_letters(conn, wanted), limit or 2**63)
        progress = Progress("replay", total)
        producer = open_raw_producer(settings, "stacklens-dead-letters-replay")
        with contextlib.closing(producer):
            for letters in _pages(conn, wanted, limit):
                if status == "discarded":
                    with conn:
                        reopen_letters(conn, [letter.id for letter in letters])
                sent = send_again(producer, letters)
                report.sent += len(sent.taken)
                report.refused.update(sent.refused)
                retries = {letter.id: letter.retry_count for letter in letters}
                before |= {letter_id: ("pending", retries[letter_id]) for letter_id in sent.taken}
                progress.update(report.sent)
                if stop.stopped:
                    break
        _wait_for_outcome(conn, before, report, 0.0 if stop.stopped else wait, stop)
        progress.finish()
    if not report.sent and not report.refused:
        raise CommandFailed(
            f"no {status} dead letter matches: see `stacklens dead-letters list --status all`"
        )
    click.echo(report.sentence())
    for letter_id, why in report.refused.items():
        click.echo(f"  {letter_id}: {why}")
    if output_json is not None:
        write_json(output_json, asdict(report))
    return 1 if report.refused or report.failed_again else 0


@dead_letters.command()
@click.argument("ids", metavar="ID...", type=click.IntRange(min=1), nargs=-1, required=True)
@json_option
def discard(ids: tuple[int, ...], output_json: Path | None) -> int:
    """Set pending dead letters aside: they are kept, but nobody waits for them any more.

    \b
    Examples:
      stacklens dead-letters discard 17 18
      stacklens dead-letters discard 17 --output-json discarded.json
    """
    with _database(load_settings()) as conn:
        discarded = discard_letters(conn, ids)
        conn.commit()
    left = sorted(set(ids) - set(discarded))
    click.echo(f"discarded {len(discarded)}")
    if left:
        click.echo(f"not pending, left as they are: {', '.join(map(str, left))}")
    if output_json is not None:
        write_json(output_json, {"discarded": discarded, "not_pending": left})
    return 1 if left else 0


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[connection]:
    with contextlib.closing(
        parameters(settings, application_name="stacklens dead-letters").connect()
    ) as conn:
        yield conn


def _line(letter: StoredLetter) -> tuple[str, ...]:
    origin = f"{letter.topic}[{letter.kafka_partition}]@{letter.kafka_offset}"
    created = letter.created_at.isoformat(timespec="seconds")
    detail = printable(letter.detail or "-")[:80]
    return (
        str(letter.id),
        created,
        letter.reason,
        letter.status,
        str(letter.retry_count),
        origin,
        detail,
    )


def _pages(
    conn: connection, wanted: LetterFilter, limit: int | None
) -> Iterable[list[StoredLetter]]:
    """The letters that match now, oldest first, some at a time."""
    left, after = limit, 0
    while left is None or left > 0:
        size = BATCH if left is None else min(BATCH, left)
        page = LetterFilter(wanted.ids, wanted.topic, wanted.status, wanted.reason, after)
        letters = find_letters(conn, page, size)
        conn.rollback()
        if not letters:
            return
        yield letters
        after = letters[-1].id
        left = None if left is None else left - len(letters)


def _wait_for_outcome(
    conn: connection,
    before: dict[int, tuple[str, int]],
    report: ReplayReport,
    wait_s: float,
    stop: StopSignal,
) -> None:
    """Fill in what workers made of the letters, waiting for at most `wait_s`."""
    deadline = time.monotonic() + wait_s
    progress = Progress("waiting for workers", len(before))
    while True:
        now = states_of(conn, list(before))
        conn.rollback()
        changed = [state for letter_id, state in now.items() if state != before[letter_id]]
        report.stored = sum(status == "replayed" for status, _ in changed)
        report.failed_again = sum(status == "pending" for status, _ in changed)
        report.waiting = len(before) - report.stored - report.failed_again
        progress.update(len(before) - report.waiting)
        if not report.waiting or time.monotonic() >= deadline or stop.wait(LOOK_EVERY_S):
            progress.finish()
            return
