"""Carries out a plan, each fault in a thread of its own, and keeps the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg2

from tests.faults.alerts.faults import FUNCTIONS
from tests.faults.alerts.plan import Fault
from tests.faults.alerts.scene import Scene
from tests.faults.arena import Say
from tests.faults.scene import CameToNothing

ENDING_S = 120.0


@dataclass
class Done:
    """What became of a fault; seconds since the beginning."""

    fault: Fault
    began_s: float
    ended_s: float = 0.0
    outcome: str = ""
    effective: bool = False
    error: BaseException | None = None


def carry_out(
    scene: Scene, plan: Sequence[Fault], until_s: float, check: Callable[[], None], say: Say
) -> list[Done]:
    """Begin each fault at its time; return when all are over and `until_s` has passed.

    Raises what a fault's own code raised, and what `check` does, which is called in between.
    """
    began, log, threads = time.monotonic(), list[Done](), list[threading.Thread]()

    def wait(at_s: float) -> None:
        while (left := at_s - (time.monotonic() - began)) > 0 and not scene.stopping.is_set():
            check()
            scene.last(min(left, 1.0))

    try:
        for fault in plan:
            wait(fault.at_s)
            done = Done(fault, time.monotonic() - began)
            log.append(done)
            threads.append(threading.Thread(target=_one, args=(scene, done, began, say)))
            threads[-1].start()
        wait(until_s)
    except BaseException:
        scene.stopping.set()
        raise
    finally:
        for thread in threads:
            thread.join(ENDING_S)
    assert not any(thread.is_alive() for thread in threads), "a fault does not come to its end"
    for done in log:
        if done.error is not None:
            raise done.error
    return log


def _one(scene: Scene, done: Done, began: float, say: Say) -> None:
    try:
        done.outcome = FUNCTIONS[done.fault.kind](scene, done.fault)
        done.effective = True
    except CameToNothing as reason:
        done.outcome = f"came to nothing: {reason}"
    except psycopg2.Error as error:  # the database was away, which is another fault's doing
        done.outcome = f"came to nothing: {' '.join(str(error).split())[:100]}"
    except BaseException as error:  # noqa: BLE001  # raised by carry_out
        done.error, done.outcome = error, f"FAILED: {error!r}"
        scene.stopping.set()
    done.ended_s = time.monotonic() - began
    say(f"{done.began_s:6.1f}..{done.ended_s:5.1f} s  {done.fault.kind:16} {done.outcome}")
