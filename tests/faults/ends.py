"""Where a topic ends."""

from __future__ import annotations

import contextlib

from kafka import KafkaConsumer, TopicPartition


def topic_ends(servers: str, topic: str) -> dict[int, int]:
    """The offset after the last message of each partition."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    with contextlib.closing(consumer):
        partitions = [
            TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()
        ]
        ends = consumer.end_offsets(partitions)
        return {partition.partition: end for partition, end in ends.items()}
