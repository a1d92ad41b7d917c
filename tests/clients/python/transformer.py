"""confluent-kafka: consumes, transforms and produces, each turn in a transaction, and aborts every
third one."""

import queue
import sys
import traceback

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from driver import commands, one_line, say


class Transformer:
    def __init__(self, bootstrap, group, topic, to, id, session):
        self.to, self.turn = to, 0
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "session.timeout.ms": int(session),
            "heartbeat.interval.ms": 300,
        })
        self.consumer.subscribe([topic])
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "transactional.id": id, "linger.ms": 5,
        })
        self.producer.init_transactions(30)

    def step(self):
        messages = self.consumer.consume(20, timeout=0.1)
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
        if not messages:
            return
        self.turn += 1
        self.producer.begin_transaction()
        try:
            self.transform(messages)
            if self.turn % 3 == 0:
                self.producer.flush(30)
                self.abort()
            else:
                self.producer.commit_transaction(30)
                say("transaction", "committed", len(messages))
        except KafkaException as failed:
            if not failed.args[0].txn_requires_abort():
                raise
            traceback.print_exc()
            self.abort()

    def transform(self, messages):
        offsets = {}
        for message in messages:
            self.producer.produce(self.to, message.value(), message.key())
            offsets[message.topic(), message.partition()] = message.offset() + 1
        places = [TopicPartition(t, p, o) for (t, p), o in offsets.items()]
        metadata = self.consumer.consumer_group_metadata()
        self.producer.send_offsets_to_transaction(places, metadata, 30)

    def abort(self):
        self.producer.abort_transaction(30)
        say("transaction", "aborted", 0)
        for place in self.consumer.committed(self.consumer.assignment(), 30):
            place.offset = max(place.offset, 0)
            self.consumer.seek(place)

    def close(self):
        self.consumer.close()


def run(given):
    waiting = commands()
    try:
        transformer = Transformer(**given)
        while True:
            transformer.step()
            try:
                if waiting.get_nowait() == "quit":
                    break
            except queue.Empty:
                continue
        transformer.close()
        say("closed")
    except Exception as error:
        traceback.print_exc()
        say("error", one_line(error))
        sys.exit(1)
