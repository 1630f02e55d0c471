"""The counter that forked workers share."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection

from dashboard_api.counters import ServerState, SharedCounter

FORK = multiprocessing.get_context("fork")


def _work(counter: SharedCounter, slot: int, threads: int, each: int) -> None:
    counter.bind(slot)

    def count() -> None:
        for _ in range(each):
            counter.increment()

    running = [threading.Thread(target=count) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def test_workers_count_together() -> None:
    counter = SharedCounter()
    workers = [
        FORK.Process(target=_work, args=(counter, counter.reserve(), 4, 500)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert counter.total() == 3 * 4 * 500


def _work_until_killed(counter: SharedCounter, slot: int, ready: Connection) -> None:
    counter.bind(slot)
    for _ in range(100):
        counter.increment()
    ready.send("counted")
    signal.pause()


def test_a_killed_worker_loses_nothing_and_its_slot_is_used_again() -> None:
    counter = SharedCounter(slots=2)  # one for the parent, one for a worker
    for round_ in (1, 2, 3):
        slot = counter.reserve()
        here, there = FORK.Pipe()
        worker = FORK.Process(target=_work_until_killed, args=(counter, slot, there))
        worker.start()
        assert here.recv() == "counted"
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        counter.release(slot)
        assert counter.total() == 100 * round_


def test_without_forks_the_only_process_counts() -> None:
    state = ServerState()
    state.requests.increment()
    assert (state.requests.total(), state.workers) == (1, 1)
    assert state.uptime_seconds() >= 0
