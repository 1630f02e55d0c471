"""People while it goes on: they take alerts on, and silence services, at seeded moments."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg2

from analytics_service.adapters.timescale.alert_hands import NotOpen, act
from tests.databases import Database
from tests.faults.alerts.watch import Watch
from tests.integration.worker_process import STACKLENS

EVERY_S = (2.0, 6.0)
COMMAND_S = 60.0
_SILENCE = """
    INSERT INTO alert_silences (service, ends_at, author, comment)
    VALUES (%s, now() + make_interval(secs => %s), 'bert', 'we know')
"""


class People:
    """A thread; `acknowledged` and `silenced` count what they did."""

    def __init__(
        self,
        seed: int,
        database: Database,
        watch: Watch,
        services: Sequence[str],
        env: Mapping[str, str],
        directory: Path,
    ) -> None:
        self.acknowledged = self.silenced = 0
        self._rng = random.Random(f"people {seed}")
        self._database, self._watch = database, watch
        self._services, self._env, self._directory = services, env, directory
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="people")

    def __enter__(self) -> People:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._rng.uniform(*EVERY_S)):
            try:
                self._do_something()
            except (psycopg2.Error, NotOpen):
                continue  # the database is away, or somebody was quicker: people try again later

    def _do_something(self) -> None:
        draw = self._rng.random()
        if draw < 0.3:
            service, seconds = self._rng.choice(self._services), self._rng.uniform(5, 20)
            self._database.execute(_SILENCE, service, seconds)
            self.silenced += 1
            return
        firing = self._watch.firing()
        if not firing:
            return
        alert_id = self._rng.choice(firing)
        if draw < 0.5:
            self.acknowledged += self._by_command(alert_id)
            return
        with contextlib.closing(self._database.connect()) as conn:
            conn.autocommit = False
            act(conn, alert_id, "acknowledge", "anna", "mine")
        self.acknowledged += 1

    def _by_command(self, alert_id: int) -> int:
        done = subprocess.run(
            [STACKLENS, "alerts", "ack", str(alert_id), "--by", "anna", "--comment", "mine"],
            env={**os.environ, **self._env},
            cwd=self._directory,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
        return int(done.returncode == 0)
