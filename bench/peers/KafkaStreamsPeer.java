import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.File;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The peer: a Kafka Streams application with two threads, in-memory window stores behind their cache, changelogs, at
 * least once. The input has no keys, so that right totals need a repartition by service; only what the windows look at
 * goes through it. Rows go to the database in batches from the processors themselves, which spares the detour through
 * output topics and Kafka Connect; so offsets may be committed up to a fifth of a second before the rows are.
 */
public final class KafkaStreamsPeer {
    static final String[] WINDOWS = {"1min", "5min", "1hour"};
    static final Duration[] SIZES = {Duration.ofMinutes(1), Duration.ofMinutes(5), Duration.ofHours(1)};
    static final Duration GRACE = Duration.ofDays(1);
    static final Duration FLUSH_EVERY = Duration.ofMillis(200);
    static final Map<String, String> ENV = System.getenv();
    static final boolean STORE = ENV.get("PEER_STORE").equals("1");
    static final long EVENTS = Long.parseLong(ENV.get("PEER_EVENTS"));
    static final double[] BOUNDS_MS =
        Arrays.stream(ENV.get("PEER_BOUNDS_MS").split(",")).mapToDouble(Double::parseDouble).toArray();
    static final ObjectMapper JSON = new ObjectMapper();
    static final AtomicLong SEEN = new AtomicLong();

    /** The fields of an event that are looked at. */
    record Event(String timestamp, String service, String level, Double latency_ms, Double risk_score, String user_id,
        String request_id, String source_ip, String message) {
        private static final ObjectReader READER =
            JSON.readerFor(Event.class).without(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

        static Event of(byte[] value) {
            long seen = SEEN.getAndIncrement();
            if (seen == 0) {
                say("began", System.currentTimeMillis());
            } else if (seen % 20_000 == 0) {
                System.out.println(seen + " of " + EVENTS + " events seen");
            }
            try {
                return READER.readValue(value);
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }

        long timeMs() {
            return OffsetDateTime.parse(timestamp).toInstant().toEpochMilli();
        }
    }

    /** What a window looks at: failed or not, and the latency, NaN where there is none. */
    record Slim(boolean failed, double latencyMs) {
        static Slim of(Event event) {
            return new Slim(event.level.equals("error") || event.level.equals("critical"),
                event.latency_ms == null ? Double.NaN : event.latency_ms);
        }

        byte[] toBytes() {
            return ByteBuffer.allocate(9).put((byte) (failed ? 1 : 0)).putDouble(latencyMs).array();
        }

        static Slim read(byte[] bytes) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            return new Slim(in.get() == 1, in.getDouble());
        }
    }

    /** Counts, sum, least and greatest latency, and a histogram of one service in one window. */
    static final class State {
        long total;
        long failed;
        double sum;
        double low = Double.POSITIVE_INFINITY;
        double high = Double.NEGATIVE_INFINITY;
        final long[] counts = new long[BOUNDS_MS.length + 1];

        State add(Slim event) {
            total++;
            failed += event.failed ? 1 : 0;
            if (!Double.isNaN(event.latencyMs)) {
                sum += event.latencyMs;
                low = Math.min(low, event.latencyMs);
                high = Math.max(high, event.latencyMs);
                int place = Arrays.binarySearch(BOUNDS_MS, event.latencyMs);
                counts[place < 0 ? -place - 1 : place]++;
            }
            return this;
        }

        /** The values of the columns in Sink.COLUMNS. */
        Object[] figures() {
            long known = Arrays.stream(counts).sum();
            boolean any = known > 0;
            return new Object[] {total, failed, any ? low : null, any ? high : null, any ? sum / known : null,
                percentile(50, known), percentile(95, known), percentile(99, known), known,
                Arrays.stream(counts).boxed().toArray(Long[]::new), total - failed, 100.0 * failed / total, sum};
        }

        private Double percentile(long percent, long known) {
            long left = (percent * known + 99) / 100;
            for (int i = 0; known > 0 && i < BOUNDS_MS.length; i++) {
                left -= counts[i];
                if (left <= 0) {
                    return Math.min(BOUNDS_MS[i], high);
                }
            }
            return known > 0 ? high : null;
        }

        byte[] toBytes() {
            ByteBuffer out = ByteBuffer.allocate(8 * (5 + counts.length));
            out.putLong(total).putLong(failed).putDouble(sum).putDouble(low).putDouble(high);
            out.asLongBuffer().put(counts);
            return out.array();
        }

        static State read(byte[] bytes) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            State state = new State();
            state.total = in.getLong();
            state.failed = in.getLong();
            state.sum = in.getDouble();
            state.low = in.getDouble();
            state.high = in.getDouble();
            in.asLongBuffer().get(state.counts);
            return state;
        }
    }

    record Key(String window, String service, long startS) {}

    /** Gives the records of one kind to the thread's database connection, which flushes five times a second. */
    static final class ToDatabase<K, V> extends ContextualProcessor<K, V, Void, Void> {
        interface Put<K, V> {
            void to(KafkaStreamsSink sink, Record<K, V> record, ProcessorContext<Void, Void> context);
        }

        private static final ThreadLocal<KafkaStreamsSink> SINK = ThreadLocal.withInitial(KafkaStreamsSink::new);
        private final Put<K, V> put;

        ToDatabase(Put<K, V> put) {
            this.put = put;
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            super.init(context);
            context.schedule(FLUSH_EVERY, PunctuationType.WALL_CLOCK_TIME, now -> SINK.get().flush());
        }

        @Override
        public void process(Record<K, V> record) {
            put.to(SINK.get(), record, context());
        }
    }

    static Topology topology(Map<Key, State> latest) {
        Serde<Event> events = Serdes.serdeFrom((t, e) -> null, (t, bytes) -> Event.of(bytes));
        Serde<Slim> slims = Serdes.serdeFrom((t, e) -> e.toBytes(), (t, bytes) -> Slim.read(bytes));
        Serde<State> states = Serdes.serdeFrom(
            (t, s) -> s == null ? null : s.toBytes(), (t, bytes) -> bytes == null ? null : State.read(bytes));
        StreamsBuilder builder = new StreamsBuilder();
        KStream<byte[], Event> input = builder.stream(ENV.get("KAFKA_INPUT_TOPIC"),
            Consumed.with(Serdes.ByteArray(), events).withTimestampExtractor((r, t) -> ((Event) r.value()).timeMs()));
        if (STORE) {
            input.process(() -> new ToDatabase<byte[], Event>((sink, record, context) -> sink.raw(
                record.value(), context.recordMetadata().orElseThrow())));
        }
        KGroupedStream<String, Slim> services = input
            .map((k, e) -> KeyValue.pair(e.service, Slim.of(e)))
            .repartition(Repartitioned.with(Serdes.String(), slims).withName("by-service"))
            .groupByKey(Grouped.with(Serdes.String(), slims));
        for (int i = 0; i < WINDOWS.length; i++) {
            String window = WINDOWS[i];
            KStream<Windowed<String>, State> rows = services
                .windowedBy(TimeWindows.ofSizeAndGrace(SIZES[i], GRACE))
                .aggregate(State::new, (service, event, state) -> state.add(event),
                    Materialized.<String, State, WindowStore<Bytes, byte[]>>as("windows-" + window)
                        .withStoreType(Materialized.StoreType.IN_MEMORY)
                        .withKeySerde(Serdes.String()).withValueSerde(states).withCachingEnabled())
                .toStream();
            if (STORE) {
                rows.process(() -> new ToDatabase<Windowed<String>, State>((sink, record, context) -> sink.window(
                    key(window, record.key()), record.value())));
            } else {
                rows.foreach((k, state) -> latest.put(key(window, k), state));
            }
        }
        return builder.build();
    }

    static Key key(String window, Windowed<String> key) {
        return new Key(window, key.key(), key.window().start() / 1000);
    }

    static void say(String what, long epochMs) {
        System.out.println("peer-" + what + " " + epochMs / 1000.0);
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("application.id", ENV.get("KAFKA_CONSUMER_GROUP"));
        settings.put("bootstrap.servers", ENV.get("KAFKA_BOOTSTRAP_SERVERS"));
        settings.put("state.dir", arguments[0]);
        settings.put("auto.offset.reset", "earliest");
        settings.put("num.stream.threads", "2");
        settings.put("commit.interval.ms", "500");
        settings.put("statestore.cache.max.bytes", String.valueOf(64 << 20));
        settings.put("buffered.records.per.partition", "10000");
        settings.put("max.poll.records", "10000");
        settings.put("producer.compression.type", "lz4");
        settings.put("producer.batch.size", String.valueOf(256 << 10));
        Map<Key, State> latest = new ConcurrentHashMap<>();
        KafkaStreams streams = new KafkaStreams(topology(latest), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
        while (streams.state() != KafkaStreams.State.ERROR && (STORE || !complete(latest))) {
            Thread.sleep(20);
        }
        if (streams.state() == KafkaStreams.State.ERROR) {
            System.exit(1);
        }
        long ended = System.currentTimeMillis();
        List<Object> rows = new ArrayList<>();
        latest.forEach((k, state) -> {
            List<Object> row = new ArrayList<>(List.of(k.window, k.service, k.startS));
            row.addAll(Arrays.asList(state.figures()));
            rows.add(row);
        });
        JSON.writeValue(new File(ENV.get("PEER_RESULT")), rows);
        say("ended", ended);
    }

    /** Whether each window size has counted every event. */
    static boolean complete(Map<Key, State> latest) {
        Map<String, Long> totals = new HashMap<>();
        latest.forEach((k, state) -> totals.merge(k.window, state.total, Long::sum));
        return totals.size() == WINDOWS.length && totals.values().stream().allMatch(total -> total == EVENTS);
    }
}
