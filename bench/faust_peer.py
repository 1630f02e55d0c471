"""Runs the Faust app of `bench.peers.faust_tables` once and reads what it says."""

from __future__ import annotations

import json
import sys

from analytics_service.adapters.kafka.topics import open_admin
from bench.child import Child
from bench.progress import Progress
from bench.site import PARTITIONS, Site

RESULT = "faust_events"
LONGEST_S = 1200.0


def run_faust(site: Site, topic: str, count: int, group: str, progress: Progress) -> float:
    """Events a second from the first event processed to the last."""
    # Made beforehand as in production: the app trips over topics that it has only just created.
    changelogs = [f"{group}-{table}-changelog" for table in ("1min", "5min", "1hour")]
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
        if result["totals"] != [count] * 3:
            raise child.trouble(f"counted {result['totals']} of {count} events")
    return float(count / result["seconds"])
