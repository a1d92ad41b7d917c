// KafkaJS. The language of the lines is described in ../src/lib.rs.
import { createInterface } from 'node:readline'
import kafkajs from 'kafkajs'

const { AssignerProtocol, Kafka, logLevel, Partitioners } = kafkajs

const say = (...words) => process.stdout.write(words.join(' ') + '\n')
const parts = list => [...list].sort((a, b) => a - b).join(',') || '-'
const offsets = positions => [...positions].map(([p, o]) => `${p}:${o}`).join(',') || '-'
const parseOffsets = word =>
  word.split(',').map(pair => {
    const [partition, offset] = pair.split(':')
    return { partition: Number(partition), offset }
  })

const [role, ...rest] = process.argv.slice(2)
const args = Object.fromEntries(rest.map(arg => arg.split('=', 2)))
const kafka = new Kafka({ brokers: [args.bootstrap], logLevel: logLevel.ERROR })

// One command after the other, each line once the one before it is done.
async function obey(command) {
  for await (const line of createInterface({ input: process.stdin })) {
    if (await command(...line.split(' ')) === 'quit') break
  }
}

async function member({ group, topic, session }) {
  let positions = new Map()
  let owned = []
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: Number(session),
    heartbeatInterval: 300,
    // Heartbeats are sent between fetches.
    maxWaitTimeInMs: 200
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    owned = payload.memberAssignment[topic] ?? []
    positions = new Map([...positions].filter(([p]) => owned.includes(p)))
    // KafkaJS shows no generation.
    say('assigned', '-', parts(owned))
  })
  consumer.on(consumer.events.REBALANCING, () => say('revoked', parts(owned)))
  consumer.on(consumer.events.CRASH, ({ payload }) => say('error', payload.error.message))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      positions.set(partition, Number(message.offset) + 1)
      say('record', partition, message.offset, message.key, message.value)
    }
  })
  await obey(async command => {
    if (command === 'quit') return command
    const wanted = new Map(positions)
    await consumer.commitOffsets(
      [...wanted].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }))
    )
    say('committed', offsets(wanted))
  })
  await consumer.disconnect()
  say('closed')
}

async function tool() {
  const admin = kafka.admin()
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await admin.connect()
  await producer.connect()
  const verbs = {
    create: (topic, count) =>
      admin.createTopics({
        waitForLeaders: true,
        topics: [{ topic, numPartitions: Number(count), replicationFactor: 1 }]
      }),
    produce: (topic, prefix, count) =>
      producer.send({
        topic,
        acks: -1,
        messages: Array.from({ length: Number(count) }, (_, n) =>
          ({ key: `k${n % 50}`, value: `${prefix}-${n}` }))
      }),
    list: async () => {
      for (const { groupId } of (await admin.listGroups()).groups) say('group', groupId, '-')
    },
    describe: async group => {
      const { groups: [found] } = await admin.describeGroups([group])
      if (found.errorCode) throw new Error(`error code ${found.errorCode}`)
      say('state', found.state)
      for (const { memberId, memberAssignment } of found.members) {
        const assigned = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment
        say('member', memberId, '-', parts(Object.values(assigned ?? {}).flat()))
      }
    },
    offsets: async (groupId, topic) => {
      const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
      for (const { partition, offset } of found.partitions) {
        if (Number(offset) >= 0) say('offset', partition, offset)
      }
    },
    alter: (groupId, topic, places) =>
      admin.setOffsets({ groupId, topic, partitions: parseOffsets(places) }),
    delete: group => admin.deleteGroups([group])
  }
  await obey(async (verb, ...words) => {
    try {
      await verbs[verb](...words)
      say('ok')
    } catch (error) {
      const causes = (error.groups ?? []).map(({ error }) => error?.message)
      say('error', [error.message, ...causes].join(' '))
    }
  })
  await producer.disconnect()
  await admin.disconnect()
}

try {
  await (role === 'member' ? member(args) : tool())
  process.exit(0)
} catch (error) {
  console.error(error)
  say('error', error.message)
  process.exit(1)
}
