"""One run: a stream, a plan of faults, quiet, and the reckoning."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.databases import Database
from tests.faults.arena import Arena, Run, Say, open_run
from tests.faults.ends import topic_ends
from tests.faults.injector import Done, Injector
from tests.faults.judge import reckon
from tests.faults.plan import Fault
from tests.faults.progress import Recovery
from tests.waiting import wait_until

BEGIN_S = 120.0
QUIET_S = 180.0
# What is promised, by what is measured.
PROMISED_S = {
    "kill -9 of a worker": 15.0,
    "the broker back": 10.0,
    "the database back": 10.0,
}
# A fault that ended so long before another one began may still be felt.
FELT_S = 20.0


@dataclass
class Measured:
    """A recovery; `disturbed`: another fault was under way or just over, so the promise does not hold for it."""

    what: str
    seconds: float
    disturbed: bool

    @property
    def late(self) -> bool:
        """Above the promise, and nothing else was to blame."""
        return not self.disturbed and self.seconds > PROMISED_S.get(self.what, float("inf"))


@dataclass
class Outcome:
    """What came of a run; it is good when there are neither differences nor problems."""

    seed: int
    seconds: float
    faults: list[dict[str, Any]]
    figures: dict[str, int]
    marks: dict[str, int]
    recoveries: list[Measured]
    differences: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice, nobody ended who should not."""
        return not self.differences and not self.problems

    def document(self) -> dict[str, Any]:
        """As JSON wants it."""
        return {"good": self.good, **asdict(self)}


def run_plan(arena: Arena, seed: int, plan: Sequence[Fault], rate: int, say: Say) -> Outcome:
    """Carry out `plan` under a stream of `rate` messages a second and judge what came of it.

    The workers' logs are kept, and their place told, when it came to no good end.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"stacklens-faults-{seed}-"))
    began = time.monotonic()
    with open_run(arena, seed, rate, directory, say) as run:
        wait_until(lambda: run.scene.progress.settled > 0, BEGIN_S, "the first messages are stored")
        injector = Injector(run.scene, say)
        injector.run(plan)
        outcome = _conclude(run, injector, seed, began, say)
    if outcome.good:
        shutil.rmtree(directory)
    else:
        say(f"the workers' logs are in {directory}")
    return outcome


def _conclude(run: Run, injector: Injector, seed: int, began: float, say: Say) -> Outcome:
    scene = run.scene
    scene.broker.wait_up()
    scene.postgres.wait_up()
    scene.producer.stop()
    problems = scene.workers.problems
    say(f"{scene.producer.sent} messages sent, the last ones are being stored")
    try:
        wait_until(lambda: _quiet(run), QUIET_S, "everything is stored and copied")
    except AssertionError as error:
        problems.append(str(error))
    scene.workers.remove_all()
    reckoning = reckon(scene.database, run.topics, scene.producer.acknowledged)
    figures = reckoning.figures | {
        "sent": scene.producer.sent,
        "given up by the producer": scene.producer.given_up,
        "faults": len(injector.done),
        "faults that came to nothing": sum(not done.effective for done in injector.done),
        "workers in all": len(scene.workers.all),
        "ended by the watchdog (70)": sum(
            worker.process.exit_code == 70 for worker in scene.workers.all
        ),
        "database ended by itself": scene.postgres.ended_by_itself,
        "broker ended by itself": scene.broker.ended_by_itself,
    }
    return Outcome(
        seed,
        round(time.monotonic() - began, 1),
        [_told(done) for done in injector.done],
        figures,
        scene.workers.marks(),
        [_measured(recovery, injector) for recovery in scene.progress.recoveries],
        reckoning.differences,
        problems,
    )


def _quiet(run: Run) -> bool:
    """Nothing is left to store, and no copy to publish."""
    database: Database = run.scene.database
    ends = run.scene.producer.ends
    offsets = run.scene.progress.offsets
    if not ends or any(offsets.get(partition, 0) < end for partition, end in ends.items()):
        return False
    # Messages that were given up may lie behind the last acknowledged one: Kafka knows the true end.
    true_ends = topic_ends(run.topics.bootstrap_servers, run.topics.input)
    if any(offsets.get(partition, 0) < end for partition, end in true_ends.items()):
        return False
    pending = "SELECT count(*) FROM analytics_dead_letters WHERE topic_copy = 'pending'"
    return database.rows(pending) == [(0,)]


def _told(done: Done) -> dict[str, Any]:
    return {
        "kind": str(done.fault.kind),
        "at_s": round(done.began_s, 2),
        "until_s": round(done.ended_s, 2),
        "outcome": done.outcome,
    }


def _measured(recovery: Recovery, injector: Injector) -> Measured:
    since = recovery.since - injector.began
    seconds = float("inf") if recovery.seconds is None else recovery.seconds
    # Its own fault is under way or just over as well: more than one means company.
    others = [
        done
        for done in injector.done
        if done.began_s < since + seconds and done.ended_s > since - FELT_S
    ]
    return Measured(recovery.what, round(seconds, 2), len(others) > 1)
