import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;

/** Kafka's own Java client; the language of the lines is described in ../../../../src/lib.rs. */
public final class Driver {
    public static void main(String[] words) {
        Map<String, String> args = new TreeMap<>();
        for (String word : List.of(words).subList(1, words.length)) {
            String[] pair = word.split("=", 2);
            args.put(pair[0], pair[1]);
        }
        try {
            if (words[0].equals("member")) {
                new Member(args).run(commands());
            } else if (words[0].equals("transformer")) {
                new Transformer(args).run(commands());
            } else {
                new Tool(args.get("bootstrap")).run(commands());
            }
        } catch (Exception error) {
            error.printStackTrace();
            say("error", error);
            System.exit(1);
        }
    }

    /** The lines of the standard input, read by a thread; its end is a quit. */
    private static BlockingQueue<String> commands() {
        BlockingQueue<String> waiting = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> {
            try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in))) {
                in.lines().forEach(waiting::add);
            } catch (IOException error) {
                error.printStackTrace();
            }
            waiting.add("quit");
        });
        reader.setDaemon(true);
        reader.start();
        return waiting;
    }

    static void say(Object... words) {
        List<String> line = new ArrayList<>();
        for (Object word : words) {
            line.add(String.valueOf(word).replace('\n', ' '));
        }
        System.out.println(String.join(" ", line));
    }

    static String parts(Iterable<Integer> partitions) {
        List<Integer> sorted = new ArrayList<>();
        partitions.forEach(sorted::add);
        sorted.sort(null);
        String joined = sorted.stream().map(String::valueOf).collect(Collectors.joining(","));
        return joined.isEmpty() ? "-" : joined;
    }
}
