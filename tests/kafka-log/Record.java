import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Fills the offsets topic of a Kafka node, and prints what the node then says of its groups. */
final class Record {
    private static final String TOPIC = "orders";
    private static String bootstrap;
    private static Admin admin;

    public static void main(String[] args) throws Exception {
        bootstrap = "127.0.0.1:" + args[0];
        admin = Admin.create(config());
        admin.createTopics(List.of(new NewTopic(TOPIC, 3, (short) 1))).all().get();
        simple();
        members();
        transactions();
        tell();
        // Members must not leave: they are part of the recording.
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static void simple() throws Exception {
        commit("simple", 0, 10, "first");
        commit("simple", 0, 11, "with \"words\" and a \u00fc");
        commit("simple", 1, 20, "");
        commit("simple", 2, 30, "");
        admin.deleteConsumerGroupOffsets("simple", Set.of(place(2))).all().get();
        commit("gone", 0, 1, "");
        admin.deleteConsumerGroups(List.of("gone")).all().get();
        commit("again", 0, 1, "");
        admin.deleteConsumerGroups(List.of("again")).all().get();
        commit("again", 1, 2, "");
        for (int offset = 0; offset < 40; offset++) {
            commit("many", offset % 3, offset, "metadata that repeats itself, again and again");
        }
    }

    private static void members() throws Exception {
        KafkaConsumer<String, String> one = member("classic", "classic", null);
        joined(one);
        one.commitSync(Map.of(place(0), new OffsetAndMetadata(100, Optional.of(0), "mine")));
        joined(member("static", "classic", "instance-1"));
        KafkaConsumer<String, String> left = member("left", "classic", null);
        joined(left);
        left.commitSync(Map.of(place(1), new OffsetAndMetadata(7)));
        left.close();
        KafkaConsumer<String, String> upgraded = member("upgraded", "classic", null);
        joined(upgraded);
        upgraded.commitSync(Map.of(place(2), new OffsetAndMetadata(8)));
        upgraded.close();
        joined(member("upgraded", "consumer", null));
        KafkaConsumer<String, String> modern = member("modern", "consumer", null);
        joined(modern);
        modern.commitSync(Map.of(place(0), new OffsetAndMetadata(200)));
    }

    private static void transactions() throws Exception {
        KafkaProducer<String, String> producer = producer("tx-1");
        staged(producer, "txn", 0, 1000);
        producer.commitTransaction();
        staged(producer, "txn", 1, 2000);
        producer.abortTransaction();
        staged(producer, "overtaken", 0, 1);
        commit("overtaken", 0, 2, "later");
        producer.commitTransaction();
        commit("overtaking", 0, 1, "earlier");
        staged(producer, "overtaking", 0, 2);
        producer.commitTransaction();
        commit("removed", 1, 5, "");
        staged(producer, "removed", 0, 1);
        admin.deleteConsumerGroupOffsets("removed", Set.of(place(0))).all().get();
        producer.commitTransaction();
        staged(producer("tx-2"), "txn", 2, 3000);
    }

    private static void tell() throws Exception {
        Set<String> groups = admin.listGroups().all().get().stream()
                .map(group -> group.groupId()).collect(Collectors.toCollection(TreeSet::new));
        for (String group : groups) {
            Map<TopicPartition, OffsetAndMetadata> offsets =
                    admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            Map<Integer, OffsetAndMetadata> sorted = new TreeMap<>();
            offsets.forEach((place, offset) -> sorted.put(place.partition(), offset));
            sorted.forEach((partition, offset) -> {
                if (offset != null) {
                    System.out.printf("offset\t%s\t%d\t%d\t%d\t%s%n", group, partition,
                            offset.offset(), offset.leaderEpoch().orElse(-1), offset.metadata());
                }
            });
            try {
                tell(admin.describeClassicGroups(List.of(group)).all().get().get(group));
            } catch (java.util.concurrent.ExecutionException modern) {
                System.out.printf("modern\t%s%n", group);
            }
        }
    }

    private static void tell(ClassicGroupDescription group) {
        System.out.printf("group\t%s\t%s\t%s\t%s%n", group.groupId(), group.state(),
                group.protocol(), group.protocolData());
        group.members().forEach(member -> {
            List<Integer> assigned = new ArrayList<>();
            member.assignment().topicPartitions().forEach(it -> assigned.add(it.partition()));
            assigned.sort(null);
            System.out.printf("member\t%s\t%s\t%s\t%s\t%s\t%s%n", group.groupId(),
                    member.consumerId(), member.groupInstanceId().orElse("-"), member.clientId(),
                    member.host(),
                    assigned.stream().map(String::valueOf).collect(Collectors.joining(",")));
        });
    }

    private static void commit(String group, int partition, long offset, String metadata)
            throws Exception {
        OffsetAndMetadata value = new OffsetAndMetadata(offset, Optional.empty(), metadata);
        admin.alterConsumerGroupOffsets(group, Map.of(place(partition), value)).all().get();
    }

    private static void staged(
            KafkaProducer<String, String> producer, String group, int partition, long offset)
            throws Exception {
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(TOPIC, partition, "key", "value")).get();
        producer.sendOffsetsToTransaction(
                Map.of(place(partition), new OffsetAndMetadata(offset)),
                new ConsumerGroupMetadata(group));
    }

    private static KafkaProducer<String, String> producer(String id) {
        Properties config = config();
        config.put("transactional.id", id);
        StringSerializer words = new StringSerializer();
        KafkaProducer<String, String> producer = new KafkaProducer<>(config, words, words);
        producer.initTransactions();
        return producer;
    }

    private static KafkaConsumer<String, String> member(
            String group, String protocol, String instance) {
        Properties config = config();
        config.put("group.id", group);
        config.put("group.protocol", protocol);
        config.put("enable.auto.commit", "false");
        if (instance != null) {
            config.put("group.instance.id", instance);
        }
        StringDeserializer words = new StringDeserializer();
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, words, words);
        consumer.subscribe(List.of(TOPIC));
        return consumer;
    }

    private static void joined(KafkaConsumer<String, String> consumer) {
        for (int turn = 0; turn < 300 && consumer.assignment().size() < 3; turn++) {
            consumer.poll(Duration.ofMillis(100));
        }
        if (consumer.assignment().size() < 3) {
            throw new IllegalStateException("no assignment in 30 seconds");
        }
    }

    private static TopicPartition place(int partition) {
        return new TopicPartition(TOPIC, partition);
    }

    private static Properties config() {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        return config;
    }
}
