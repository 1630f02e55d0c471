"""Everything that is left of a run, or of one service in it, as records; and whether all of it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import psycopg2

from tests.faults.alerts.read_tables import (
    read_alerts,
    read_deliveries,
    read_history,
    read_silences,
    read_topic,
)
from tests.faults.alerts.read_told import read_tellings
from tests.faults.alerts.records import Records, Rule
from tests.faults.alerts.scene import Scene
from tests.faults.alerts.timeline import Outbreak
from tests.faults.alerts.watch import Watch

ALL_DONE = (0, 0, 0, 0)
_LEFT_TO_DO = """
    SELECT
        (SELECT count(*) FROM analytics_alerts WHERE status <> 'resolved'),
        (SELECT count(*) FROM alert_outbox WHERE sent_at IS NULL),
        (SELECT count(*) FROM analytics_alert_history AS trail WHERE NOT EXISTS (
            SELECT 1 FROM notified_episodes AS known
            WHERE known.episode_id = trail.episode_id AND known.sequence >= trail.sequence
        )),
        (SELECT count(*) FROM notified_episodes WHERE settled_at IS NULL)
"""


def left_to_do(scene: Scene) -> tuple[int, ...] | None:
    """Alerts open, messages unpublished, transitions not heard of, episodes to tell; None: nobody knows."""
    try:
        return tuple(scene.database.rows(_LEFT_TO_DO)[0])
    except psycopg2.Error:
        return None


def gather(
    scene: Scene, watch: Watch, rules: Sequence[Rule], outbreaks: Sequence[Outbreak]
) -> Records:
    """Read it all."""
    tellings, unreadable = read_tellings(scene.web, scene.smtp)
    return Records(
        rules=rules,
        alerts=read_alerts(scene.database),
        history=read_history(scene.database),
        topic=read_topic(scene.arena.stack.kafka_bootstrap_servers, scene.topics.output),
        deliveries=read_deliveries(scene.database),
        tellings=tellings,
        silences=read_silences(scene.database),
        outbreaks=outbreaks,
        seen=watch.seen,
        spells=scene.spells,
        unreadable=unreadable,
    )


def of_service(records: Records, service: str) -> Records:
    """Only what is about one service. What is told of alerts that there are not stays with it."""
    others = {alert.alert_id for alert in records.alerts if alert.service != service}
    alerts = [alert for alert in records.alerts if alert.service == service]
    episodes = {alert.episode_id for alert in alerts}
    return replace(
        records,
        alerts=alerts,
        history=[step for step in records.history if step.alert_id not in others],
        topic=[step for step in records.topic if step.alert_id not in others],
        deliveries=[row for row in records.deliveries if row.episode_id in episodes],
        tellings=[telling for telling in records.tellings if telling.alert_id not in others],
        outbreaks=[outbreak for outbreak in records.outbreaks if outbreak.service == service],
        seen=[look for look in records.seen if look.service == service],
    )
