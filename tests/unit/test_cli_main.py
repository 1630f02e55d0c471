"""The program as a whole: its overview, its exit statuses, and how it tells errors."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg2
import pytest
from aiokafka.errors import KafkaError as AiokafkaError
from kafka.errors import KafkaTimeoutError

from analytics_service.adapters.kafka.topics import TopicError
from analytics_service.config import ConfigurationError
from analytics_service.entrypoints.cli import main
from analytics_service.entrypoints.cli.errors import CommandFailed, explain
from analytics_service.entrypoints.cli.main import COMMANDS, Entry, load_command, run

PROGRAM = [sys.executable, "-m", "analytics_service.entrypoints.cli.main"]
CHECKOUT = Path(__file__).resolve().parents[2]


def with_subcommands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The command and, of a group, its commands."""
    yield name, command
    if isinstance(command, click.Group):
        for below, subcommand in command.commands.items():
            yield f"{name} {below}", subcommand


ALL_COMMANDS = [
    found
    for name, entry in COMMANDS.items()
    for found in with_subcommands(name, load_command(entry))
]


@pytest.mark.parametrize(("name", "command"), ALL_COMMANDS, ids=[name for name, _ in ALL_COMMANDS])
def test_every_command_helps_with_examples(
    name: str, command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: stacklens {name}" in shown
    assert "Examples:" in shown
    assert shown.count(f"stacklens {name}") >= 2, "an example shows the command itself"
    options = [part for part in command.params if isinstance(part, click.Option)]
    assert all(option.help or option.hidden for option in options)


def test_the_overview_names_every_command_and_imports_none() -> None:
    script = (
        "import sys; from analytics_service.entrypoints.cli.main import run; run(['--help']);"
        "heavy = {'kafka', 'aiokafka', 'faust', 'psycopg2', 'numpy', 'flask'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=CHECKOUT / "python-services",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, entry in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert entry.summary in done.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("stacklens ")


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["topics", "no-such"], ["replay"], ["generate", "--rate", "0"], ["--x"]],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_a_wrong_setting_is_one_message_and_status_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_TOPIC_PARTITIONS", "many")
    monkeypatch.setenv("DB_PORT", "0")
    assert run(["topics", "list"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("stacklens: ")
    assert "KAFKA_TOPIC_PARTITIONS" in told
    assert "DB_PORT" in told
    assert "Traceback" not in told


def test_a_missing_file_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "/no/such/file"]) == 1
    assert capsys.readouterr().err == "stacklens: /no/such/file: No such file or directory\n"


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigurationError(["DB_PORT: no"]), 2, "DB_PORT: no"),
        (TopicError("no broker"), 1, "no broker"),
        (KafkaTimeoutError("slow"), 1, "Kafka: KafkaTimeoutError: slow"),
        (AiokafkaError("gone"), 1, "Kafka: "),
        (psycopg2.OperationalError("refused\n"), 1, "database: refused"),
        (psycopg2.OperationalError(), 1, "database: OperationalError"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x.json"),
            1,
            "x.json: Permission denied",
        ),
        (OSError("just words"), 1, "just words"),
    ],
)
def test_known_errors_become_a_message(error: Exception, status: int, told: str) -> None:
    explained = explain(error)
    assert explained is not None
    assert explained.exit_code == status
    assert told in explained.message


def test_defects_are_not_explained_away() -> None:
    assert explain(ValueError("a defect")) is None
    assert explain(AssertionError()) is None


def failing(error: BaseException) -> click.Command:
    """A command that raises."""

    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (CommandFailed("could not"), 1),
        (click.UsageError("wrong"), 2),
        (TopicError("no broker"), 1),
    ],
)
def test_exit_statuses(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(main, "load_command", lambda _entry: failing(error))
    assert run(["topics"]) == status
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert told.strip()


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "load_command", lambda _entry: failing(ValueError("a defect")))
    with pytest.raises(ValueError, match="a defect"):
        run(["topics"])


def test_an_entry_that_is_no_command_is_a_defect() -> None:
    with pytest.raises(TypeError, match="is not a click command"):
        load_command(Entry("analytics_service.entrypoints.cli.main:COMMANDS", ""))


def test_a_closed_pipe_ends_the_program_quietly() -> None:
    with subprocess.Popen(
        [*PROGRAM, "generate", "--count", "200000", "--to-stdout"],
        cwd=CHECKOUT / "python-services",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 1
