"""nginx, Debian's real one, before replicas that come and go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from devstack.api import to_stderr
from devstack.cache import default_directory
from devstack.errors import NotHereError
from devstack.nginx import Nginx, fetch_nginx
from tests.integration.nginx_arena import API, WORKER, Answer, Arena, running
from tests.waiting import wait_until

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-API-Version": "1.0",
}
CHALLENGES = ['Basic realm="r", charset="UTF-8"', 'Bearer realm="r"']
# nginx asks for a name again after 5 s.
NOTICED_S = 15


@pytest.fixture(scope="session")
def nginx() -> Nginx:
    """Debian's nginx, downloaded when it is asked for the first time."""
    try:
        return fetch_nginx(default_directory(), to_stderr)
    except NotHereError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, made for this run, and in ca.pem who vouches for it."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(directory / "tls.key"))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(directory / "tls.crt"), append=True)
    return directory


@pytest.fixture
def arena(nginx: Nginx, certificates: Path, tmp_path: Path) -> Iterator[Arena]:
    """nginx without any replica yet."""
    with running(nginx, tmp_path, certificates) as found:
        yield found


def is_problem(answer: Answer, status: int) -> None:
    """problem+json of this status, with all headers that every answer has, each once."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]
    for name, value in {**SECURITY, "X-Frame-Options": "DENY"}.items():
        assert answer.headers.get_all(name) == [value]


def test_replicas_come_and_go(arena: Arena) -> None:
    is_problem(arena.get("/metrics"), 503)
    assert int(arena.get("/metrics").headers["Retry-After"]) > 0

    arena.add(API, "127.0.0.2")
    arena.add(API, "127.0.0.3")
    wait_until(lambda: arena.get("/").status == 200, NOTICED_S, "replicas are found")
    assert {arena.get("/").json["replica"] for _ in range(20)} == {"127.0.0.2", "127.0.0.3"}

    # One dies without the name server knowing: nobody notices.
    arena.replicas.pop("127.0.0.2").close()
    assert {arena.get("/").json["replica"] for _ in range(20)} == {"127.0.0.3"}

    # A third, and a reload in the middle of requests.
    arena.add(API, "127.0.0.4")
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(arena.get, "/") for _ in range(40)]
        arena.reload()
        assert {each.result().status for each in answers} == {200}
    wait_until(
        lambda: arena.get("/").json["replica"] == "127.0.0.4", NOTICED_S, "the new one is asked"
    )

    for name in list(arena.replicas):
        arena.replicas.pop(name).close()
    is_problem(arena.get("/"), 503)


def test_what_is_forwarded_and_what_comes_back(arena: Arena) -> None:
    replica = arena.add(API, "127.0.0.2")
    wait_until(lambda: arena.get("/").status == 200, NOTICED_S, "the replica is found")

    answer = arena.get(
        "/v1/metrics?a=%2F1", X_Forwarded_For="6.6.6.6, 198.51.100.7", Host="stack.example"
    )
    path, headers = replica.seen[-1]
    assert path == "/v1/metrics?a=%2F1"
    assert headers["Host"] == "stack.example"
    # 127.0.0.1 is the trusted proxy here; what the client told it about itself is not handed on.
    assert headers["X-Forwarded-For"] == "198.51.100.7"
    assert headers["X-Forwarded-Proto"] == "http"
    for name, value in SECURITY.items():
        assert answer.headers.get_all(name) == [value]
    assert answer.headers.get_all("X-Frame-Options") == ["SAMEORIGIN"]  # the API's own word stands
    assert "Strict-Transport-Security" not in answer.headers

    assert "Content-Encoding" not in arena.get("/big").headers
    packed = arena.get("/big", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < 500

    for status in (404, 409, 500, 503):  # what the API says is what comes
        assert arena.get(f"/status/{status}").json["replica"] == "127.0.0.2"
    slow = arena.get("/status/429")
    assert (slow.status, slow.headers["Retry-After"]) == (429, "17")
    assert arena.get("/", method="POST", body=b"x" * 200_000).status == 200
    is_problem(arena.get("/", method="POST", body=b"x" * 300_000), 413)

    secure = arena.get("/", to="tls")
    assert secure.status == 200
    assert secure.headers["Strict-Transport-Security"]
    assert replica.seen[-1][1]["X-Forwarded-Proto"] == "https"

    line = next(each for each in arena.log() if each["uri"] == "/v1/metrics?a=%2F1")
    assert (line["client"], line["status"], line["method"]) == ("198.51.100.7", 200, "GET")
    assert 0 <= line["request_time"] < 10


def test_too_many_requests_of_one_client(arena: Arena) -> None:
    arena.add(API, "127.0.0.2")
    wait_until(lambda: arena.get("/").status == 200, NOTICED_S, "the replica is found")
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: arena.get("/", X_Forwarded_For="198.51.100.1"), range(400))
        )
    took_s = time.monotonic() - began
    passed = [each for each in answers if each.status == 200]
    assert 201 <= len(passed) <= 202 + 50 * took_s
    refused = [each for each in answers if each.status != 200]
    if took_s < 3:
        assert refused
    for each in refused:
        is_problem(each, 429)
        assert each.headers["Retry-After"]
    assert arena.get("/", X_Forwarded_For="198.51.100.2").status == 200  # others are not held up


def test_failed_log_ins(arena: Arena) -> None:
    replica = arena.add(API, "127.0.0.2")
    wait_until(lambda: arena.get("/").status == 200, NOTICED_S, "the replica is found")
    # Who has no credentials yet is asked for them, however often.
    for _ in range(8):
        answer = arena.get("/private")
        is_problem(answer, 401)
        assert answer.headers.get_all("WWW-Authenticate") == CHALLENGES
    wrong = [arena.get("/", Authorization="Basic wrong") for _ in range(8)]
    assert [each.status for each in wrong] == [401] * 5 + [429] * 3
    for each in wrong:
        is_problem(each, each.status)
    assert all(each.headers["Retry-After"] for each in wrong[5:])
    assert arena.get("/", Authorization="Basic right").status == 200
    assert arena.get("/", Authorization="Basic wrong", X_Forwarded_For="198.51.100.9").status == 401
    posted = arena.get(
        "/", method="POST", body=b"{}", Authorization="Basic wrong", X_Forwarded_For="198.51.100.9"
    )
    assert posted.status == 401
    assert replica.seen[-1][1]["Content-Length"] == "2"


def test_what_a_channel_answered(arena: Arena) -> None:
    is_problem(arena.get("/alerts/test", method="POST", Authorization="Basic right"), 503)
    arena.add(API, "127.0.0.2")
    wait_until(lambda: arena.get("/").status == 200, NOTICED_S, "the replica is found")

    def test_message(path: str, client: str, password: str = "right") -> Answer:
        return arena.get(
            path,
            method="POST",
            body=b"{}",
            Authorization=f"Basic {password}",
            X_Forwarded_For=client,
        )

    for path in ("/alerts/test", "/v1/alerts/test"):
        for status in (502, 504):
            answer = test_message(f"{path}?status={status}", "198.51.100.1")
            assert (answer.status, answer.json["replica"]) == (status, "127.0.0.2")
    # Nobody may guess here what may not be guessed elsewhere.
    guesses = [test_message("/alerts/test", "198.51.100.2", "wrong") for _ in range(8)]
    assert [each.status for each in guesses] == [401] * 5 + [429] * 3
    assert guesses[0].headers.get_all("WWW-Authenticate") == CHALLENGES
    is_problem(guesses[-1], 429)
    elsewhere = arena.get("/", Authorization="Basic wrong", X_Forwarded_For="198.51.100.2")
    assert elsewhere.status == 429
    # Of all other paths a 502 is nginx's own, or as good as that.
    assert arena.get("/status/502").status == 503

    arena.replicas.pop("127.0.0.2").close()
    is_problem(test_message("/alerts/test", "198.51.100.3"), 503)


def test_the_workers_port(arena: Arena) -> None:
    is_problem(arena.get("/health", to=WORKER), 503)
    worker = arena.add(WORKER, "127.0.0.2")
    wait_until(lambda: arena.get("/health", to=WORKER).status == 200, NOTICED_S, "it is found")
    assert arena.get("/health/ready", to=WORKER).status == 200
    asked = len(worker.seen)
    for path in (
        "/metrics",
        "/metrics/",
        "/metrics?x=1",
        "//metrics",
        "/health/../metrics",
        "/%6detrics",
    ):
        is_problem(arena.get(path, to=WORKER), 403)
    for path in ("/", "/health/", "/healthz", "/health/ready/now", "/Health"):
        is_problem(arena.get(path, to=WORKER), 404)
    assert len(worker.seen) == asked, "the worker was asked for something it does not publish"
    assert arena.get("/alive", to=WORKER, X_Forwarded_For="127.0.0.1").status == 204
