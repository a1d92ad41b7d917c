"""confluent-kafka, which is librdkafka."""

from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

import transformer
from driver import (
    arguments, kept, offsets, parse_offsets, parts, records, run_member, run_tool, say, say_record,
)


class Member:
    def __init__(self, bootstrap, group, topic, session, instance=None):
        config = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": int(session),
            "heartbeat.interval.ms": 300,
        }
        if instance:
            config["group.instance.id"] = instance
        self.topic, self.positions = topic, {}
        self.consumer = Consumer(config)
        self.consumer.subscribe(
            [topic], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.revoked
        )

    def assigned(self, _, partitions):
        # Generations are hidden in an opaque consumer_group_metadata().
        self.positions = kept(self.positions, partitions)
        say("assigned", "-", parts(p.partition for p in partitions))

    def revoked(self, _, partitions):
        say("revoked", parts(p.partition for p in partitions))

    def poll(self):
        for message in self.consumer.consume(100, timeout=0.1):
            if message.error():
                raise KafkaException(message.error())
            self.positions[message.partition()] = message.offset() + 1
            say_record(message.partition(), message.offset(), message.key(), message.value())

    def commit(self):
        if self.positions:
            wanted = [TopicPartition(self.topic, p, o) for p, o in self.positions.items()]
            for p in self.consumer.commit(offsets=wanted, asynchronous=False):
                if p.error:
                    raise KafkaException(p.error)
        say("committed", offsets(self.positions))

    def close(self):
        self.consumer.close()


class Tool:
    def __init__(self, bootstrap):
        self.config = {"bootstrap.servers": bootstrap}

    @property
    def admin(self):
        # One for each command: where the server was killed meanwhile, a request to a coordinator
        # may wait for the old connection until it times out, though a new one is open.
        # It is kept until the next one: its futures die with it.
        self.latest = AdminClient(self.config)
        return self.latest

    def create(self, topic, count):
        self.admin.create_topics([NewTopic(topic, int(count), 1)])[topic].result()

    def produce(self, topic, prefix, count):
        failed = []
        producer = Producer({**self.config, "enable.idempotence": True, "linger.ms": 5})
        for key, value in records(prefix, count):
            producer.produce(
                topic, value, key, on_delivery=lambda error, _: error and failed.append(error)
            )
        if producer.flush(30) or failed:
            raise RuntimeError(f"not delivered: {failed}")

    def read(self, topic):
        consumer = Consumer({
            **self.config,
            "group.id": "reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        })
        partitions = self.admin.list_topics(topic, 30).topics[topic].partitions
        ends = {}
        for p in partitions:
            start, ends[p] = consumer.get_watermark_offsets(TopicPartition(topic, p), 30)
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        # The watermark may lie behind the last stable offset: what is not committed by now is read
        # the next time.
        quiet = 0
        while quiet < 5 and any(
            p.offset < ends[p.partition] for p in consumer.position(consumer.assignment())
        ):
            messages = consumer.consume(500, timeout=0.2)
            quiet = 0 if messages else quiet + 1
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                say("value", message.value().decode())
        consumer.close()

    def list(self):
        result = self.admin.list_consumer_groups().result()
        for error in result.errors:
            raise error
        for group in result.valid:
            say("group", group.group_id, group.state.name)

    def describe(self, group):
        found = self.admin.describe_consumer_groups([group])[group].result()
        say("state", found.state.name)
        for member in found.members:
            owned = parts(p.partition for p in member.assignment.topic_partitions)
            say("member", member.member_id, member.group_instance_id or "-", owned)

    def offsets(self, group, topic):
        request = [ConsumerGroupTopicPartitions(group)]
        found = self.admin.list_consumer_group_offsets(request)[group].result()
        for p in found.topic_partitions:
            if p.error:
                raise KafkaException(p.error)
            if p.topic == topic and p.offset >= 0:
                say("offset", p.partition, p.offset)

    def alter(self, group, topic, places):
        wanted = [TopicPartition(topic, p, o) for p, o in parse_offsets(places).items()]
        request = [ConsumerGroupTopicPartitions(group, wanted)]
        done = self.admin.alter_consumer_group_offsets(request)[group].result()
        for p in done.topic_partitions:
            if p.error:
                raise KafkaException(p.error)

    def delete(self, group):
        self.admin.delete_consumer_groups([group])[group].result()


if __name__ == "__main__":
    role, given = arguments()
    if role == "member":
        run_member(Member(**given))
    elif role == "transformer":
        transformer.run(given)
    else:
        run_tool(Tool(**given))
