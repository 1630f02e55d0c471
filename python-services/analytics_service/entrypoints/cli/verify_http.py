"""What `verify` asks over HTTP: the dashboard API's endpoints, health and metrics of a worker and a notifier."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

from analytics_service.entrypoints.cli.checking import (
    Check,
    CheckFailed,
    CheckSkipped,
    CheckWarned,
)

TIMEOUT_S = 10.0
API_VERSION = "1.0"
DESCRIPTION = "/openapi.json"
# Path of an endpoint behind the password, and the members its answer must have. All others that there are, by the
# API's own description, are asked for after these.
ENDPOINTS: Mapping[str, tuple[str, ...]] = {
    "/metrics?window=1min&limit=1": ("metrics", "count"),
    "/metrics?window=5min&limit=1": ("metrics", "count"),
    "/metrics?window=1hour&limit=1": ("metrics", "count"),
    "/metrics/summary": ("metrics", "count"),
    "/health-status": ("services", "count"),
    "/performance-trend": (),
    "/top-error-services": (),
    "/slowest-services": (),
    "/high-risk-events": (),
    "/alerts?status=active&limit=1": ("alerts", "count", "status"),
    "/alert-stats": (),
    "/rules": ("rules", "count"),
    "/silences": ("silences", "count"),
    "/stats": ("requests_served",),
    "/v1/metrics?limit=1": ("metrics", "count"),
    "/v1/stats": ("requests_served",),
}
# What is asked for where a parameter must be given. There need be no service of that name.
GIVEN = {"service": "deployment-verify"}
WORKER_METRICS = (
    *("ready", "events_consumed_total", "events_stored_total", "events_dead_lettered_total"),
    *("events_below_tier_total", "events_lost_to_retention_total", "consumer_lag"),
    *("visible_latency_seconds", "flush_seconds", "flush_rows", "dead_letters_pending"),
    *("dead_letters_oldest_seconds", "db_pool_connections", "circuit_breaker_state"),
    *("outbox_backlog", "outbox_oldest_seconds", "alerts", "alert_transitions_total"),
    *("evaluation_seconds", "evaluator_leader"),
)
NOTIFIER_METRICS = (
    *("ready", "circuit_breaker_state", "deliveries_total", "delivery_backlog"),
    *("delivery_oldest_seconds", "channel_on", "notifier_leader", "alert_messages_total"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> dict[str, object]:
        """The body as a JSON object. Raises CheckFailed when it is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise CheckFailed(f"status {self.status}, but no JSON object: {self.body[:80]!r}")
        return document


def get(url: str, login: tuple[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> Answer:
    """Ask; raises OSError when there is no whole answer, or nothing for `timeout_s` seconds."""
    request = urllib.request.Request(url)
    if login is not None:
        token = base64.b64encode(":".join(login).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise OSError(f"no answer: {reason}") from error
    except http.client.HTTPException as error:
        raise OSError(f"no whole answer: {type(error).__name__}") from error


def api_checks(
    base_url: str, login: tuple[str, str] | None, require_ready: bool
) -> Iterator[Check]:
    """Checks of the dashboard API at `base_url`."""
    yield "api /health", partial(_expect_status, f"{base_url}/health", False)
    yield "api /healthz", partial(_expect_status, f"{base_url}/healthz", False)
    yield "api /readyz", partial(_expect_status, f"{base_url}/readyz", not require_ready)
    yield "api asks for a password", partial(_expect_locked, f"{base_url}/stats")
    api = _Api(base_url, login)
    for path, members in ENDPOINTS.items():
        yield f"api {path}", partial(api.members, path, members)
    yield f"api {DESCRIPTION}", api.description
    asked = {"/health", "/healthz", "/readyz", DESCRIPTION}
    asked |= {path.partition("?")[0] for path in ENDPOINTS}
    for path, methods in api.paths.items():
        if "get" in methods and "{" not in path and path not in asked:
            yield f"api {path}", partial(api.other, path, methods["get"])


def worker_checks(worker_url: str, require_ready: bool, metrics_enabled: bool) -> Iterator[Check]:
    """Checks of one analytics worker."""
    yield "worker /health", partial(_expect_status, f"{worker_url}/health", False)
    yield (
        "worker /health/ready",
        partial(_expect_status, f"{worker_url}/health/ready", not require_ready),
    )
    if metrics_enabled:
        yield "worker /metrics", partial(_expect_metrics, f"{worker_url}/metrics", WORKER_METRICS)


def notifier_checks(
    notifier_url: str, require_ready: bool, metrics_enabled: bool, is_asked_for: bool
) -> Iterator[Check]:
    """Checks of one notifier; where it was not asked for, there need be none: its absence is a warning."""

    def look(check: Callable[[], str]) -> str:
        try:
            return check()
        except OSError as error:
            if not is_asked_for:
                raise CheckWarned(f"{error} at {notifier_url}: alerts are told by nobody") from None
            raise

    checks = {
        "health": partial(_expect_status, f"{notifier_url}/health", False),
        "health/ready": partial(_expect_status, f"{notifier_url}/health/ready", not require_ready),
    }
    if metrics_enabled:
        checks["metrics"] = partial(_expect_metrics, f"{notifier_url}/metrics", NOTIFIER_METRICS)
    for name, check in checks.items():
        yield f"notifier /{name}", partial(look, check)


def _expect_status(url: str, lenient: bool) -> str:
    answer = get(url)
    document = answer.document()
    told = str(document.get("status"))
    if answer.status == 200:
        return told
    failing = document.get("failed") or document.get("failing")
    complaint = f"{answer.status} {told}" + (f": {json.dumps(failing)}" if failing else "")
    raise CheckWarned(complaint) if lenient and answer.status == 503 else CheckFailed(complaint)


def _expect_locked(url: str) -> str:
    status = get(url).status
    if status == 200:
        raise CheckWarned("200 without a password: authentication is off")
    if status != 401:
        raise CheckFailed(f"{status} without a password, 401 expected")
    return "401 without one"


@dataclass(slots=True)
class _Api:
    """What stands behind the password, asked for with one login."""

    base_url: str
    login: tuple[str, str] | None
    refused: str = ""
    paths: dict[str, dict[str, Any]] = field(default_factory=dict)

    def members(self, path: str, members: tuple[str, ...]) -> str:
        """The endpoint answers with these members."""
        document = self._answer(path).document()
        missing = [name for name in members if name not in document]
        if missing:
            raise CheckFailed(f"the answer has no {', '.join(missing)}")
        return ", ".join(
            f"{name} {document[name]}" for name in members if not _long(document[name])
        )

    def description(self) -> str:
        """The API describes itself; its paths are kept."""
        document = self._answer(DESCRIPTION).document()
        paths = document.get("paths")
        if not isinstance(paths, dict) or not paths:
            raise CheckFailed("the answer has no paths")
        self.paths = paths
        return f"openapi {document.get('openapi')}, {len(paths)} paths"

    def other(self, path: str, operation: Mapping[str, Any]) -> str:
        """An endpoint of which only its description is known: it answers, in the form that is described."""
        wanted = [each["name"] for each in operation.get("parameters", ()) if each.get("required")]
        unknown = [name for name in wanted if name not in GIVEN]
        if unknown:
            raise CheckFailed(f"verify does not know what to give as {', '.join(unknown)}")
        query = urlencode({name: GIVEN[name] for name in wanted})
        role = str(operation.get("x-role", ""))
        answer = self._answer(path + (f"?{query}" if query else ""), role)
        described = operation.get("responses", {}).get("200", {})
        if "application/json" in described.get("content", {}):
            answer.document()
        return f"{len(answer.body)} bytes"

    def _answer(self, path: str, role: str = "") -> Answer:
        """The answer 200. `role` is who may ask, where that is known."""
        # Asking again and again with a wrong password would be taken for an attack.
        if self.refused:
            raise CheckFailed(self.refused)
        answer = get(self.base_url + path, self.login)
        if answer.status == 401:
            self.refused = (
                "401: the password is wrong" if self.login else "401: give --user and a password"
            )
            raise CheckFailed(self.refused)
        if answer.status == 403 and role == "admin":
            raise CheckSkipped("only an admin may ask")
        if answer.status != 200:
            document = answer.document()
            raise CheckFailed(
                f"{answer.status} {document.get('title', '')} {document.get('detail', '')}"
            )
        version = {k.lower(): value for k, value in answer.headers.items()}.get("x-api-version")
        if version != API_VERSION:
            raise CheckFailed(f"X-API-Version is {version}, {API_VERSION} expected")
        return answer


def _long(value: object) -> bool:
    return isinstance(value, list | dict)


def _expect_metrics(url: str, wanted: Sequence[str]) -> str:
    answer = get(url)
    if answer.status != 200:
        raise CheckFailed(f"status {answer.status}")
    told = {
        line.split()[2] for line in answer.body.decode().splitlines() if line.startswith("# TYPE ")
    }
    missing = [name for name in wanted if f"stacklens_{name}" not in told]
    if missing:
        raise CheckFailed(f"missing: {', '.join('stacklens_' + name for name in missing)}")
    return f"{len(wanted)} of {len(wanted)} metrics"
