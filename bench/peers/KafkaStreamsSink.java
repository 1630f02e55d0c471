import java.io.IOException;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.postgresql.PGConnection;

/** One stream thread's connection: raw rows by COPY, the last state of each changed window by one batch of upserts. */
final class KafkaStreamsSink {
    static final String[] COLUMNS = {"total_requests", "failed_requests", "latency_min_ms", "latency_max_ms",
        "latency_mean_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_count",
        "latency_bucket_counts", "successful_requests", "error_rate", "latency_sum_ms", "latency_buckets"};
    static final String COPY = "COPY analytics_events (timestamp, service, level, latency_ms, risk_score, user_id, "
        + "request_id, source_ip, message, topic_incarnation, kafka_partition, kafka_offset) FROM STDIN (FORMAT csv)";
    static final int FULL = 10_000;

    private final Connection connection;
    private final StringBuilder csv = new StringBuilder();
    private int rows;
    private final Map<KafkaStreamsPeer.Key, KafkaStreamsPeer.State> changed = new LinkedHashMap<>();

    KafkaStreamsSink() {
        Map<String, String> env = KafkaStreamsPeer.ENV;
        try {
            // Commits do not wait for the disk, as in the product's flushes.
            connection = DriverManager.getConnection("jdbc:postgresql://" + env.get("DB_HOST") + ":"
                + env.get("DB_PORT") + "/" + env.get("DB_NAME")
                + "?reWriteBatchedInserts=true&options=-c%20synchronous_commit=off",
                env.get("DB_USER"), env.get("DB_PASSWORD"));
            connection.setAutoCommit(false);
        } catch (SQLException error) {
            throw new IllegalStateException(error);
        }
    }

    void raw(KafkaStreamsPeer.Event e, RecordMetadata from) {
        text(e.timestamp());
        text(e.service());
        text(e.level());
        number(e.latency_ms());
        number(e.risk_score());
        text(e.user_id());
        text(e.request_id());
        text(e.source_ip());
        text(e.message());
        csv.append("1,").append(from.partition()).append(',').append(from.offset()).append('\n');
        if (++rows >= FULL) {
            flush();
        }
    }

    private void text(String value) {
        if (value != null) {
            csv.append('"').append(value.replace("\"", "\"\"")).append('"');
        }
        csv.append(',');
    }

    private void number(Double value) {
        if (value != null) {
            csv.append(value.doubleValue());
        }
        csv.append(',');
    }

    void window(KafkaStreamsPeer.Key key, KafkaStreamsPeer.State state) {
        changed.put(key, state);
    }

    void flush() {
        if (rows == 0 && changed.isEmpty()) {
            return;
        }
        try {
            if (rows > 0) {
                connection.unwrap(PGConnection.class).getCopyAPI().copyIn(COPY, new StringReader(csv.toString()), 1 << 16);
            }
            for (String window : KafkaStreamsPeer.WINDOWS) {
                upsert(window);
            }
            connection.commit();
        } catch (SQLException | IOException error) {
            throw new IllegalStateException(error);
        }
        csv.setLength(0);
        rows = 0;
        changed.clear();
    }

    private void upsert(String window) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(statement(window))) {
            for (var entry : changed.entrySet()) {
                if (!entry.getKey().window().equals(window)) {
                    continue;
                }
                statement.setString(1, entry.getKey().service());
                statement.setDouble(2, entry.getKey().startS());
                int place = 3;
                for (Object value : entry.getValue().figures()) {
                    if (value instanceof Long[] counts) {
                        statement.setArray(place++, connection.createArrayOf("bigint", counts));
                    } else if (value instanceof Long count) {
                        statement.setLong(place++, count);
                    } else {
                        statement.setObject(place++, value, java.sql.Types.DOUBLE);
                    }
                }
                Integer[] buckets = new Integer[KafkaStreamsPeer.BOUNDS_MS.length + 1];
                Arrays.setAll(buckets, i -> i);
                statement.setArray(place, connection.createArrayOf("int", buckets));
                statement.addBatch();
            }
            statement.executeBatch();
        }
    }

    private static String statement(String window) {
        String values = Arrays.stream(COLUMNS).map(name -> "?").collect(Collectors.joining(", "));
        String updates = Arrays.stream(COLUMNS).map(name -> name + " = excluded." + name).collect(Collectors.joining(", "));
        return "INSERT INTO analytics_metrics_" + window + " (service, timestamp, " + String.join(", ", COLUMNS)
            + ") VALUES (?, to_timestamp(?), " + values + ") ON CONFLICT (service, timestamp) DO UPDATE SET " + updates
            + ", aggregated_at = excluded.aggregated_at";
    }
}
