"""`python -m devstack up | fetch | demo`: the embedded Kafka and TimescaleDB."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from devstack.api import Stack, running_stack, to_stderr
from devstack.errors import DevstackError
from devstack.fetch import fetch

EXAMPLES = """\
examples:
  python -m devstack up --env-file .stack.env     then, in another shell:
  set -a; . ./.stack.env; set +a; stacklens migrate up
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status (0 done, 1 failed, 2 usage)."""
    parser = argparse.ArgumentParser(
        prog="python -m devstack",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run both servers in the foreground until Ctrl-C")
    up.add_argument("--env-file", type=Path, help="write the variables here once both answer")
    up.add_argument("--no-fsync", action="store_true", help="quicker; a power cut loses data")
    commands.add_parser("fetch", help="only download")
    commands.add_parser("demo", help="the whole product with live traffic")
    options = parser.parse_args(arguments)
    try:
        if options.command == "up":
            return up_until_signal(options.env_file, fsync=not options.no_fsync)
        if options.command == "fetch":
            fetch(None, to_stderr)
            return 0
        status: int = importlib.import_module("devstack.demo").main()
        return status
    except DevstackError as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"devstack: the Python package {error.name} is missing: make setup", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if options.command == "up" else 130


def up_until_signal(env_file: Path | None, *, fsync: bool) -> int:
    """Run the stack until SIGINT or SIGTERM, or until one of its servers ends (status 1)."""
    asked_to_end = threading.Event()
    if env_file is not None:
        env_file.unlink(missing_ok=True)  # of a stack that could not remove it any more
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with running_stack(fsync=fsync) as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: asked_to_end.set())
        with _environment_written(env_file, stack):
            print(_greeting(stack, env_file), flush=True)
            while not asked_to_end.wait(0.5):
                for server in (stack.kafka, stack.postgres):
                    if server is not None and not server.running:
                        raise DevstackError(f"{server.name} ended by itself:\n{server.log_tail()}")
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _environment_written(env_file: Path | None, stack: Stack) -> Iterator[None]:
    if env_file is None:
        yield
        return
    # Written beside and renamed: whoever waits for the file never sees half of it.
    partial = env_file.with_name(f"{env_file.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.writelines(f"{name}={value}\n" for name, value in stack.env.items())
    partial.rename(env_file)
    try:
        yield
    finally:
        env_file.unlink(missing_ok=True)


def _greeting(stack: Stack, env_file: Path | None) -> str:
    lines = [f"Kafka        {stack.kafka_bootstrap_servers}"]
    lines.append(f"TimescaleDB  {stack.db_host}:{stack.db_port}/{stack.db_name} ({stack.db_user})")
    if env_file is not None:
        shown = env_file if env_file.is_absolute() else f"./{env_file}"
        lines.append(f"use it:      set -a; . {shown}; set +a")
    lines.append("Ctrl-C ends both; their data go with them")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
