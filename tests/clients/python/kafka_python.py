"""kafka-python."""

from kafka import (
    ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition,
)
from kafka.errors import NoError
from kafka.structs import OffsetAndMetadata

from driver import (
    arguments, kept, offsets, parse_offsets, parts, records, run_member, run_tool, say, say_record,
)


class Member(ConsumerRebalanceListener):
    def __init__(self, bootstrap, group, topic, session, instance=None):
        self.topic, self.positions = topic, {}
        self.consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            group_instance_id=instance,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=int(session),
            heartbeat_interval_ms=300,
        )
        self.consumer.subscribe([topic], listener=self)

    def on_partitions_assigned(self, assigned):
        self.positions = kept(self.positions, assigned)
        generation = self.consumer._coordinator.generation().generation_id
        say("assigned", generation, parts(p.partition for p in assigned))

    def on_partitions_revoked(self, revoked):
        if revoked:
            say("revoked", parts(p.partition for p in revoked))

    def poll(self):
        for batch in self.consumer.poll(timeout_ms=100).values():
            for record in batch:
                self.positions[record.partition] = record.offset + 1
                say_record(record.partition, record.offset, record.key, record.value)

    def commit(self):
        if self.positions:
            self.consumer.commit({
                TopicPartition(self.topic, p): OffsetAndMetadata(o, "", -1)
                for p, o in self.positions.items()
            })
        say("committed", offsets(self.positions))

    def close(self):
        self.consumer.close(autocommit=False)


def check(errors):
    for place, error in errors.items():
        if error is not NoError:
            raise error(str(place))


class Tool:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def create(self, topic, count):
        wanted = {topic: {"num_partitions": int(count), "replication_factor": 1}}
        self.admin.create_topics(wanted, wait_for_metadata=True)

    def produce(self, topic, prefix, count):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=5)
        sent = [producer.send(topic, value, key) for key, value in records(prefix, count)]
        producer.flush(timeout=30)
        for future in sent:
            future.get(timeout=30)
        producer.close()

    def list(self):
        for group in self.admin.list_groups():
            say("group", group["group_id"], group.get("group_state") or "-")

    def describe(self, group):
        found = self.admin.describe_groups([group])[group]
        if found["error"]:
            raise RuntimeError(found["error"])
        say("state", found["group_state"])
        for member in found["members"]:
            topics = (member["member_assignment"] or {}).get("assigned_partitions", [])
            owned = parts(p for topic in topics for p in topic["partitions"])
            say("member", member["member_id"], member.get("group_instance_id") or "-", owned)

    def offsets(self, group, topic):
        for place, found in self.admin.list_group_offsets(group)[group].items():
            if place.topic == topic and found.offset >= 0:
                say("offset", place.partition, found.offset)

    def alter(self, group, topic, places):
        check(self.admin.alter_group_offsets(group, {
            TopicPartition(topic, p): OffsetAndMetadata(o, "", -1)
            for p, o in parse_offsets(places).items()
        }))

    def delete_offsets(self, group, topic, partitions):
        places = [TopicPartition(topic, int(p)) for p in partitions.split(",")]
        check(self.admin.delete_group_offsets(group, places))

    def delete(self, group):
        done = self.admin.delete_groups([group])
        if done.get(group) != "OK":
            raise RuntimeError(str(done))


if __name__ == "__main__":
    role, given = arguments()
    run_member(Member(**given)) if role == "member" else run_tool(Tool(**given))
