import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

/** The admin part, through Kafka's ConsumerGroupCommand and what it prints. */
final class Tool {
    private final String bootstrap;
    private final Admin admin;

    Tool(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    void run(BlockingQueue<String> commands) throws InterruptedException {
        for (String line = commands.take(); !line.equals("quit"); line = commands.take()) {
            try {
                obey(line.split(" "));
                Driver.say("ok");
            } catch (Exception error) {
                error.printStackTrace();
                Driver.say("error", error);
            }
        }
        admin.close();
    }

    private void obey(String[] words) throws Exception {
        String first = words.length > 1 ? words[1] : "";
        switch (words[0]) {
            case "create" -> admin.createTopics(List.of(
                new NewTopic(first, Optional.of(Integer.valueOf(words[2])), Optional.empty())
            )).all().get();
            case "produce" -> produce(first, words[2], Integer.parseInt(words[3]));
            case "read" -> read(first);
            case "list" -> list();
            case "describe" -> describe(first);
            case "offsets" -> {
                for (String[] row : table(command("--describe", "--group", first))) {
                    if (row[1].equals(words[2]) && !row[3].equals("-")) {
                        Driver.say("offset", row[2], row[3]);
                    }
                }
            }
            case "alter" -> alter(first, words[2], words[3]);
            case "delete-offsets" -> command(
                "--delete-offsets", "--group", first, "--topic", words[2] + ":" + words[3]);
            case "delete" -> command("--delete", "--group", first);
            default -> throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    private void produce(String topic, String prefix, int count) throws Exception {
        StringSerializer words = new StringSerializer();
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "linger.ms", 5);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(config, words, words)) {
            List<Future<?>> sent = new ArrayList<>();
            for (int n = 0; n < count; n++) {
                String value = prefix + "-" + n;
                sent.add(producer.send(new ProducerRecord<>(topic, "k" + n % 50, value)));
            }
            for (Future<?> one : sent) {
                one.get();
            }
        }
    }

    /** All committed values of a topic, from its beginning to its end. */
    private void read(String topic) {
        StringDeserializer words = new StringDeserializer();
        Properties config = Transformer.reading(bootstrap);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, words, words)) {
            List<TopicPartition> places = consumer.partitionsFor(topic).stream()
                .map(one -> new TopicPartition(topic, one.partition())).toList();
            consumer.assign(places);
            Map<TopicPartition, Long> ends = consumer.endOffsets(places);
            for (TopicPartition place : places) {
                while (consumer.position(place) < ends.get(place)) {
                    for (ConsumerRecord<String, String> one
                            : consumer.poll(Duration.ofMillis(100))) {
                        Driver.say("value", one.value());
                    }
                }
            }
        }
    }

    /** Only the groups that both forms of --list name. */
    private void list() {
        List<String> names = command("--list").lines().map(String::strip).toList();
        for (String[] row : table(command("--list", "--state"))) {
            if (names.contains(row[0])) {
                Driver.say("group", row[0], row[1]);
            }
        }
    }

    private void describe(String group) {
        String[] state = table(command("--describe", "--group", group, "--state")).get(0);
        Driver.say("state", state[state.length - 2]);
        String printed = command("--describe", "--group", group, "--members", "--verbose");
        List<String> header = List.of(header(printed).split("\\s+"));
        int instance = header.indexOf("GROUP-INSTANCE-ID");
        for (String[] row : table(printed)) {
            String assignment = row[header.indexOf("CURRENT-ASSIGNMENT")];
            Driver.say(
                "member",
                row[header.indexOf("CONSUMER-ID")],
                instance < 0 ? "-" : row[instance],
                assignment.substring(assignment.lastIndexOf(':') + 1));
        }
    }

    private void alter(String group, String topic, String places) throws IOException {
        Path file = Files.createTempFile("offsets", ".csv");
        String rows = List.of(places.split(",")).stream()
            .map(place -> topic + "," + place.replace(':', ',') + "\n")
            .collect(Collectors.joining());
        try {
            Files.writeString(file, rows);
            command(
                "--reset-offsets", "--group", group, "--from-file", file.toString(), "--execute");
        } finally {
            Files.delete(file);
        }
    }

    /** Runs the command in this process and returns what it printed. */
    private String command(String... words) {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", bootstrap));
        all.addAll(List.of(words));
        PrintStream stdout = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true));
        try {
            ConsumerGroupCommand.main(all.toArray(String[]::new));
        } finally {
            System.setOut(stdout);
        }
        String text = printed.toString();
        System.err.println(String.join(" ", words) + "\n" + text);
        // It prints its failures and exits with 0 all the same.
        if (text.contains("Error: ")) {
            throw new IllegalStateException(text.strip());
        }
        return text;
    }

    private static String header(String printed) {
        return printed.lines()
            .filter(line -> line.startsWith("GROUP ")).findFirst().orElse("GROUP");
    }

    /** The rows below the header, split at blanks. */
    private static List<String[]> table(String printed) {
        String header = header(printed);
        return printed.lines()
            .dropWhile(line -> !line.equals(header))
            .filter(line -> !line.isBlank() && !line.equals(header))
            .map(line -> line.strip().split("\\s+"))
            .toList();
    }
}
