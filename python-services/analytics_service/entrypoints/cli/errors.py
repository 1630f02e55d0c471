"""Which errors are the operator's to mend, and how they are told in one message."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click

FAILED = 1
WRONG_USAGE = 2


class CommandFailed(click.ClickException):
    """A command could not do what was asked; the message says why. Exit status 1."""

    exit_code = FAILED


@dataclass(frozen=True, slots=True)
class Explained:
    """What to tell and which status to exit with."""

    message: str
    exit_code: int


# (module, class, what it is about, exit status). Looked up among the modules already imported: an
# error of a library can only be raised by a process that imported it, and the overview stays fast.
_KNOWN: tuple[tuple[str, str, str, int], ...] = (
    ("analytics_service.config", "ConfigurationError", "", WRONG_USAGE),
    ("analytics_service.domain.rule_files", "RuleFileError", "", WRONG_USAGE),
    ("analytics_service.domain.guardrails", "GuardrailFileError", "", WRONG_USAGE),
    ("analytics_service.adapters.kafka.topics", "TopicError", "", FAILED),
    ("analytics_service.adapters.kafka.producer", "DeliveryError", "", FAILED),
    ("analytics_service.adapters.timescale.errors", "MigrationError", "", FAILED),
    ("analytics_service.adapters.timescale.errors", "BackupError", "", FAILED),
    ("analytics_service.adapters.timescale.errors", "PoolError", "", FAILED),
    ("kafka.errors", "KafkaError", "Kafka: ", FAILED),
    ("aiokafka.errors", "KafkaError", "Kafka: ", FAILED),
    ("psycopg2", "Error", "database: ", FAILED),
)


def explain(error: BaseException) -> Explained | None:
    """How to tell `error` to an operator; None when it is a defect that deserves its traceback."""
    for module_name, class_name, about, exit_code in _KNOWN:
        known = getattr(sys.modules.get(module_name), class_name, None)
        if isinstance(known, type) and isinstance(error, known):
            return Explained(about + _text_of(error), exit_code)
    if isinstance(error, OSError):
        return Explained(_text_of_os_error(error), FAILED)
    return None


def _text_of(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def _text_of_os_error(error: OSError) -> str:
    reason = error.strerror or _text_of(error)
    return f"{error.filename}: {reason}" if error.filename else reason
