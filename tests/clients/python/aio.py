"""aiokafka."""

import asyncio
import queue
import sys
import traceback

from aiokafka import (
    AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition,
)
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment as Assignment
from aiokafka.errors import for_code
from aiokafka.protocol.commit import OffsetFetchRequest

from driver import (
    arguments, commands, kept, offsets, one_line, parse_offsets, parts, records, say, say_record,
)


class Member(ConsumerRebalanceListener):
    def __init__(self, bootstrap, group, topic, session, instance=None):
        self.topic, self.positions = topic, {}
        self.config = {
            "bootstrap_servers": bootstrap,
            "group_id": group,
            "group_instance_id": instance,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "session_timeout_ms": int(session),
            "heartbeat_interval_ms": 300,
        }

    async def on_partitions_assigned(self, assigned):
        self.positions = kept(self.positions, assigned)
        say("assigned", self.consumer._coordinator.generation, parts(p.partition for p in assigned))

    async def on_partitions_revoked(self, revoked):
        if revoked:
            say("revoked", parts(p.partition for p in revoked))

    async def poll(self):
        for batch in (await self.consumer.getmany(timeout_ms=100)).values():
            for record in batch:
                self.positions[record.partition] = record.offset + 1
                say_record(record.partition, record.offset, record.key, record.value)

    async def run(self):
        waiting = commands()
        self.consumer = AIOKafkaConsumer(**self.config)
        self.consumer.subscribe([self.topic], listener=self)
        await self.consumer.start()
        while True:
            await self.poll()
            try:
                command = waiting.get_nowait()
            except queue.Empty:
                continue
            if command == "quit":
                break
            if self.positions:
                await self.consumer.commit({
                    TopicPartition(self.topic, p): o for p, o in self.positions.items()
                })
            say("committed", offsets(self.positions))
        await self.consumer.stop()
        say("closed")


class Tool:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    async def create(self, topic, count):
        done = await self.admin.create_topics([NewTopic(topic, int(count), 1)])
        for _, code, *message in done.topic_errors:
            if code:
                raise for_code(code)(str(message))

    async def produce(self, topic, prefix, count):
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        sent = [await producer.send(topic, value, key) for key, value in records(prefix, count)]
        await asyncio.gather(*sent)
        await producer.stop()

    async def list(self):
        for group, _ in await self.admin.list_consumer_groups():
            say("group", group, "-")

    async def describe(self, group):
        response, = await self.admin.describe_consumer_groups([group])
        code, _, state, _, _, members, *_ = response.groups[0]
        if code:
            raise for_code(code)(group)
        say("state", state)
        for member, *rest in members:
            assignment = Assignment.decode(rest[-1]).assignment if rest[-1] else []
            say("member", member, "-", parts(p for _, owned in assignment for p in owned))

    async def offsets(self, group, topic):
        for name, places in await self.committed(group):
            for partition, offset, _, code in places:
                if code:
                    raise for_code(code)(f"{name} {partition}")
                if name == topic and offset >= 0:
                    say("offset", partition, offset)

    async def committed(self, group):
        # Asked by hand: the admin client does not look at the error of the whole answer, and takes
        # a group that is being loaded for one without offsets.
        coordinator = await self.admin.find_coordinator(group)
        while True:
            request = OffsetFetchRequest(group, None)
            answer = await self.admin._send_request(request, coordinator)
            if not answer.error_code:
                return answer.topics
            error = for_code(answer.error_code)
            if not error.retriable:
                raise error(group)
            await asyncio.sleep(0.05)

    async def alter(self, group, topic, places):
        # The admin client cannot; a consumer that has assigned itself commits as nobody.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        wanted = {TopicPartition(topic, p): o for p, o in parse_offsets(places).items()}
        consumer.assign(list(wanted))
        await consumer.commit(wanted)
        await consumer.stop()

    async def run(self):
        self.admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await self.admin.start()
        while line := await asyncio.to_thread(sys.stdin.readline):
            verb, *words = line.split()
            try:
                await getattr(self, verb)(*words)
                say("ok")
            except Exception as error:  # whatever the client throws is the answer
                traceback.print_exc()
                say("error", one_line(error))
        await self.admin.close()


if __name__ == "__main__":
    role, given = arguments()
    try:
        asyncio.run((Member if role == "member" else Tool)(**given).run())
    except Exception as error:
        traceback.print_exc()
        say("error", one_line(error))
        sys.exit(1)
