//! The server is killed by SIGKILL again and again under load, and comes back on its port: what it
//! answered is there, and its members go on where they were.
//!
//! `TAKHIN_KILLS=200` makes it longer than the usual twelve lives. When a life ends depends on a
//! seed, which is printed; `TAKHIN_SEED` repeats one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    FetchResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupRequestProtocol,
    JoinGroupResponse, OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
    ProduceResponse, SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::records::{NOBODY, Topic, batch, create, fetch_request, produce_request};
use crate::{place, try_commit};

const TOPICS: [&str; 3] = ["load-0", "load-1", "load-2"];
const GROUP: &str = "members";
/// `COORDINATOR_LOAD_IN_PROGRESS`: ask again.
const LOADING: i16 = 14;

/// Numbers by their seed alone (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A number that differs from run to run, but for `TAKHIN_SEED`.
fn seed() -> u64 {
    let drawn = || uuid::Uuid::new_v4().as_u64_pair().0;
    variable("TAKHIN_SEED").unwrap_or_else(drawn)
}

/// One load and what it was told: what was acknowledged last, and of a producer every record.
#[derive(Clone, Debug)]
struct Load {
    topic: Topic,
    /// The numbers that were acknowledged, by their offsets.
    records: Vec<(i64, i64)>,
    produced: i64,
    committed: i64,
}

impl Load {
    /// Appends a number and commits it, over and over, until the server is gone.
    fn run(mut self, address: SocketAddr, member: &(i32, String), answers: &AtomicU64) -> Self {
        let mut client = Client::connect(address);
        loop {
            let next = self.produced + 1;
            let records = batch(&next.to_be_bytes(), NOBODY);
            let request = produce_request(&self.topic, 9, -1, &records);
            let Ok(body) = client.try_ask(ApiKey::Produce, 9, &request) else {
                return self;
            };
            let response = read::<ProduceResponse<'_>>(&body, 9);
            let told = &response.responses[0].partition_responses[0];
            assert_eq!(told.error_code, 0);
            self.records.push((told.base_offset, next));
            self.produced = next;
            answers.fetch_add(1, Ordering::Relaxed);
            let member = (member.0, member.1.as_str());
            let next = self.committed + 1;
            match try_commit(&mut client, GROUP, member, &self.topic, next) {
                Ok(LOADING) => continue,
                Ok(code) => assert_eq!(code, 0, "a member was fenced"),
                Err(_) => return self,
            }
            self.committed = next;
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was acknowledged is there, and no more than what was on its way.
    fn check(&mut self, client: &mut Client, context: &str) {
        let found = numbers(client, &self.topic);
        for (offset, number) in &self.records {
            let at = usize::try_from(*offset).unwrap();
            assert_eq!(
                found.get(at),
                Some(number),
                "{context}: {} at {offset}",
                self.topic.name
            );
        }
        let newest = found.last().copied().unwrap_or(0);
        assert!(
            (self.produced..=self.produced + 1).contains(&newest),
            "{context}: {newest}"
        );
        self.produced = newest;
        let offset = committed(client, &self.topic);
        assert!(
            (self.committed..=self.committed + 1).contains(&offset),
            "{context}: {} of {} in {}",
            offset,
            self.committed,
            self.topic.name
        );
        self.committed = offset;
    }
}

/// All numbers in a topic.
fn numbers(client: &mut Client, topic: &Topic) -> Vec<i64> {
    let mut found = Vec::new();
    loop {
        let offset = i64::try_from(found.len()).unwrap();
        let request = fetch_request(topic, 13, offset);
        let body = client.ask(ApiKey::Fetch, 13, &request);
        let response = read::<FetchResponse<'_>>(&body, 13);
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        let mut records = partition.records.unwrap_or_default();
        if records.is_empty() {
            return found;
        }
        while !records.is_empty() {
            let length = i32::from_be_bytes(records[8..12].try_into().unwrap());
            let (one, rest) = records.split_at(12 + usize::try_from(length).unwrap());
            let base = i64::from_be_bytes(one[..8].try_into().unwrap());
            assert_eq!(base, i64::try_from(found.len()).unwrap(), "a hole");
            // The value, before the count of headers.
            let value = &one[one.len() - 9..one.len() - 1];
            found.push(i64::from_be_bytes(value.try_into().unwrap()));
            records = rest;
        }
    }
}

/// The group's offset of a topic, 0 if there is none.
fn committed(client: &mut Client, topic: &Topic) -> i64 {
    let request = OffsetFetchRequest {
        group_id: GROUP,
        topics: Some(vec![OffsetFetchRequestTopic {
            name: topic.name,
            partition_indexes: vec![0],
        }]),
        ..Default::default()
    };
    loop {
        let body = client.ask(ApiKey::OffsetFetch, 7, &request);
        let response = read::<OffsetFetchResponse<'_>>(&body, 7);
        if response.error_code != LOADING {
            assert_eq!(response.error_code, 0);
            return response.topics[0].partitions[0].committed_offset.max(0);
        }
        std::thread::yield_now();
    }
}

/// Makes the group's one member; its generation and id.
fn join(client: &mut Client) -> (i32, String) {
    let mut member = String::new();
    let generation = loop {
        let request = JoinGroupRequest {
            group_id: GROUP,
            session_timeout_ms: 60_000,
            rebalance_timeout_ms: 60_000,
            member_id: &member,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol {
                name: "range",
                metadata: b"",
            }],
            ..Default::default()
        };
        let body = client.ask(ApiKey::JoinGroup, 5, &request);
        let response = read::<JoinGroupResponse<'_>>(&body, 5);
        let joined = response.error_code == 0;
        let generation = response.generation_id;
        response.member_id.clone_into(&mut member);
        if joined {
            break generation;
        }
    };
    let request = SyncGroupRequest {
        group_id: GROUP,
        generation_id: generation,
        member_id: &member,
        assignments: vec![SyncGroupRequestAssignment {
            member_id: &member,
            assignment: b"all of it",
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::SyncGroup, 3, &request);
    assert_eq!(read::<SyncGroupResponse<'_>>(&body, 3).error_code, 0);
    (generation, member)
}

/// The member's answer to a beat: it is still in that very generation.
fn beat(client: &mut Client, (generation, member): &(i32, String)) -> i16 {
    let request = HeartbeatRequest {
        group_id: GROUP,
        generation_id: *generation,
        member_id: member,
        ..Default::default()
    };
    let body = client.ask(ApiKey::Heartbeat, 3, &request);
    read::<HeartbeatResponse>(&body, 3).error_code
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill_and_nobody_rebalances() {
    let seed = seed();
    let lives = variable("TAKHIN_KILLS").unwrap_or(12);
    println!("TAKHIN_SEED={seed} TAKHIN_KILLS={lives}");
    let mut random = Random(seed);
    let dir = place("killed");
    let args = [
        "--data-dir",
        dir.to_str().unwrap(),
        "--set",
        "group.initial.rebalance.delay.ms=0",
    ];
    let mut node = Node::start(&args);
    let address = node.address;
    let mut client = node.connect();
    let member = Arc::new(join(&mut client));
    let mut loads: Vec<Load> = TOPICS
        .iter()
        .map(|topic| Load {
            topic: create(&mut client, topic, 1),
            records: Vec::new(),
            produced: 0,
            committed: 0,
        })
        .collect();
    for life in 0..lives {
        let answers = Arc::new(AtomicU64::new(0));
        let running: Vec<JoinHandle<Load>> = loads
            .into_iter()
            .map(|load| {
                let (member, answers) = (Arc::clone(&member), Arc::clone(&answers));
                std::thread::spawn(move || load.run(address, &member, &answers))
            })
            .collect();
        let enough = 1 + random.below(400);
        while answers.load(Ordering::Relaxed) < enough {
            assert!(!running.iter().all(JoinHandle::is_finished), "life {life}");
            std::thread::yield_now();
        }
        node.child.kill().unwrap();
        node.child.wait().unwrap();
        loads = running.into_iter().map(|it| it.join().unwrap()).collect();
        node = Node::start_at(&address.to_string(), &args);
        let mut client = node.connect();
        let context = format!("TAKHIN_SEED={seed}, life {life}");
        for load in &mut loads {
            load.check(&mut client, &context);
        }
        // The shard has loaded by now: before that a beat is always well, as in Kafka.
        assert_eq!(
            beat(&mut client, &member),
            0,
            "{context}: the member rebalances"
        );
    }
    assert!(
        loads
            .iter()
            .all(|load| load.committed > 0 && load.produced > 0)
    );
}
