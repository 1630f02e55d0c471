"""Checks that tell PASS, SKIP, WARN or FAIL with a reason, and never stop the ones after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from analytics_service.entrypoints.cli.errors import explain

PASS = "PASS"
SKIP = "SKIP"
WARN = "WARN"
FAIL = "FAIL"


class CheckFailed(Exception):
    """What was looked at is not as it must be; the text says how."""


class CheckWarned(Exception):
    """What was looked at is not as it should be, but that is no failure."""


class CheckSkipped(Exception):
    """It could not be looked at, and that is nobody's fault; the text says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    check: str
    outcome: str
    detail: str


Check = tuple[str, Callable[[], str]]  # its name, and what returns a detail or raises


def run_checks(checks: Iterable[Check]) -> list[Finding]:
    """Run every check; errors of the outside world are failures, defects are raised.

    One is run before the next one is asked for: what it has found may say which ones follow.
    """
    return [_run(name, look) for name, look in checks]


def _run(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, PASS, look())
    except CheckSkipped as skipped:
        return Finding(name, SKIP, str(skipped))
    except CheckWarned as warned:
        return Finding(name, WARN, str(warned))
    except CheckFailed as failed:
        return Finding(name, FAIL, str(failed))
    except Exception as error:  # pylint: disable=broad-exception-caught  # defects are raised again
        explained = explain(error)
        if explained is None:
            raise
        return Finding(name, FAIL, explained.message)
