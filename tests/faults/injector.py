"""Does what the plan says, each fault in a thread of its own, and keeps the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg2

from tests.faults import faults_database, faults_processes
from tests.faults.plan import Fault, Kind
from tests.faults.scene import CameToNothing, Scene

# Topics deleted and created anew, and offsets lost to retention, will join here: they need a reckoning of their own.
FUNCTIONS: Mapping[Kind, Callable[[Scene, Fault], str]] = {
    Kind.KILL_WORKER: faults_processes.kill_worker,
    Kind.KILL_BROKER: faults_processes.kill_broker,
    Kind.KILL_DATABASE: faults_processes.kill_database,
    Kind.FREEZE_WORKER: faults_processes.freeze_worker,
    Kind.CUT_BROKER: faults_processes.cut(lambda scene: scene.broker_proxy, "broker"),
    Kind.CUT_DATABASE: faults_processes.cut(lambda scene: scene.database_proxy, "database"),
    Kind.STALL_BROKER: faults_processes.stall(lambda scene: scene.broker_proxy, "broker"),
    Kind.STALL_DATABASE: faults_processes.stall(lambda scene: scene.database_proxy, "database"),
    Kind.FILL_DISK: faults_processes.fill_disk,
    Kind.DEADLOCK: faults_database.deadlock,
    Kind.LOCK_TIMEOUT: faults_database.lock_timeout,
    Kind.STATEMENT_TIMEOUT: faults_database.statement_timeout,
    Kind.TERMINATE_SESSIONS: faults_database.terminate_sessions,
    Kind.ADD_WORKER: faults_processes.add_worker,
    Kind.REMOVE_WORKER: faults_processes.remove_worker,
}
# What a fault may need beyond its own duration: servers start, workers stop.
ENDING_S = 120.0


@dataclass
class Done:
    """What became of a fault; times in seconds since the run's beginning."""

    fault: Fault
    began_s: float
    ended_s: float = 0.0
    outcome: str = ""
    effective: bool = False
    error: BaseException | None = None


class Injector:
    """Carries out a plan on a scene."""

    def __init__(self, scene: Scene, say: Callable[[str], None]) -> None:
        self.done: list[Done] = []
        self._scene = scene
        self._say = say
        self._threads: list[threading.Thread] = []
        self.began = time.monotonic()

    def run(self, plan: Sequence[Fault]) -> None:
        """Begin each fault at its time; return when all are over. Raises what a fault's own code raised."""
        self.began = time.monotonic()
        try:
            for fault in plan:
                self._scene.last(max(0.0, fault.at_s - self._now()))
                self._scene.producer.check()
                done = Done(fault, self._now())
                self.done.append(done)
                thread = threading.Thread(
                    target=self._one, args=(done,), name=f"fault {fault.kind}"
                )
                self._threads.append(thread)
                thread.start()
        except BaseException:
            self._scene.stopping.set()
            raise
        finally:
            for thread in self._threads:
                thread.join(ENDING_S)
        unfinished = [thread.name for thread in self._threads if thread.is_alive()]
        assert not unfinished, f"not over after {ENDING_S:.0f} s: {unfinished}"
        for done in self.done:
            if done.error is not None:
                raise done.error

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _one(self, done: Done) -> None:
        fault = done.fault
        try:
            done.outcome = FUNCTIONS[fault.kind](self._scene, fault)
            done.effective = True
        except CameToNothing as reason:
            done.outcome = f"came to nothing: {reason}"
        except psycopg2.Error as error:  # the database was away, which is another fault's doing
            done.outcome = f"broken off: {' '.join(str(error).split())[:120]}"
        except BaseException as error:  # noqa: BLE001  # raised by run()
            done.error = error
            done.outcome = f"FAILED: {error!r}"
            self._scene.stopping.set()
        done.ended_s = self._now()
        self._say(f"{done.began_s:6.1f}..{done.ended_s:5.1f} s  {fault.kind:18} {done.outcome}")
