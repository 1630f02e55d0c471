"""A stage for single episodes: a test makes a service ill and well again, and strikes whom it likes in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from analytics_service.adapters.timescale.alert_hands import act
from tests.faults.alerts.gather import ALL_DONE, gather, left_to_do, of_service
from tests.faults.alerts.judge import judge
from tests.faults.alerts.read_tables import read_alerts
from tests.faults.alerts.read_told import read_tellings
from tests.faults.alerts.records import Alert, Rule
from tests.faults.alerts.scene import (
    EVALUATOR,
    NOTIFIER,
    Scene,
    add_rules,
    open_scene,
    start_all,
    unforeseen,
)
from tests.faults.alerts.stream import Stream
from tests.faults.alerts.ward import Ward
from tests.faults.alerts.watch import Watch
from tests.faults.arena import Arena
from tests.faults.workers import Worker, Workers
from tests.integration.alert_topic import ALL
from tests.waiting import wait_until

SOON_S = 120.0
_CLEAR = """
    SELECT extract(epoch FROM clear_since)::double precision FROM alert_states
    WHERE service = %s AND clear_since IS NOT NULL
"""
_SENT = """
    SELECT 1 FROM alert_deliveries AS delivery
    INNER JOIN analytics_alerts AS alert ON alert.episode_id = delivery.episode_id
    WHERE alert.id = %s AND delivery.channel = %s AND delivery.kind = %s AND delivery.status = 'sent'
"""
_LAST = "SELECT id, status FROM analytics_alerts WHERE service = %s ORDER BY id DESC LIMIT 1"


@dataclass
class Stage:
    """One test's rules, on a scene that others have used and will use."""

    scene: Scene
    stream: Stream
    watch: Watch
    ward: Ward
    rules: dict[str, Rule] = field(default_factory=dict)

    def rule(
        self,
        service: str,
        duration_s: float = 0,
        keep_s: float = 2,
        channels: tuple[str, ...] = ALL,
    ) -> None:
        """A critical rule about a service of this test's own, which is well."""
        rule = Rule(f"rule of {service}", "critical", duration_s, keep_s, channels)
        self.rules[service] = rule
        add_rules(self.scene.database, (rule,), service)
        self.stream.add(service)

    def last(self, service: str) -> tuple[int, str]:
        """Number and status of its last alert; 0 when there is none, or the database is away."""
        try:
            rows = self.scene.database.rows(_LAST, service)
        except psycopg2.Error:
            return 0, "unknown"
        return (int(rows[0][0]), str(rows[0][1])) if rows else (0, "none")

    def wait(self, service: str, status: str) -> int:
        """Return the number of its last alert once that is so."""
        wait_until(lambda: self.last(service)[1] == status, SOON_S, f"{service} is {status}")
        return self.last(service)[0]

    def count(self, query: str) -> int:
        """The number that a query gives."""
        return int(self.scene.database.rows(query)[0][0])

    def alert(self, service: str) -> Alert:
        """Its last alert."""
        return [each for each in read_alerts(self.scene.database) if each.service == service][-1]

    def kinds(self, alert_id: int, channel: str) -> list[str]:
        """What a channel has taken about an alert, in order."""
        tellings, _ = read_tellings(self.scene.web, self.scene.smtp)
        mine = [t for t in tellings if (t.alert_id, t.channel) == (alert_id, channel)]
        return [telling.kind for telling in sorted(mine, key=lambda each: each.at_s)]

    def clear_since(self, service: str) -> float | None:
        """Since when its alert's rule has been clear; None: it is not, or nobody knows."""
        try:
            rows = self.scene.database.rows(_CLEAR, service)
        except psycopg2.Error:
            return None
        return float(rows[0][0]) if rows else None

    def sent(self, alert_id: int, channel: str, kind: str) -> bool:
        """Whether the notifier has written down that a channel took it."""
        try:
            return bool(self.scene.database.rows(_SENT, alert_id, channel, kind))
        except psycopg2.Error:
            return False

    def acknowledge(self, alert_id: int) -> None:
        """A person takes it on."""
        with contextlib.closing(self.scene.database.connect()) as conn:
            conn.autocommit = False
            act(conn, alert_id, "acknowledge", "anna", "mine")

    def one_notifier(self) -> Callable[[], None]:
        """End all notifiers but one; what is returned starts another one."""
        crew = self.scene.notifiers
        with crew.borrowed(0, pid=self.sender().process.pid):
            others = [n for n in crew.all if not n.ending and not n.busy]
        for other in others:
            other.process.wait_ready()  # from then on it knows how to end
            crew.remove(other)
        return lambda: _ready(crew.start())

    def leader(self) -> Worker:
        """The worker that evaluates."""
        return self._holder(self.scene.workers, EVALUATOR)

    def sender(self) -> Worker:
        """The notifier that sends."""
        return self._holder(self.scene.notifiers, NOTIFIER)

    def kill(self, one: Worker) -> None:
        """Kill -9; another one is started at once."""
        crew = self.scene.workers if one in self.scene.workers.all else self.scene.notifiers
        with self.scene.spell(f"{one.name} killed"):
            crew.kill(one)
            crew.start()

    def kill_database(self, down_s: float = 0.0) -> None:
        """Kill -9 the database server; returns when it answers again."""
        with self.scene.spell("the database killed"):
            self.scene.arena.postgres.kill(down_s)

    def verdict(self) -> list[str]:
        """What is wrong with this test's episodes, once all of them are over and told."""
        wait_until(lambda: left_to_do(self.scene) == ALL_DONE, SOON_S, "all is over and told")
        self.stream.check()
        records = gather(
            self.scene, self.watch, list(self.rules.values()), list(self.ward.outbreaks.values())
        )
        found = [*self.scene.workers.problems, *self.scene.notifiers.problems]
        found += unforeseen(self.scene)
        for service, rule in self.rules.items():
            mine = of_service(records, service)
            mine.rules = [rule]
            found += judge(mine)
        return found

    def _holder(self, crew: Workers, lease: str) -> Worker:
        def find() -> list[Worker]:
            pid = self.scene.holder(lease)
            return [w for w in crew.all if w.process.pid == pid and not w.ending]

        return wait_until(find, SOON_S, f"somebody holds {lease}")[0]


def _ready(one: Worker) -> None:
    one.process.wait_ready()


@contextlib.contextmanager
def open_ward(arena: Arena, directory: Path) -> Iterator[Stage]:
    """A scene with all its processes, and a stream in which nobody is ill yet."""
    with contextlib.ExitStack() as closing:
        scene = closing.enter_context(open_scene(arena, directory, print, ()))
        start_all(scene)
        ward = Ward()
        watch = closing.enter_context(Watch(scene.database))
        stream = Stream(
            arena.stack.kafka_bootstrap_servers, scene.topics.input, (), ward.switch, ward.sent
        )
        yield Stage(scene, closing.enter_context(stream), watch, ward)
