"""What the Python drivers share: their arguments, the commands they read, the lines they say.

The language is described in ../src/lib.rs.
"""

import queue
import sys
import threading
import traceback


def arguments():
    """The role and its name=value arguments."""
    return sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:])


def say(*words):
    print(*words, flush=True)


def parts(partitions):
    return ",".join(map(str, sorted(partitions))) or "-"


def offsets(by_partition):
    return ",".join(f"{p}:{o}" for p, o in sorted(by_partition.items())) or "-"


def parse_offsets(word):
    return {int(p): int(o) for p, o in (pair.split(":") for pair in word.split(","))}


def kept(positions, assigned):
    """The positions of the partitions that are still ours: some clients go on where they were,
    others read again from the committed offset, and then the positions are soon overwritten."""
    ours = {p.partition for p in assigned}
    return {p: o for p, o in positions.items() if p in ours}


def say_record(partition, offset, key, value):
    say("record", partition, offset, key.decode(), value.decode())


def records(prefix, count):
    """The keys and values that every driver produces."""
    return [(f"k{n % 50}".encode(), f"{prefix}-{n}".encode()) for n in range(int(count))]


def one_line(error):
    return f"{type(error).__name__}: {error}".replace("\n", " ")


def commands():
    """A queue of the lines of the standard input, read by a thread; its end is a quit."""
    waiting = queue.Queue()

    def read():
        for line in sys.stdin:
            waiting.put(line.strip())
        waiting.put("quit")

    threading.Thread(target=read, daemon=True).start()
    return waiting


def answer(tool, line):
    """Runs one command of the tool, a method named as it is."""
    verb, *words = line.split()
    try:
        getattr(tool, verb.replace("-", "_"))(*words)
        say("ok")
    except Exception as error:  # whatever the client throws is the answer
        traceback.print_exc()
        say("error", one_line(error))


def run_tool(tool):
    for line in sys.stdin:
        answer(tool, line)


def run_member(member):
    """Polls and obeys in turn until told to quit."""
    waiting = commands()
    try:
        while True:
            member.poll()
            try:
                command = waiting.get_nowait()
            except queue.Empty:
                continue
            if command == "quit":
                break
            member.commit()
        member.close()
        say("closed")
    except Exception as error:
        traceback.print_exc()
        say("error", one_line(error))
        sys.exit(1)
