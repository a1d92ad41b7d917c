import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Consumes, transforms and produces, each poll in a transaction; every third one is aborted. */
final class Transformer {
    private final Map<String, String> args;
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;

    Transformer(Map<String, String> args) {
        this.args = args;
        Properties consuming = Transformer.reading(args.get("bootstrap"));
        consuming.put("group.id", args.get("group"));
        consuming.put("group.protocol", "classic");
        consuming.put("session.timeout.ms", args.get("session"));
        consuming.put("heartbeat.interval.ms", "300");
        consuming.put("max.poll.records", "20");
        StringDeserializer read = new StringDeserializer();
        consumer = new KafkaConsumer<>(consuming, read, read);
        consumer.subscribe(List.of(args.get("topic")));
        StringSerializer write = new StringSerializer();
        producer = new KafkaProducer<>(Map.of(
            "bootstrap.servers", args.get("bootstrap"),
            "transactional.id", args.get("id"),
            "linger.ms", 5), write, write);
    }

    /** The settings of whoever reads committed records from the beginning. */
    static Properties reading(String bootstrap) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("isolation.level", "read_committed");
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        return config;
    }

    void run(BlockingQueue<String> commands) {
        producer.initTransactions();
        int turn = 0;
        while (!"quit".equals(commands.poll())) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
            if (records.isEmpty()) {
                continue;
            }
            turn++;
            try {
                producer.beginTransaction();
                transform(records);
                if (turn % 3 == 0) {
                    producer.flush();
                    abort();
                } else {
                    producer.commitTransaction();
                    Driver.say("transaction", "committed", records.count());
                }
            } catch (ProducerFencedException fenced) {
                throw fenced;
            } catch (CommitFailedException moved) {
                // The partitions are somebody else's by now.
                abort();
            } catch (KafkaException error) {
                error.printStackTrace();
                abort();
            }
        }
        producer.close();
        consumer.close();
        Driver.say("closed");
    }

    private void transform(ConsumerRecords<String, String> records) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (ConsumerRecord<String, String> record : records) {
            producer.send(new ProducerRecord<>(args.get("to"), record.key(), record.value()));
            TopicPartition place = new TopicPartition(record.topic(), record.partition());
            offsets.put(place, new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
    }

    private void abort() {
        producer.abortTransaction();
        Driver.say("transaction", "aborted", 0);
        Collection<TopicPartition> owned = consumer.assignment();
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
        for (TopicPartition place : owned) {
            OffsetAndMetadata at = committed.get(place);
            consumer.seek(place, at == null ? 0 : at.offset());
        }
    }
}
