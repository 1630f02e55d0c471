#!/usr/bin/env bash
# Starts the broker when ZooKeeper has forgotten the one that was killed before it. A broker that finds its own number
# taken gives up, and `docker-compose up -d` with it; the number is free again when the session of the killed one is
# over, after 18 s at most. After an orderly end it is free at once.
set -euo pipefail

is_taken() {
    KAFKA_HEAP_OPTS=-Xmx64m zookeeper-shell "$KAFKA_ZOOKEEPER_CONNECT" get "/brokers/ids/$KAFKA_BROKER_ID" >/dev/null 2>&1
}

for _ in {1..30}; do
    is_taken || break
    echo "broker $KAFKA_BROKER_ID: the one that was killed is still registered, waiting"
    sleep 1
done
exec /etc/confluent/docker/run
