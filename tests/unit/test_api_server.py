"""How gunicorn is set up, and its own refusals."""

from __future__ import annotations

import json
import multiprocessing
import socket
from types import SimpleNamespace

import pytest
from flask import Flask
from gunicorn.http.errors import ForbiddenProxyRequest, InvalidRequestLine, LimitRequestHeaders

from analytics_service.config import load_settings
from dashboard_api.server import DashboardServer, default_workers
from dashboard_api.server_worker import DashboardWorker, refusal


@pytest.mark.parametrize(("host", "bind"), [("127.0.0.1", "127.0.0.1:8005"), ("::1", "[::1]:8005")])
def test_the_settings_of_the_server(host: str, bind: str) -> None:
    settings = load_settings({"APP_ENV": "test", "API_HOST": host}, env_file=None)
    server = DashboardServer(settings, workers=3, threads=5)
    assert server.cfg.bind == [bind]
    assert (server.cfg.workers, server.cfg.threads) == (3, 5)
    assert server.cfg.control_socket_disable
    app = server.wsgi()
    assert isinstance(app, Flask)
    assert app.extensions["stacklens"].state.workers == 3


def test_forked_workers_count_each_in_a_place_of_its_own() -> None:
    settings = load_settings({"APP_ENV": "test"}, env_file=None)
    server = DashboardServer(settings, workers=2, threads=1)
    counter = server.wsgi().extensions["stacklens"].state.requests
    workers = [SimpleNamespace(), SimpleNamespace()]
    for worker in workers:
        server.cfg.pre_fork(None, worker)

    def work(worker: SimpleNamespace) -> None:
        server.cfg.post_fork(None, worker)
        for _ in range(50_000):
            counter.increment()

    fork = multiprocessing.get_context("fork")
    running = [fork.Process(target=work, args=(worker,)) for worker in workers]
    for process in running:
        process.start()
    for process in running:
        process.join()
    for worker in workers:
        server.cfg.child_exit(None, worker)
    assert counter.total() == 100_000


@pytest.mark.parametrize(("cores", "workers"), [(None, 3), (1, 3), (2, 4), (64, 4)])
def test_two_workers_a_core_and_one_more_at_most_four(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, workers: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert default_workers() == workers


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequestLine("x"), 400),
        (LimitRequestHeaders("x"), 431),
        (ForbiddenProxyRequest("x"), 403),
        (RuntimeError("a secret"), 500),
    ],
)
def test_refusals_have_the_shape_of_other_errors(error: Exception, status: int) -> None:
    here, there = socket.socketpair()
    with here, there:
        DashboardWorker.handle_error(
            object.__new__(DashboardWorker), None, there, ("1.2.3.4", 5), error
        )
        answer = here.recv(65536)
    assert answer == refusal(status)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["status"] == status
    assert b"secret" not in answer


def test_a_client_that_went_away_is_no_error() -> None:
    here, there = socket.socketpair()
    here.close()
    with there:
        worker = object.__new__(DashboardWorker)
        for _ in range(2):
            DashboardWorker.handle_error(worker, None, there, None, InvalidRequestLine("x"))
