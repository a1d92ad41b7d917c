import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** One consumer of a group. */
final class Member implements ConsumerRebalanceListener {
    private final String topic;
    private final KafkaConsumer<String, String> consumer;
    private final Map<Integer, Long> positions = new TreeMap<>();

    Member(Map<String, String> args) {
        topic = args.get("topic");
        Properties config = new Properties();
        config.put("bootstrap.servers", args.get("bootstrap"));
        config.put("group.id", args.get("group"));
        config.put("group.protocol", "classic");
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        config.put("session.timeout.ms", args.get("session"));
        config.put("heartbeat.interval.ms", "300");
        if (args.containsKey("instance")) {
            config.put("group.instance.id", args.get("instance"));
        }
        StringDeserializer words = new StringDeserializer();
        consumer = new KafkaConsumer<>(config, words, words);
        consumer.subscribe(List.of(topic), this);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> more) {
        Set<Integer> owned = numbers(consumer.assignment());
        positions.keySet().retainAll(owned);
        Driver.say("assigned", consumer.groupMetadata().generationId(), Driver.parts(owned));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> less) {
        if (!less.isEmpty()) {
            Driver.say("revoked", Driver.parts(numbers(less)));
        }
    }

    private static Set<Integer> numbers(Collection<TopicPartition> places) {
        return places.stream().map(TopicPartition::partition).collect(Collectors.toSet());
    }

    void run(BlockingQueue<String> commands) {
        String command;
        do {
            for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) {
                positions.put(r.partition(), r.offset() + 1);
                Driver.say("record", r.partition(), r.offset(), r.key(), r.value());
            }
            command = commands.poll();
            if ("commit".equals(command)) {
                commit();
            }
        } while (!"quit".equals(command));
        consumer.close();
        Driver.say("closed");
    }

    private void commit() {
        Map<TopicPartition, OffsetAndMetadata> wanted = new java.util.HashMap<>();
        positions.forEach((p, o) ->
            wanted.put(new TopicPartition(topic, p), new OffsetAndMetadata(o)));
        consumer.commitSync(wanted);
        String offsets = positions.entrySet().stream()
            .map(e -> e.getKey() + ":" + e.getValue()).collect(Collectors.joining(","));
        Driver.say("committed", offsets.isEmpty() ? "-" : offsets);
    }
}
