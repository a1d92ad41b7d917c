//! The consumer protocol's own bytes: subscriptions and assignments.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition,
};
use kafka_protocol::messages::consumer_protocol_subscription::{
    ConsumerProtocolSubscription, TopicPartition as Owned,
};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::cx::{Cx, text};

fn versioned(message: &impl Encodable, version: i16) -> Bytes {
    let mut out = version.to_be_bytes().to_vec();
    message
        .encode(&mut out, version)
        .expect("the version carries what is set");
    out.into()
}

/// A subscription (version 1) to `topics`, with `tag` as user data and `owned` partitions.
pub fn subscription(topics: &[&str], tag: &str, owned: &[(&str, &[i32])]) -> Bytes {
    let owned = owned
        .iter()
        .map(|(t, p)| {
            Owned::default()
                .with_topic(TopicName(text(t)))
                .with_partitions(p.to_vec())
        })
        .collect();
    let subscription = ConsumerProtocolSubscription::default()
        .with_topics(topics.iter().map(text).collect())
        .with_user_data(Some(Bytes::copy_from_slice(tag.as_bytes())))
        .with_owned_partitions(owned);
    versioned(&subscription, 1)
}

pub fn assignment(parts: &[(&str, &[i32])]) -> Bytes {
    let parts = parts
        .iter()
        .map(|(t, p)| {
            TopicPartition::default()
                .with_topic(TopicName(text(t)))
                .with_partitions(p.to_vec())
        })
        .collect();
    versioned(
        &ConsumerProtocolAssignment::default().with_assigned_partitions(parts),
        1,
    )
}

/// What an assignment names, as text; `None` if it isn't one.
pub fn assignment_text(cx: &Cx, bytes: &Bytes) -> Option<String> {
    let mut rest = bytes.clone();
    if rest.remaining() < 2 {
        return None;
    }
    let version = rest.get_i16();
    if !(0..=3).contains(&version) {
        return None;
    }
    let decoded = ConsumerProtocolAssignment::decode(&mut rest, version).ok()?;
    if rest.has_remaining() {
        return None;
    }
    let mut topics: Vec<String> = decoded
        .assigned_partitions
        .iter()
        .map(|t| {
            let mut partitions = t.partitions.clone();
            partitions.sort_unstable();
            let list: Vec<_> = partitions.iter().map(i32::to_string).collect();
            format!("{}:{}", cx.show(&t.topic.0), list.join(","))
        })
        .collect();
    topics.sort();
    Some(format!("v{version}{{{}}}", topics.join(";")))
}
