//! What one fetch returns.

use super::sample::{NOW, answer, ask, batch, fetch_of, name, topics_with};
use crate::ids::TopicId;
use crate::topics::{
    Divergence, FetchPartition, FetchResponse, FetchedPartition, TopicError, TopicKey, Topics,
};

/// Appends a batch of two records; its size.
fn write(topics: &Topics, partition: i32) -> usize {
    let bytes = batch(2).bytes();
    topics.produce(&name("t"), partition, &bytes, NOW).unwrap();
    bytes.len()
}

fn only(response: FetchResponse) -> FetchedPartition {
    let [partition] = <[_; 1]>::try_from(response.partitions).unwrap();
    partition
}

fn read(topics: &Topics, ask: FetchPartition) -> FetchedPartition {
    only(answer(topics, fetch_of(vec![ask])))
}

#[test]
fn a_fetch_begins_with_the_batch_that_contains_the_offset() {
    let topics = topics_with("t", 1);
    for _ in 0..3 {
        write(&topics, 0);
    }
    let first_offsets = |offset| -> Vec<i64> {
        let batches = read(&topics, ask(&name("t"), 0, offset)).batches;
        let first = |batch: &bytes::Bytes| i64::from_be_bytes(batch[..8].try_into().unwrap());
        batches.iter().map(first).collect()
    };
    assert_eq!(first_offsets(0), [0, 2, 4]);
    assert_eq!(first_offsets(3), [2, 4]);
    assert_eq!(first_offsets(4), [4]);
    assert_eq!(first_offsets(6), [0; 0]);
}

#[test]
fn an_offset_outside_of_the_log_is_answered_with_its_bounds() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    topics.delete_records(&name("t"), 0, 1).unwrap();
    for offset in [-1, 0, 3, i64::MAX] {
        let partition = read(&topics, ask(&name("t"), 0, offset));
        assert_eq!(
            partition.error,
            Some(TopicError::OffsetOutOfRange),
            "{offset}"
        );
        assert_eq!(
            (partition.log_start_offset, partition.high_watermark),
            (1, 2)
        );
    }
}

#[test]
fn a_partition_gives_whole_batches_up_to_its_own_limit() {
    let topics = topics_with("t", 1);
    let size = write(&topics, 0);
    for _ in 0..3 {
        write(&topics, 0);
    }
    for (limit, expected) in [
        (size * 2, 2),
        (size * 2 - 1, 1),
        (size * 3 - 1, 2),
        // The first batch of an answer comes whatever its size (KIP-74).
        (1, 1),
        (0, 1),
    ] {
        let mut ask = ask(&name("t"), 0, 0);
        ask.max_bytes = i32::try_from(limit).unwrap();
        assert_eq!(read(&topics, ask).batches.len(), expected, "{limit}");
    }
}

#[test]
fn partitions_share_the_limit_of_the_answer_in_the_order_asked_for() {
    let topics = topics_with("t", 4);
    let mut size = 0;
    for partition in 1..4 {
        size = write(&topics, partition);
        write(&topics, partition);
    }
    let counts = |limit: usize| -> Vec<usize> {
        let asks = (0..4).map(|partition| ask(&name("t"), partition, 0));
        let mut request = fetch_of(asks.collect());
        request.max_bytes = i32::try_from(limit).unwrap();
        let response = answer(&topics, request);
        let partitions = response.partitions.iter();
        partitions.map(|one| one.batches.len()).collect()
    };
    assert_eq!(counts(size * 3), [0, 2, 1, 0]);
    // Only the first partition that has anything may go over the limit.
    assert_eq!(counts(1), [0, 1, 0, 0]);
}

#[test]
fn topics_are_fetched_by_id_too() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    let by_id = TopicKey::Id(topics.describe(&name("t")).unwrap().id);
    let partition = read(&topics, ask(&by_id, 0, 0));
    assert_eq!((partition.topic, partition.batches.len()), (by_id, 1));
    let unknown = TopicKey::Id(TopicId([9; 16]));
    let partition = read(&topics, ask(&unknown, 0, 0));
    assert_eq!(partition.error, Some(TopicError::UnknownTopicId));
    assert_eq!(
        (partition.log_start_offset, partition.high_watermark),
        (-1, -1)
    );
}

#[test]
fn what_is_wrong_with_one_partition_leaves_the_others_alone() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    let asks = vec![
        ask(&name("u"), 0, 0),
        ask(&name("t"), 7, 0),
        ask(&name("t"), 0, 0),
    ];
    let response = answer(&topics, fetch_of(asks));
    let errors: Vec<_> = response
        .partitions
        .into_iter()
        .map(|one| one.error)
        .collect();
    let unknown = Some(TopicError::UnknownTopicOrPartition);
    assert_eq!(errors, [unknown.clone(), unknown, None]);
}

#[test]
fn a_leader_that_was_never_elected_is_unknown() {
    let topics = topics_with("t", 1);
    let mut ask = ask(&name("t"), 0, 0);
    ask.current_leader_epoch = 0;
    assert_eq!(read(&topics, ask.clone()).error, None);
    ask.current_leader_epoch = 1;
    assert_eq!(
        read(&topics, ask).error,
        Some(TopicError::UnknownLeaderEpoch)
    );
}

#[test]
fn a_history_that_is_not_the_logs_is_told_where_they_part() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    let mut ask = ask(&name("t"), 0, 5);
    ask.last_fetched_epoch = 0;
    let partition = read(&topics, ask.clone());
    let expected = Divergence {
        epoch: 0,
        end_offset: 2,
    };
    assert_eq!(
        (partition.error, partition.divergence),
        (None, Some(expected))
    );
    ask.last_fetched_epoch = 3;
    let partition = read(&topics, ask);
    assert_eq!(partition.error, Some(TopicError::OffsetOutOfRange));
}

#[test]
fn a_partition_that_is_named_twice_counts_once_as_named_last() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    write(&topics, 0);
    let request = fetch_of(vec![ask(&name("t"), 0, 0), ask(&name("t"), 0, 2)]);
    assert_eq!(only(answer(&topics, request)).batches.len(), 1);
}

#[test]
fn what_is_fetched_shares_the_logs_memory() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    let first = read(&topics, ask(&name("t"), 0, 0)).batches;
    let second = read(&topics, ask(&name("t"), 0, 0)).batches;
    assert_eq!(first[0].as_ptr(), second[0].as_ptr());
}
