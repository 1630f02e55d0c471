"""Each function does one thing that goes wrong, lasts as long as it does, and tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tests.faults.alerts.plan import Fault, Kind
from tests.faults.alerts.scene import EVALUATOR, NOTIFIER, Scene
from tests.faults.proxy import Proxy
from tests.faults.scene import CameToNothing
from tests.faults.workers import Workers


def kill_leader(scene: Scene, fault: Fault) -> str:
    """Kill -9 the worker that evaluates; another one starts after a while."""
    return _kill(scene, scene.workers, scene.holder(EVALUATOR), fault)


def kill_notifier(scene: Scene, fault: Fault) -> str:
    """Kill -9 a notifier, the one that sends two times in three."""
    pid = scene.holder(NOTIFIER) if fault.target % 3 else None
    with scene.spell("a notifier killed"):
        return _kill(scene, scene.notifiers, pid, fault)


def freeze_leader(scene: Scene, fault: Fault) -> str:
    """SIGSTOP the worker that evaluates past its lease, then let it wake as if nothing had happened."""
    return _freeze(scene, scene.workers, scene.holder(EVALUATOR), fault)


def freeze_notifier(scene: Scene, fault: Fault) -> str:
    """SIGSTOP the notifier that sends past its lease, then let it wake."""
    with scene.spell("a notifier frozen"):
        return _freeze(scene, scene.notifiers, scene.holder(NOTIFIER), fault)


def kill_broker(scene: Scene, fault: Fault) -> str:
    """Kill -9 the broker, start it again."""
    began = time.monotonic()
    back = scene.arena.broker.kill(fault.duration_s)
    return f"broker killed, answered again after {back - began:.1f} s"


def kill_database(scene: Scene, fault: Fault) -> str:
    """Kill -9 the database server, start it again."""
    began = time.monotonic()
    with scene.spell("the database killed"):
        back = scene.arena.postgres.kill(fault.duration_s)
    return f"database killed, answered again after {back - began:.1f} s"


def cut_broker(scene: Scene, fault: Fault) -> str:
    """Every connection to the broker ends, and for a while none is accepted."""
    return _cut(scene, scene.arena.broker_proxy, fault, "broker")


def cut_database(scene: Scene, fault: Fault) -> str:
    """Every connection to the database ends, and for a while none is accepted."""
    with scene.spell("the database cut off"):
        return _cut(scene, scene.arena.database_proxy, fault, "database")


FUNCTIONS: Mapping[Kind, Callable[[Scene, Fault], str]] = {
    Kind.KILL_LEADER: kill_leader,
    Kind.KILL_NOTIFIER: kill_notifier,
    Kind.KILL_BROKER: kill_broker,
    Kind.KILL_DATABASE: kill_database,
    Kind.FREEZE_LEADER: freeze_leader,
    Kind.FREEZE_NOTIFIER: freeze_notifier,
    Kind.CUT_BROKER: cut_broker,
    Kind.CUT_DATABASE: cut_database,
}


def _kill(scene: Scene, crew: Workers, pid: int | None, fault: Fault) -> str:
    with crew.borrowed(fault.target, pid=pid) as one:
        if one is None:
            raise CameToNothing("nobody was free to be killed")
        crew.kill(one)
        scene.last(fault.duration_s)
        return f"{one.name} killed, {crew.start().name} started instead"


def _freeze(scene: Scene, crew: Workers, pid: int | None, fault: Fault) -> str:
    with crew.borrowed(fault.target, pid=pid) as one:
        if one is None:
            raise CameToNothing("nobody was free to be frozen")
        one.process.freeze()
        try:
            scene.last(fault.duration_s)
        finally:
            one.process.thaw()
        return f"{one.name} frozen, and awake again"


def _cut(scene: Scene, proxy: Proxy, fault: Fault, what: str) -> str:
    proxy.refuse()
    try:
        count = proxy.cut(reset=fault.target % 2 == 0)
        scene.last(fault.duration_s)
    finally:
        proxy.accept()
    return f"{count} connections to the {what} cut"
