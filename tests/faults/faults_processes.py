"""Faults of processes and of what connects them. Each function does one, lasts as long as it does, and tells."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.plan import Fault
from tests.faults.proxy import Proxy
from tests.faults.scene import CameToNothing, Scene

READY_S = 60.0


def kill_worker(scene: Scene, fault: Fault) -> str:
    """Kill -9 one worker; another one starts after a while."""
    with scene.workers.borrowed(fault.target) as worker:
        if worker is None:
            raise CameToNothing("no worker was free")
        scene.workers.kill(worker)
        scene.watch("kill -9 of a worker", time.monotonic())
        scene.last(fault.duration_s)
        return f"{worker.name} killed, {scene.workers.start().name} started instead"


def freeze_worker(scene: Scene, fault: Fault) -> str:
    """SIGSTOP one worker past its session timeout while others run, then let it wake as a zombie."""
    with scene.workers.borrowed(fault.target) as worker:
        if worker is None:
            raise CameToNothing("no worker was free")
        worker.process.freeze()
        try:
            scene.watch("a worker frozen", time.monotonic())
            scene.last(fault.duration_s)
        finally:
            worker.process.thaw()
        return f"{worker.name} frozen, and awake again"


def add_worker(scene: Scene, fault: Fault) -> str:
    """One worker more, and after a while one less."""
    added = scene.workers.start()
    added.busy = True
    try:
        deadline = time.monotonic() + READY_S
        while not added.reading and time.monotonic() < deadline and not scene.stopping.is_set():
            scene.last(0.1)
        scene.last(fault.duration_s)
        if not added.reading:
            scene.workers.kill(added)
            return f"{added.name} had not begun to read after {READY_S:.0f} s and was killed"
        return f"{added.name} joined; {scene.workers.remove(added)}"
    finally:
        added.busy = False


def remove_worker(scene: Scene, fault: Fault) -> str:
    """SIGTERM one worker; another one starts after a while: a rolling restart."""
    with scene.workers.borrowed(fault.target, reading=True) as worker:
        if worker is None:
            raise CameToNothing("no worker was free and reading")
        told = scene.workers.remove(worker)
        scene.last(fault.duration_s)
        return f"{told}, {scene.workers.start().name} started instead"


def kill_broker(scene: Scene, fault: Fault) -> str:
    """Kill -9 the broker, start it again."""
    began = time.monotonic()
    back = scene.broker.kill(fault.duration_s)
    scene.watch("the broker back", back)
    return f"broker killed, answered again after {back - began:.1f} s"


def kill_database(scene: Scene, fault: Fault) -> str:
    """Kill -9 the database server, start it again."""
    began = time.monotonic()
    back = scene.postgres.kill(fault.duration_s)
    scene.watch("the database back", back)
    return f"database killed, answered again after {back - began:.1f} s"


def fill_disk(scene: Scene, fault: Fault) -> str:
    """No room left for the database; every other time its next log segment is due as well, which ends the server."""
    if scene.disk is None:
        raise CameToNothing("there is no small disk")
    before = scene.postgres.ended_by_itself
    taken = scene.disk.fill()
    try:
        if fault.target % 2:
            _switch_log(scene)
        scene.last(fault.duration_s)
    finally:
        scene.disk.free()
    scene.watch("room on the disk again", scene.postgres.wait_up())
    ended = scene.postgres.ended_by_itself - before
    return f"disk filled with {taken >> 20} MiB and freed; the server ended {ended} time(s)"


def cut(proxy_of: Callable[[Scene], Proxy], what: str) -> Callable[[Scene, Fault], str]:
    """Every connection ends (with a reset or politely), and for a while none is accepted."""

    def fault_function(scene: Scene, fault: Fault) -> str:
        proxy = proxy_of(scene)
        proxy.refuse()
        try:
            count = proxy.cut(reset=fault.target % 2 == 0)
            scene.last(fault.duration_s)
        finally:
            proxy.accept()
        scene.watch(f"connections to the {what} possible again", time.monotonic())
        return f"{count} connections to the {what} cut"

    return fault_function


def stall(proxy_of: Callable[[Scene], Proxy], what: str) -> Callable[[Scene, Fault], str]:
    """Nothing that is sent arrives, either way, and nobody is told."""

    def fault_function(scene: Scene, fault: Fault) -> str:
        proxy = proxy_of(scene)
        proxy.stall()
        try:
            scene.last(fault.duration_s)
        finally:
            proxy.resume()
        scene.watch(f"the way to the {what} flows again", time.monotonic())
        return f"the way to the {what} stood still"

    return fault_function


def _switch_log(scene: Scene) -> None:
    import psycopg2

    try:
        scene.database.execute("SELECT pg_switch_wal()")
    except psycopg2.Error:
        return  # the server ended over it, which is what was wanted
