"""How a connection is made: parameters, session settings, and the retries at start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.errors import PoolOpenError
from analytics_service.config import Settings

Role = Literal["owner", "reader", "admin"]
ADMIN_ROLE = "stacklens_admin"

OPENING_ATTEMPTS = 5
FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 10.0
CONNECT_TIMEOUT_S = 5
TCP_USER_TIMEOUT_MS = 10_000
STATEMENT_TIMEOUT_MS = 30_000

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """Where to connect, as whom, and with which session settings (as by `SET name = value`)."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    application_name: str = "stacklens"
    session: Mapping[str, str] = field(default_factory=dict)

    def connect(self) -> Connection:
        """A new connection; a dead peer is noticed by keep-alive, with data under way in 10 s."""
        session = {
            "timezone": "UTC",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            **self.session,
        }
        return psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=self.user,
            password=self.password,
            application_name=self.application_name,
            client_encoding="UTF8",
            connect_timeout=CONNECT_TIMEOUT_S,
            keepalives=1,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=TCP_USER_TIMEOUT_MS,
            options=" ".join(f"-c {name}={_escaped(value)}" for name, value in session.items()),
        )

    def why(self, error: BaseException) -> str:
        """The error in one line, without the password."""
        text = " ".join(str(error).split()) or type(error).__name__
        return text.replace(self.password, "********") if self.password else text


def parameters(
    settings: Settings,
    role: Role = "owner",
    *,
    application_name: str = "stacklens",
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    session: Mapping[str, str] | None = None,
) -> ConnectionParameters:
    """How to connect as one of the roles; `session` adds settings such as `lock_timeout: 5s`."""
    user, password = {
        "owner": (settings.db_user, settings.db_password),
        "reader": (settings.db_reader_user, settings.reader_password),
        "admin": (ADMIN_ROLE, settings.admin_password),
    }[role]
    return ConnectionParameters(
        host=settings.db_host,
        port=settings.db_port,
        database=settings.db_name,
        user=user,
        password=password,
        application_name=application_name,
        session={"statement_timeout": str(statement_timeout_ms), **(session or {})},
    )


def with_retries(
    opening: Callable[[], T], why: Callable[[BaseException], str], sleep: Callable[[float], object]
) -> T:
    """`opening()`, tried 5 times with 2, 4, 8 and 10 s between.

    The log lines are a contract: operators search for them. Raises PoolOpenError when every
    attempt failed, and hands on one of `opening`'s own: what has been tried 5 times is not tried 25.
    """
    delay_s = FIRST_DELAY_S
    for attempt in range(1, OPENING_ATTEMPTS + 1):
        try:
            opened = opening()
        # The latter is what a connection says that has been closed before it is asked.
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if isinstance(error, PoolOpenError):
                raise
            if attempt == OPENING_ATTEMPTS:
                failure = f"Failed to initialize connection pool after {OPENING_ATTEMPTS} attempts"
                logger.error("%s: %s", failure, why(error))
                raise PoolOpenError(f"{failure}: {why(error)}") from None
            logger.warning(
                "Failed to initialize connection pool (attempt %d/%d): %s. Retrying in %.1fs...",
                attempt,
                OPENING_ATTEMPTS,
                why(error),
                delay_s,
            )
            sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)
        else:
            level = logging.INFO if attempt > 1 else logging.DEBUG
            logger.log(level, "Connection pool initialized successfully on attempt %d", attempt)
            return opened
    raise AssertionError("the last attempt returns or raises")


def _escaped(value: str) -> str:
    """A value as the server's command line takes it: spaces and backslashes escaped."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
