"""Every Prometheus metric of worker and notifier, with its labels set up so that a zero shows.

REGISTRY is the worker's, NOTIFIER_REGISTRY the notifier's; what both have is in both.
"""

from __future__ import annotations

from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from analytics_service.domain.reasons import REASONS
from analytics_service.domain.rules import CHANNELS

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types there
REGISTRY = CollectorRegistry(auto_describe=True)

READY = Gauge(
    "stacklens_ready", "1 while broker, database and consumption are all well.", registry=REGISTRY
)
EVENTS_CONSUMED = Counter(
    "stacklens_events_consumed",
    "Messages read from the input topic whose fate is committed.",
    registry=REGISTRY,
)
EVENTS_STORED = Counter(
    "stacklens_events_stored", "Events committed to the tables.", registry=REGISTRY
)
EVENTS_DEAD_LETTERED = Counter(
    "stacklens_events_dead_lettered",
    "Messages committed as dead letters, by reason.",
    ["reason"],
    registry=REGISTRY,
)
EVENTS_BELOW_TIER = Counter(
    "stacklens_events_below_tier",
    "Events older than a tier's archived_before: not written to it.",
    ["tier"],
    registry=REGISTRY,
)
EVENTS_LOST = Counter(
    "stacklens_events_lost_to_retention",
    "Messages the broker deleted before they were read.",
    registry=REGISTRY,
)
CONSUMER_LAG = Gauge(
    "stacklens_consumer_lag",
    "Messages behind the end of the partition.",
    ["partition"],
    registry=REGISTRY,
)
VISIBLE_LATENCY = Histogram(
    "stacklens_visible_latency_seconds",
    "From the broker's time stamp of a message to its commit, oldest of a flush.",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
FLUSH_SECONDS = Histogram(
    "stacklens_flush_seconds",
    "Duration of one flush, from the first statement to the commit.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
FLUSH_ROWS = Histogram(
    "stacklens_flush_rows",
    "Raw rows of one flush.",
    buckets=(1, 10, 100, 1000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000),
    registry=REGISTRY,
)
FLUSH_FAILURES = Counter(
    "stacklens_flush_failures", "Flushes rolled back, by cause.", ["cause"], registry=REGISTRY
)
VACUUMS = Counter(
    "stacklens_vacuums",
    "Times that a chunk of a window's table was vacuumed because much of it was dead.",
    registry=REGISTRY,
)
DEAD_LETTERS_PENDING = Gauge(
    "stacklens_dead_letters_pending", "Dead letters nobody has dealt with.", registry=REGISTRY
)
DEAD_LETTERS_OLDEST = Gauge(
    "stacklens_dead_letters_oldest_seconds",
    "Age of the oldest pending dead letter.",
    registry=REGISTRY,
)
LAST_BACKUP = Gauge(
    "stacklens_last_backup_timestamp_seconds",
    "When the newest backup was finished; before the first: when the schema was made. NaN: not known yet.",
    registry=REGISTRY,
)
DISK_FREE = Gauge(
    "stacklens_disk_free_bytes",
    "What others than root may still write to the file system of the worker's root directory; NaN: not known.",
    registry=REGISTRY,
)
DISK_SIZE = Gauge(
    "stacklens_disk_size_bytes", "Size of that file system; NaN: not known.", registry=REGISTRY
)
DB_POOL_CONNECTIONS = Gauge(
    "stacklens_db_pool_connections",
    "Connections of the pool, by state.",
    ["state"],
    registry=REGISTRY,
)

BREAKER_STATE = Gauge(
    "stacklens_circuit_breaker_state",
    "Circuit breaker of a dependency: 0 closed, 1 open, 2 half open.",
    ["dependency"],
    registry=REGISTRY,
)
TOPIC_CHANGES = Counter(
    "stacklens_topic_incarnation_changes",
    "How often the input topic was found to be another one of the same name.",
    registry=REGISTRY,
)
REPLAYS = Counter(
    "stacklens_replays",
    "Replayed dead letters: stored, failed again, or ignored because they were settled before.",
    ["outcome"],
    registry=REGISTRY,
)

EVALUATION_SECONDS = Histogram(
    "stacklens_evaluation_seconds",
    "Duration of one evaluation of all alert rules.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
    registry=REGISTRY,
)
EVALUATOR_BEHIND = Gauge(
    "stacklens_evaluator_behind",
    "1 while this worker evaluates the alert rules but judges nothing, for events wait to be stored.",
    registry=REGISTRY,
)
EVALUATOR_LEADER = Gauge(
    "stacklens_evaluator_leader",
    "1 while this worker evaluates the alert rules.",
    registry=REGISTRY,
)
ALERT_RULES = Gauge("stacklens_alert_rules", "Enabled alert rules.", registry=REGISTRY)
ALERTS = Gauge(
    "stacklens_alerts", "Alerts that are not over, by state.", ["state"], registry=REGISTRY
)
ALERT_TRANSITIONS = Counter(
    "stacklens_alert_transitions",
    "Transitions of alerts that this worker has written.",
    ["to"],
    registry=REGISTRY,
)
OUTBOX_BACKLOG = Gauge(
    "stacklens_outbox_backlog",
    "Alert messages that the broker does not have yet.",
    registry=REGISTRY,
)
OUTBOX_OLDEST = Gauge(
    "stacklens_outbox_oldest_seconds", "Age of the oldest of them.", registry=REGISTRY
)

NOTIFIER_REGISTRY = CollectorRegistry(auto_describe=True)
for _shared in (READY, CONSUMER_LAG, BREAKER_STATE):
    NOTIFIER_REGISTRY.register(_shared)

NOTIFIER_LEADER = Gauge(
    "stacklens_notifier_leader",
    "1 while this notifier is the one that sends.",
    registry=NOTIFIER_REGISTRY,
)
ALERT_MESSAGES = Counter(
    "stacklens_alert_messages",
    "Alert messages: taken in, known before, rejected, or made up for from the outbox.",
    ["outcome"],
    registry=NOTIFIER_REGISTRY,
)
DELIVERIES = Counter(
    "stacklens_deliveries",
    "Alerts told to a channel, by how the attempt went; withheld: silenced, muted and the like.",
    ["channel", "result"],
    registry=NOTIFIER_REGISTRY,
)
DELIVERY_SECONDS = Histogram(
    "stacklens_delivery_seconds",
    "Duration of one attempt to send a message.",
    ["channel"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=NOTIFIER_REGISTRY,
)
DELIVERY_BACKLOG = Gauge(
    "stacklens_delivery_backlog",
    "Deliveries that were tried and are to be tried again.",
    ["channel"],
    registry=NOTIFIER_REGISTRY,
)
DELIVERY_OLDEST = Gauge(
    "stacklens_delivery_oldest_seconds",
    "Age of the oldest of them.",
    ["channel"],
    registry=NOTIFIER_REGISTRY,
)
CHANNEL_ON = Gauge(
    "stacklens_channel_on",
    "1 where a channel is configured.",
    ["channel"],
    registry=NOTIFIER_REGISTRY,
)

DELIVERY_RESULTS = ("sent", "retry", "refused", "withheld")
MESSAGE_OUTCOMES = ("taken_in", "known", "rejected", "made_up_for")
ALERT_STATES = ("pending", "active", "acknowledged")
REPLAY_OUTCOMES = ("stored", "failed", "ignored")
FLUSH_FAILURE_CAUSES = ("ownership", "database", "batch")

for _gauge in (LAST_BACKUP, DISK_FREE, DISK_SIZE):
    _gauge.set(nan)  # 0 would say something
for _reason in REASONS:
    EVENTS_DEAD_LETTERED.labels(_reason)
for _tier in ("hot", "warm", "cold"):
    EVENTS_BELOW_TIER.labels(_tier)
for _cause in FLUSH_FAILURE_CAUSES:
    FLUSH_FAILURES.labels(_cause)
for _state in ("used", "idle"):
    DB_POOL_CONNECTIONS.labels(_state)
for _outcome in REPLAY_OUTCOMES:
    REPLAYS.labels(_outcome)
for _state in ALERT_STATES:
    ALERTS.labels(_state)
for _to in (*ALERT_STATES, "resolved"):
    ALERT_TRANSITIONS.labels(_to)
for _outcome in MESSAGE_OUTCOMES:
    ALERT_MESSAGES.labels(_outcome)
for _channel in CHANNELS:
    DELIVERY_SECONDS.labels(_channel)
    DELIVERY_BACKLOG.labels(_channel)
    DELIVERY_OLDEST.labels(_channel)
    CHANNEL_ON.labels(_channel)
    for _result in DELIVERY_RESULTS:
        DELIVERIES.labels(_channel, _result)
