"""Runs the Faust app of `bench.peers.faust_tables` once and reads what it says."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any, NamedTuple

from analytics_service.adapters.kafka.topics import open_admin
from bench.child import Child
from bench.progress import Progress
from bench.site import PARTITIONS, Site
from bench.truth import WINDOWS

RESULT = "faust_events"
LONGEST_S = 1200.0


class FaustResult(NamedTuple):
    """Events a second from the first event processed to the last, and (window, service, start, requests, errors)."""

    rate: float
    rows: list[list[Any]]


def run_faust(site: Site, topic: str, count: int, group: str, progress: Progress) -> FaustResult:
    """One pass over the topic. Raises ChildError when not every event is in each of the three Tables."""
    # Made beforehand as in production: the app trips over topics that it has only just created.
    changelogs = [f"{group}-{table}-changelog" for table in WINDOWS]
    with open_admin(site.settings(site.stack.db_name, topic)) as admin:
        wanted = {"num_partitions": PARTITIONS, "replication_factor": 1}
        admin.create_topics(dict.fromkeys(changelogs, wanted))
        admin.wait_for_topics(changelogs)
    arguments = {
        "--group": group,
        "--broker": site.stack.kafka_bootstrap_servers,
        "--topic": topic,
        "--partitions": PARTITIONS,
        "--count": count,
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    command = [sys.executable, "-m", "bench.peers.faust_tables", *words]
    environment = site.environment(site.stack.db_name, topic, group)
    with Child("the Faust app", command, environment, site.directory, markers=[RESULT]) as child:
        _, line = child.wait_for(RESULT, LONGEST_S, lambda said: progress.tick(said or "starting"))
        result = json.loads(line[line.index("{") :])
        totals: Counter[str] = Counter()
        for window, _, _, requests, _ in result["rows"]:
            totals[window] += requests
        if totals != dict.fromkeys(WINDOWS, count):
            raise child.trouble(f"counted {dict(totals)} of {count} events")
    return FaustResult(count / result["seconds"], result["rows"])
