"""How every bench runs and ends: on a stack of its own or one's own servers, politely, with one exit status."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psycopg2
from kafka.errors import KafkaError

from analytics_service.adapters.kafka.producer import DeliveryError
from analytics_service.adapters.kafka.topics import TopicError
from bench import outcome
from bench.errors import BenchError
from bench.figures import Line
from bench.progress import Progress
from bench.site import Site
from bench.surroundings import describe, sentences
from devstack.api import DevstackError, running_stack

FAILURES: tuple[type[Exception], ...] = (
    BenchError, DevstackError, DeliveryError, TopicError, KafkaError, psycopg2.Error,
)  # fmt: skip


def parser_of(
    module: str, description: str | None, examples: str, results: Path
) -> argparse.ArgumentParser:
    """What the options of all benches begin with: how it is called, what it is, examples, where results go."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=results, help="results file (%(default)s)")
    return parser


@contextmanager
def measuring_site() -> Iterator[tuple[Site, dict[str, Any]]]:
    """A site, and its surroundings as `describe` gives them, which are printed; its topics go in the end."""
    with tempfile.TemporaryDirectory(prefix="stacklens-bench-") as name, running_stack() as stack:
        site = Site(stack, Path(name))
        surroundings = describe(site)
        print(sentences(surroundings), file=sys.stderr)
        try:
            yield site, surroundings
        finally:
            if stack.kafka is None:  # the embedded broker takes its topics with it
                site.remove_topics()


def run_bench(
    measure: Callable[[], bool],
    output: Path,
    progress: Progress,
    failures: tuple[type[Exception], ...] = FAILURES,
) -> int:
    """The exit status: 0 when `measure` says that every promise is kept, 1 when not, or when it fails."""
    # Ended politely, the children and the stack are ended too.
    signal.signal(signal.SIGTERM, leave_politely)
    try:
        kept = measure()
    except failures as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    progress.say(f"results are in {output}")
    return 0 if kept else 1


def run_measurement(
    name: str,
    output: Path,
    measure: Callable[[Site, Progress], tuple[dict[str, Any], list[Line]]],
) -> int:
    """The exit status of a bench that measures on a site and has a table to print.

    `measure` gives what goes into the results file besides the lines, and the lines.
    """
    progress = Progress()

    def reported() -> bool:
        with measuring_site() as (site, surroundings):
            content, lines = measure(site, progress)
            return outcome.report(output, name, surroundings, content, lines)

    return run_bench(reported, output, progress)


def leave_politely(number: int, _frame: FrameType | None) -> NoReturn:
    """A signal ends the run as an exception does: what was started is ended too."""
    raise SystemExit(128 + number)
