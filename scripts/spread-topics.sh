#!/usr/bin/env bash
# spread-topics.sh: every partition of every topic on all three brokers, Kafka's own topics too. Once, after a stack that
# has run with one broker has been started with docker-compose-production.yml; running it again changes nothing.
set -euo pipefail

run() { docker exec -i stacklens-kafka-analytics "$@"; }

# The first replica leads: in turn the first, the second and the third broker.
plan=$(run kafka-topics --bootstrap-server kafka:9092 --describe | awk -F '\t' '
    $3 ~ /^Partition: / {
        topic = $2; sub(/^Topic: /, "", topic)
        partition = $3; sub(/^Partition: /, "", partition)
        first = partition % 3
        printf "%s{\"topic\": \"%s\", \"partition\": %d, \"replicas\": [%d, %d, %d]}",
            comma, topic, partition, first + 1, (first + 1) % 3 + 1, (first + 2) % 3 + 1
        comma = ", "
    }')
[[ -n $plan ]] || { echo "spread-topics: there are no topics" >&2; exit 1; }

run sh -c 'cat >/tmp/spread-topics.json' <<<"{\"version\": 1, \"partitions\": [$plan]}"
run kafka-reassign-partitions --bootstrap-server kafka:9092 --reassignment-json-file /tmp/spread-topics.json --execute \
    >/dev/null
for ((i = 0; i < 300; i++)); do
    state=$(run kafka-reassign-partitions --bootstrap-server kafka:9092 \
        --reassignment-json-file /tmp/spread-topics.json --verify)
    if ! grep -q 'still in progress' <<<"$state"; then
        if missing=$(run kafka-topics --bootstrap-server kafka:9092 --describe --under-min-isr-partitions | grep .); then
            printf 'spread-topics: too few replicas of\n%s\n' "$missing" >&2
            exit 1
        fi
        grep -c 'Reassignment of partition .* completed' <<<"$state" | sed 's/$/ partitions, each on three brokers/'
        exit 0
    fi
    sleep 2
done
echo "spread-topics: copying still goes on; run this again to see how it ends" >&2
exit 1
