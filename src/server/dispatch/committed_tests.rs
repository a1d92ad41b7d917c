//! Both ways of an `OffsetFetch` give the bytes that the table of fields gives, of whatever groups.

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::call::{Call, Head};
use super::large::ROWS_MAX;
use super::{Broker, Remembered};
use crate::config::Config;
use crate::engine::{
    CommitPartition, CommitRequest, CommitTopic, Driving, EndTxnRequest, Engine, FetchRequest,
    FetchTopic, FetchedPartition, FetchedTopic, Producer,
};
use crate::ids::{TopicId, TopicName};
use crate::server::service::{Handled, Peer, Service as _};
use crate::time::ManualClock;
use crate::topics::{TopicKey, Topics, TopicsConfig};
use crate::txn::{Coordinator, Damage, Limits};
use crate::wire::messages::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::wire::{ApiKey, ErrorCode, RequestHeader};

/// Nobody commits to the last one.
const GROUPS: [&str; 3] = ["orders", "payments", "nobody"];
/// The last one does not exist for the broker.
const TOPICS: [&str; 3] = ["one", "two", "gone"];
const HOUR_MS: u64 = 3_600_000;

#[derive(Clone, Debug)]
enum Step {
    Commit {
        group: usize,
        topic: usize,
        partitions: Vec<i32>,
        value: (i64, i32, &'static str),
        retention_ms: Option<i64>,
        producer: Option<i64>,
    },
    End {
        group: usize,
        producer: i64,
        is_committed: bool,
    },
    /// Offsets expire, and groups come to rest.
    Later(u64),
}

/// What is asked of a group; `None`: everything. A topic beyond [`TOPICS`] has an unknown id.
type Asked = (usize, Option<Vec<(usize, Vec<i32>)>>);

fn partitions() -> impl Strategy<Value = Vec<i32>> {
    let side_by_side = |from: std::ops::Range<i32>| {
        (from, 1..90i32).prop_map(|(first, len)| (first..first.saturating_add(len)).collect())
    };
    prop_oneof![
        4 => side_by_side(-70..200),
        1 => side_by_side(i32::MAX - 100..i32::MAX),
        1 => Just((i32::MAX - 3..=i32::MAX).chain(i32::MIN..i32::MIN + 3).collect()),
        3 => prop::collection::vec(prop_oneof![4 => 0..200i32, 1 => any::<i32>()], 0..20),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offset = prop_oneof![8 => 0..1i64 << 40, 1 => any::<i64>()];
    let epoch = prop_oneof![8 => -1..100i32, 1 => any::<i32>()];
    let metadata = prop_oneof![8 => Just(""), 1 => Just("what a consumer keeps")];
    let retention_ms = prop::option::weighted(0.1, 1..36_000_000i64);
    let producer = prop::option::weighted(0.3, 0..2i64);
    let commit = (
        (0..2usize, 0..3usize, partitions()),
        (offset, epoch, metadata),
        retention_ms,
        producer,
    );
    let commit = commit.prop_map(
        |((group, topic, partitions), value, retention_ms, producer)| Step::Commit {
            group,
            topic,
            partitions,
            value,
            retention_ms,
            producer,
        },
    );
    let end = (0..2usize, 0..2i64, any::<bool>());
    let end = end.prop_map(|(group, producer, is_committed)| Step::End {
        group,
        producer,
        is_committed,
    });
    let later = (1..5 * HOUR_MS).prop_map(Step::Later);
    prop::collection::vec(prop_oneof![8 => commit, 1 => end, 1 => later], 0..12)
}

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let topics = prop::collection::vec((0..4usize, partitions()), 0..4);
    prop::collection::vec((0..3usize, prop::option::weighted(0.7, topics)), 1..4)
}

/// A broker, of whose topics all but the last exist, and a connection to it.
struct Node {
    broker: Broker,
    connection: Remembered,
    clock: ManualClock,
}

impl Node {
    fn new() -> Self {
        let config = Config::builder().build().unwrap();
        let clock = ManualClock::new();
        let engine = Engine::builder(config.clone()).clock(clock.clone());
        let engine = engine.driving(Driving::Host).open().unwrap();
        let topics = Topics::new(TopicsConfig::default());
        for name in &TOPICS[..2] {
            topics.describe_or_create(&TopicName::from(*name)).unwrap();
        }
        let transactions = Coordinator::open(None, Damage::Refuse, Limits::default(), engine.now());
        let topics = Arc::new(topics);
        let transactions = Arc::new(transactions.unwrap());
        let broker = Broker::new(engine, topics, transactions, config, None);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = broker.connect(&Peer {
            remote: address,
            local: address,
        });
        Self {
            broker,
            connection,
            clock,
        }
    }

    fn take(&self, step: Step) {
        let engine = &self.broker.engine;
        match step {
            Step::Commit {
                group,
                topic,
                partitions,
                value: (offset, leader_epoch, metadata),
                retention_ms,
                producer,
            } => {
                let partitions = partitions.into_iter().map(|partition| CommitPartition {
                    partition,
                    offset,
                    leader_epoch,
                    metadata: metadata.into(),
                    committed_at: None,
                });
                let mut commit = CommitRequest::new(GROUPS[group]);
                commit.retention_ms = retention_ms;
                commit.topics.push(CommitTopic {
                    topic: TOPICS[topic].into(),
                    id: self.id(topic),
                    partitions: partitions.collect(),
                });
                let committed = match producer {
                    Some(id) => engine.txn_commit(commit.in_transaction(Producer::new(id, 0))),
                    None => engine.commit(commit),
                };
                committed.wait().unwrap();
            }
            Step::End {
                group,
                producer,
                is_committed,
            } => {
                let end = engine.end_txn(EndTxnRequest {
                    group: GROUPS[group].into(),
                    producer: Producer::new(producer, 0),
                    committed: is_committed,
                });
                end.wait().unwrap();
            }
            Step::Later(ms) => {
                for _ in 0..4 {
                    self.clock.advance_ms(ms / 4);
                    engine.run_due();
                }
            }
        }
    }

    fn id(&self, topic: usize) -> TopicId {
        let name = TOPICS.get(topic).map(|name| TopicName::from(*name));
        let found = name.map(|name| self.broker.topics.describe(&TopicKey::Name(name)));
        match found {
            Some(found) => found.map_or(TopicId::ZERO, |it| it.id),
            None => TopicId([9; 16]),
        }
    }

    /// Carries out a part of a call, which answers at once; what it wrote.
    fn call<T>(&mut self, version: i16, part: impl FnOnce(&mut Call<'_>) -> T) -> (T, Vec<u8>) {
        let mut out = b"before".to_vec();
        let header = RequestHeader {
            api: ApiKey::OffsetFetch,
            version,
            correlation_id: 7,
            client_id: None,
        };
        let now = self.broker.engine.now();
        let mut call = Call {
            broker: &self.broker,
            connection: &mut self.connection,
            frame: &[],
            header,
            body: &[],
            now,
            out: &mut out,
        };
        let handled = part(&mut call);
        (handled, out)
    }

    fn request(&self, asked: &[Asked], is_stable_required: bool) -> OffsetFetchRequest<'static> {
        let names = |topic: usize| TOPICS.get(topic).copied().unwrap_or("unknown");
        let groups = asked.iter().map(|(group, topics)| {
            let topics = topics.as_ref().map(|topics| {
                let topics = topics
                    .iter()
                    .map(|(topic, partitions)| OffsetFetchRequestTopics {
                        name: names(*topic),
                        topic_id: self.id(*topic),
                        partition_indexes: partitions.clone(),
                    });
                topics.collect()
            });
            OffsetFetchRequestGroup {
                group_id: GROUPS[*group],
                topics,
                ..OffsetFetchRequestGroup::default()
            }
        });
        let (group, topics) = &asked[0];
        let topics = topics.as_ref().map(|topics| {
            let topics = topics
                .iter()
                .map(|(topic, partitions)| OffsetFetchRequestTopic {
                    name: names(*topic),
                    partition_indexes: partitions.clone(),
                });
            topics.collect()
        });
        OffsetFetchRequest {
            group_id: GROUPS[*group],
            topics,
            groups: groups.collect(),
            require_stable: is_stable_required,
        }
    }

    /// What the engine says of a group: each topic with its id and, if the engine was not even
    /// asked, the error of all its rows.
    fn fetched(&self, (group, topics): &Asked, version: i16, stable: bool) -> Vec<Topic> {
        let by_id = version >= 10;
        let known = |topic: usize| !by_id || topic < 2;
        let request = FetchRequest {
            group: GROUPS[*group].into(),
            topics: topics.as_ref().map(|topics| {
                let topics = topics.iter().filter(|(topic, _)| known(*topic));
                let topics = topics.map(|(topic, partitions)| FetchTopic {
                    topic: TOPICS.get(*topic).copied().unwrap_or("unknown").into(),
                    partitions: partitions.clone(),
                });
                topics.collect()
            }),
            require_stable: stable,
        };
        let mut fetched = self
            .broker
            .engine
            .fetch(request)
            .wait()
            .unwrap()
            .into_iter();
        let Some(topics) = topics else {
            let place =
                |it: &FetchedTopic| TOPICS.iter().position(|name| *name == it.topic.as_str());
            let all = fetched.map(|it| (self.id(place(&it).unwrap()), Ok(it)));
            return all.filter(|(id, _)| !by_id || !id.is_zero()).collect();
        };
        let each = topics.iter().map(|(topic, partitions)| {
            let found = known(*topic).then(|| fetched.next().unwrap());
            (self.id(*topic), found.ok_or_else(|| partitions.clone()))
        });
        each.collect()
    }

    /// The answer by the table of fields.
    fn specified(&self, asked: &[Asked], version: i16, stable: bool) -> Vec<u8> {
        let many = if version <= 7 { &asked[..1] } else { asked };
        let fetched: Vec<Vec<Topic>> = many
            .iter()
            .map(|one| self.fetched(one, version, stable))
            .collect();
        let mut response = OffsetFetchResponse::default();
        if version <= 7 {
            let topics = fetched[0].iter().map(|topic| OffsetFetchResponseTopic {
                name: name_of(topic),
                partitions: rows_of(topic).iter().map(as_of_one).collect(),
            });
            response.topics = topics.collect();
        } else {
            let groups = fetched.iter().zip(many).map(|(topics, (group, _))| {
                let topics = topics.iter().map(|topic| OffsetFetchResponseTopics {
                    name: name_of(topic),
                    topic_id: topic.0,
                    partitions: rows_of(topic),
                });
                OffsetFetchResponseGroup {
                    group_id: GROUPS[*group],
                    topics: topics.collect(),
                    error_code: 0,
                }
            });
            response.groups = groups.collect();
        }
        bytes_of(&response, version)
    }
}

fn bytes_of(response: &OffsetFetchResponse<'_>, version: i16) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let head = Head::new(ApiKey::OffsetFetch, version, 7);
    assert!(matches!(head.write(response, &mut out), Handled::Done));
    out
}

/// A topic's id, and what was fetched of it or, of an unknown id, what was asked for.
type Topic = (TopicId, Result<FetchedTopic, Vec<i32>>);

fn name_of(topic: &Topic) -> &str {
    topic.1.as_ref().map_or("", |it| it.topic.as_str())
}

fn rows_of((_, topic): &Topic) -> Vec<OffsetFetchResponsePartitions<'_>> {
    match topic {
        Ok(fetched) => fetched.partitions.iter().map(row_of).collect(),
        Err(asked) => {
            let unknown = |index: &i32| empty(*index, ErrorCode::UNKNOWN_TOPIC_ID);
            asked.iter().map(unknown).collect()
        }
    }
}

fn row_of(it: &FetchedPartition) -> OffsetFetchResponsePartitions<'_> {
    match &it.committed {
        Some(value) => OffsetFetchResponsePartitions {
            committed_offset: value.offset,
            committed_leader_epoch: value.leader_epoch,
            metadata: Some(&value.metadata),
            ..empty(it.partition, ErrorCode::NONE)
        },
        None if it.is_unstable => empty(it.partition, ErrorCode::UNSTABLE_OFFSET_COMMIT),
        None => empty(it.partition, ErrorCode::NONE),
    }
}

fn empty(index: i32, code: ErrorCode) -> OffsetFetchResponsePartitions<'static> {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(""),
        error_code: code.0,
    }
}

fn as_of_one<'r>(row: &OffsetFetchResponsePartitions<'r>) -> OffsetFetchResponsePartition<'r> {
    OffsetFetchResponsePartition {
        partition_index: row.partition_index,
        committed_offset: row.committed_offset,
        committed_leader_epoch: row.committed_leader_epoch,
        metadata: row.metadata,
        error_code: row.error_code,
    }
}

#[test]
fn a_refusal_stands_where_the_version_has_a_place_for_it() {
    let asked = (0, Some(vec![(0, vec![1, 2])]));
    let code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    for version in 0..=10 {
        let mut node = Node::new();
        node.broker.engine.shutdown();
        let request = node.request(std::slice::from_ref(&asked), false);
        let response = match version {
            ..2 => OffsetFetchResponse {
                topics: vec![OffsetFetchResponseTopic {
                    name: TOPICS[0],
                    partitions: [1, 2].map(|at| as_of_one(&empty(at, code))).to_vec(),
                }],
                ..OffsetFetchResponse::default()
            },
            2..8 => OffsetFetchResponse {
                error_code: code.0,
                ..OffsetFetchResponse::default()
            },
            8.. => OffsetFetchResponse {
                groups: vec![OffsetFetchResponseGroup {
                    group_id: GROUPS[0],
                    error_code: code.0,
                    ..OffsetFetchResponseGroup::default()
                }],
                ..OffsetFetchResponse::default()
            },
        };
        let ((), in_place) = node.call(version, |call| {
            assert!(call.fetch_in_place(&request).is_none(), "{version}");
        });
        assert_eq!(in_place, b"before", "{version}");
        let (_, told) = node.call(version, |call| call.fetch_by_values(&request));
        assert_eq!(told, bytes_of(&response, version), "{version}");
    }
}

proptest! {
    #[test]
    fn a_fetch_is_answered_in_place_as_by_values_and_as_it_is_specified(
        steps in steps(),
        asked in asked(),
        version in 0..=10i16,
        is_stable_required: bool,
    ) {
        let mut node = Node::new();
        for step in steps {
            node.take(step);
        }
        let stable = is_stable_required && version >= 7;
        let request = node.request(&asked, stable);
        let specified = node.specified(&asked, version, stable);
        // A longer answer is neither written in place nor at once.
        prop_assume!(specified.len() < 15 * ROWS_MAX);
        let (handled, by_values) = node.call(version, |call| call.fetch_by_values(&request));
        prop_assert!(matches!(handled, Handled::Done));
        prop_assert_eq!(&by_values, &specified);
        let (handled, in_place) = node.call(version, |call| {
            let request = OffsetFetchRequest {
                // Of the two forms a request has the one of its version.
                topics: request.topics.clone().filter(|_| version <= 7),
                groups: if version >= 8 { request.groups.clone() } else { Vec::new() },
                ..request
            };
            call.fetch_in_place(&request)
        });
        if version >= 10 && asked.iter().any(|(_, topics)| topics.is_none()) {
            prop_assert!(handled.is_none() && in_place == b"before");
        } else {
            prop_assert!(matches!(handled, Some(Handled::Done)));
            prop_assert_eq!(in_place, specified);
        }
    }
}
