"""One run: services in and out of trouble, a plan of faults, quiet, and the verdict."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.alerts.gather import ALL_DONE, gather, left_to_do
from tests.faults.alerts.inject import Done, carry_out
from tests.faults.alerts.judge import figures, judge
from tests.faults.alerts.people import People
from tests.faults.alerts.plan import Fault
from tests.faults.alerts.scene import RULES, Scene, open_scene, start_all, unforeseen
from tests.faults.alerts.stream import Stream
from tests.faults.alerts.town import Town
from tests.faults.alerts.trouble import make_trouble
from tests.faults.alerts.watch import Watch
from tests.faults.arena import Arena, Say
from tests.waiting import wait_until

SERVICES = tuple(f"service-{n}" for n in range(6))
# Nobody takes on or silences anything of these.
LEFT_ALONE = 2
QUIET_S = 240.0


@dataclass
class Outcome:
    """What came of a run; it is good when there are neither differences nor problems."""

    seed: int
    seconds: float
    faults: list[dict[str, Any]]
    figures: dict[str, int]
    differences: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing is as it should not be."""
        return not self.differences and not self.problems

    def document(self) -> dict[str, Any]:
        """As JSON wants it."""
        return {"good": self.good, **asdict(self)}


def run_plan(arena: Arena, seed: int, plan: Sequence[Fault], seconds: float, say: Say) -> Outcome:
    """Carry out `plan` within `seconds` seconds and judge what came of it.

    The processes' logs are kept, and their place told, when it came to no good end.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"stacklens-alert-faults-{seed}-"))
    began = time.monotonic()
    arena.broker.ended_by_itself = arena.postgres.ended_by_itself = 0
    with contextlib.ExitStack() as closing:
        scene = closing.enter_context(open_scene(arena, directory, say))
        start_all(scene)
        make_trouble(seed, scene.web, scene.smtp)
        watch = closing.enter_context(Watch(scene.database))
        town = Town(seed, SERVICES, len(RULES), watch)
        stream = closing.enter_context(
            Stream(
                arena.stack.kafka_bootstrap_servers,
                scene.topics.input,
                SERVICES,
                town.switch,
                town.sent,
            )
        )
        people = People(seed, scene.database, watch, SERVICES[LEFT_ALONE:], scene.env, directory)
        with people:
            log = carry_out(scene, plan, seconds, stream.check, say)
        town.finish()
        problems = _wait_quiet(scene, town, stream, say)
        records = gather(scene, watch, RULES, town.outbreaks)
        counted = figures(records) | {
            "events": stream.events,
            "taken on": people.acknowledged,
            "silences": people.silenced,
            "faults": len(log),
            "faults that came to nothing": sum(not done.effective for done in log),
        }
        problems += _ends(scene)
    outcome = Outcome(
        seed, round(time.monotonic() - began, 1), [_told(done) for done in log], counted,
        list(judge(records)), problems,
    )  # fmt: skip
    if outcome.good:
        shutil.rmtree(directory)
    else:
        say(f"the processes' logs are in {directory}")
    return outcome


def _wait_quiet(scene: Scene, town: Town, stream: Stream, say: Say) -> list[str]:
    scene.arena.broker.wait_up()
    scene.arena.postgres.wait_up()
    say("no more faults: what is open comes to its end and is told")
    try:
        wait_until(lambda: town.is_quiet, QUIET_S, "every service is well")
        stream.check()
        wait_until(
            lambda: left_to_do(scene) == ALL_DONE,
            QUIET_S,
            "alerts open, messages to publish, transitions to hear of, episodes to tell: none",
        )
    except AssertionError as error:
        return [f"{error}; left to do: {left_to_do(scene)}"]
    return []


def _ends(scene: Scene) -> list[str]:
    """SIGTERM to everybody; what nobody asked for is a problem."""
    for crew in (scene.notifiers, scene.workers):
        crew.remove_all()
    counts = Counter(scene.workers.problems + scene.notifiers.problems + unforeseen(scene))
    if scene.arena.broker.ended_by_itself or scene.arena.postgres.ended_by_itself:
        counts["a server ended by itself"] += 1
    return list(counts)


def _told(done: Done) -> dict[str, Any]:
    return {
        "kind": str(done.fault.kind),
        "at_s": round(done.began_s, 2),
        "until_s": round(done.ended_s, 2),
        "outcome": done.outcome,
    }
