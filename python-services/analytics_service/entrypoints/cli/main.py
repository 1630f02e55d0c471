"""`stacklens`: one command a module, imported only when asked for, and one place for errors."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

import click

from analytics_service.entrypoints.cli.errors import CommandFailed, explain

PROGRAM = "stacklens"
DISTRIBUTION = "stacklens-analytics"
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives (`module:attribute`) and its line in the overview."""

    target: str
    summary: str


_CLI = "analytics_service.entrypoints.cli"
COMMANDS: dict[str, Entry] = {
    "analytics": Entry(f"{_CLI}.analytics:analytics", "Run the analytics worker."),
    "notifier": Entry(f"{_CLI}.notifier:notifier", "Run the alert notifier."),
    "api": Entry(f"{_CLI}.api:api", "Run the dashboard API."),
    "migrate": Entry(f"{_CLI}.migrate:migrate", "Bring the database schema up, down, or check it."),
    "topics": Entry(f"{_CLI}.topics:topics", "Create or list the Kafka topics."),
    "archive": Entry(
        f"{_CLI}.archive:archive", "Drop what is older than the retention tiers keep."
    ),
    "backup": Entry(f"{_CLI}.backup:backup", "Back the database up into a file."),
    "restore": Entry(f"{_CLI}.restore:restore_command", "Restore a backup into an empty database."),
    "replay": Entry(f"{_CLI}.replay:replay", "Send recorded events to the input topic."),
    "generate": Entry(f"{_CLI}.generate:generate", "Send lifelike made-up traffic."),
    "rules": Entry(f"{_CLI}.rules:rules", "List, apply or try alert rules."),
    "alerts": Entry(
        f"{_CLI}.alerts:alerts", "List, show, acknowledge or resolve alerts; test channels."
    ),
    "silences": Entry(f"{_CLI}.silences:silences", "List, make or end silences."),
    "dead-letters": Entry(
        f"{_CLI}.dead_letters:dead_letters", "List, show, replay or discard bad messages."
    ),
    "recalculate": Entry(
        f"{_CLI}.recalculate:recalculate", "Compute stored windows anew, find alerts missed."
    ),
    "verify": Entry(f"{_CLI}.verify:verify", "Check that a deployment is healthy."),
    "smoke": Entry(f"{_CLI}.smoke:smoke", "Send one event through everything."),
    "load": Entry(f"{_CLI}.load:load", "A bounded load on the API, with percentiles."),
    "guardrails": Entry(
        f"{_CLI}.guardrails:guardrails", "Compare today's figures with a saved baseline."
    ),
    "health-check": Entry(f"{_CLI}.health_check:health_check", "Is the API well? For cron."),
    "hash-password": Entry(f"{_CLI}.hash_password:hash_password", "Hash a password for API_USERS."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None for an unknown name."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else load_command(entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, written from the table: no command is imported for it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


def load_command(entry: Entry) -> click.Command:
    """The click command an entry names. Raises ImportError or AttributeError: a defect."""
    module, _, attribute = entry.target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{entry.target} is not a click command")
    return command


def _print_version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if not asked or ctx.resilient_parsing:
        return
    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    click.echo(f"{PROGRAM} {version}")
    ctx.exit()


@click.group(cls=LazyGroup, name=PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def stacklens() -> None:
    """Log events from Kafka into exact TimescaleDB windows, an API and alerts.

    Configured by the environment or a .env file alone. Exit status: 0 done, 1 failed, 2 wrong
    usage or configuration.

    \b
    Examples:
      stacklens migrate up                      # the schema
      stacklens topics create                   # the topics
      stacklens analytics                       # a worker, in the foreground
      stacklens generate --rate 200             # traffic to look at
      stacklens verify                          # is it healthy
    """
    # The client libraries log every failed connection attempt; commands report the outcome once.
    # `configure_logging` of the long-running processes sets its own levels afterwards.
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command of `stacklens` and return the exit status."""
    return run_program(stacklens, PROGRAM, arguments)


def run_program(command: click.Command, program: str, arguments: Sequence[str] | None) -> int:
    """Run a program and return the exit status; errors that are no defects become a message."""
    try:
        result = command.main(args=arguments, prog_name=program, standalone_mode=False)
    except click.Abort:
        click.echo(f"{program}: interrupted", err=True)
        return INTERRUPTED
    except CommandFailed as error:
        click.echo(f"{program}: {error.format_message()}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # pylint: disable=broad-exception-caught  # defects are raised again
        known = explain(error)
        if known is None:
            raise
        click.echo(f"{program}: {known.message}", err=True)
        return known.exit_code
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the `stacklens` program."""
    sys.exit(run())


if __name__ == "__main__":
    main()
