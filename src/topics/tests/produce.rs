//! What is appended, and what is refused.

use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use proptest::prelude::*;

use super::sample::{
    NOW, answer, ask, batch, fetch_of, name, new_topic, seal, topics_with, with_config,
};
use crate::topics::{Appended, TopicError, Topics, TopicsConfig};

fn produce(topics: &Topics, bytes: &[u8]) -> Result<Appended, TopicError> {
    topics.produce(&name("t"), 0, bytes, NOW)
}

#[test]
fn batches_get_the_offsets_that_come_next() {
    let topics = topics_with("t", 1);
    let first = produce(&topics, &batch(3).bytes()).unwrap();
    let second = produce(&topics, &batch(2).bytes()).unwrap();
    let appended = |base_offset| Appended {
        base_offset,
        log_append_time: None,
        log_start_offset: 0,
    };
    assert_eq!((first, second), (appended(0), appended(3)));
}

#[test]
fn a_stored_batch_differs_from_what_was_sent_in_offset_and_leader_epoch_alone() {
    let topics = topics_with("t", 1);
    let sent = batch(2).bytes();
    produce(&topics, &batch(3).bytes()).unwrap();
    produce(&topics, &sent).unwrap();
    let response = answer(&topics, fetch_of(vec![ask(&name("t"), 0, 3)]));
    let mut expected = sent;
    expected[..8].copy_from_slice(&3_i64.to_be_bytes());
    expected[12..16].copy_from_slice(&0_i32.to_be_bytes());
    assert_eq!(response.partitions[0].batches, [expected]);
}

#[test]
fn compressed_records_pass_through_whatever_they_are() {
    let topics = topics_with("t", 1);
    for codec in 1..=4 {
        let mut covered = batch(5).attributes(codec).bytes()[21..].to_vec();
        covered.truncate(40);
        covered.extend(b"opaque");
        assert!(produce(&topics, &seal(0, &covered)).is_ok(), "{codec}");
    }
    let unknown = batch(1).attributes(5).bytes();
    let refusal = produce(&topics, &unknown);
    assert_eq!(refusal, Err(TopicError::UnsupportedCompressionType));
}

#[test]
fn a_batch_with_a_flipped_bit_is_refused() {
    let topics = topics_with("t", 1);
    let sent = batch(2).bytes();
    for at in 17..sent.len() {
        let mut flipped = sent.clone();
        flipped[at] ^= 1;
        let refusal = produce(&topics, &flipped);
        assert_eq!(refusal, Err(TopicError::CorruptMessage), "byte {at}");
    }
}

#[test]
fn a_batch_that_is_cut_short_is_refused() {
    let topics = topics_with("t", 1);
    let sent = batch(2).bytes();
    for len in 0..sent.len() {
        let refusal = produce(&topics, &sent[..len]);
        assert_eq!(refusal, Err(TopicError::CorruptMessage), "{len} bytes");
    }
}

#[test]
fn two_batches_at_once_are_refused() {
    let topics = topics_with("t", 1);
    let two = [batch(1).bytes(), batch(1).bytes()].concat();
    assert_eq!(produce(&topics, &two), Err(TopicError::InvalidRecord));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let topics = topics_with("t", 1);
    let mut offset = batch(1);
    offset.base_offset = 7;
    let mut miscounted = batch(2).bytes()[21..].to_vec();
    miscounted[36..40].copy_from_slice(&3_i32.to_be_bytes());
    let mut old = batch(1).bytes();
    old[16] = 1;
    let mut longer = batch(1).bytes()[21..].to_vec();
    longer.push(0);
    let refused = [
        offset.bytes(),
        seal(0, &miscounted),
        batch(0).bytes(),
        old,
        seal(0, &longer),
        batch(1).of(4, 0, -1).bytes(),
        // A control batch is not a client's to write.
        batch(1).attributes(1 << 5).bytes(),
    ];
    for (at, bytes) in refused.iter().enumerate() {
        assert_eq!(
            produce(&topics, bytes),
            Err(TopicError::InvalidRecord),
            "case {at}"
        );
    }
}

#[test]
fn transactions_and_foreign_stamps_are_refused_by_their_own_errors() {
    let topics = topics_with("t", 1);
    let transactional = batch(1).attributes(1 << 4).of(4, 0, 0).bytes();
    assert_eq!(
        produce(&topics, &transactional),
        Err(TopicError::InvalidTxnState)
    );
    let stamped = batch(1).attributes(1 << 3).bytes();
    assert_eq!(
        produce(&topics, &stamped),
        Err(TopicError::InvalidTimestamp)
    );
}

#[test]
fn a_record_may_be_an_hour_ahead_and_no_more() {
    let topics = topics_with("t", 1);
    let ahead = |ms| batch(1).timestamps(&[NOW.0 + ms]).bytes();
    assert!(produce(&topics, &ahead(3_600_000)).is_ok());
    let refusal = produce(&topics, &ahead(3_600_001));
    assert_eq!(refusal, Err(TopicError::InvalidTimestamp));
}

#[test]
fn a_batch_may_be_as_large_as_the_topic_allows_and_no_larger() {
    let topics = Topics::new(TopicsConfig::default());
    let len = batch(1).bytes().len();
    for (topic, max) in [("fits", len), ("large", len - 1)] {
        let new = with_config(new_topic(topic, 1), "max.message.bytes", &max.to_string());
        topics.create(&new, false).unwrap();
    }
    let sent = batch(1).bytes();
    assert!(topics.produce(&name("fits"), 0, &sent, NOW).is_ok());
    let refusal = topics.produce(&name("large"), 0, &sent, NOW);
    assert_eq!(refusal, Err(TopicError::MessageTooLarge));
}

#[test]
fn a_topic_of_log_append_time_stamps_its_batches() {
    let topics = Topics::new(TopicsConfig::default());
    let stamps = with_config(new_topic("t", 1), "message.timestamp.type", "LogAppendTime");
    topics.create(&stamps, false).unwrap();
    let appended = produce(&topics, &batch(2).bytes()).unwrap();
    assert_eq!(appended.log_append_time, Some(NOW));

    let response = answer(&topics, fetch_of(vec![ask(&name("t"), 0, 0)]));
    let stored = &response.partitions[0].batches[0];
    assert_eq!(stored[35..43], NOW.0.to_be_bytes());
    assert_eq!(stored[22] & 8, 8);
    assert_eq!(stored[17..21], crc32c::crc32c(&stored[21..]).to_be_bytes());
}

#[test]
fn an_unknown_topic_or_partition_takes_nothing() {
    let topics = topics_with("t", 1);
    let sent = batch(1).bytes();
    for (topic, partition) in [("t", 1), ("t", -1), ("u", 0)] {
        let refusal = topics.produce(&name(topic), partition, &sent, NOW);
        assert_eq!(refusal, Err(TopicError::UnknownTopicOrPartition));
    }
    assert_eq!(topics.bytes_used(), 0);
}

/// What a client's own encoder makes of two records.
fn foreign_batch() -> Vec<u8> {
    let record = |index: i32| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 7,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset: index.into(),
        sequence: index,
        timestamp: 1_000 + i64::from(index) * 300,
        key: Some("key".into()),
        value: Some(vec![b'v'; 300].into()),
        headers: [("header".into(), None)].into_iter().collect(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = bytes::BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &[record(0), record(1)], &options).unwrap();
    bytes.to_vec()
}

#[test]
fn batches_of_another_encoder_are_taken_and_read_back_by_its_decoder() {
    let topics = topics_with("t", 1);
    produce(&topics, &batch(4).bytes()).unwrap();
    produce(&topics, &foreign_batch()).unwrap();
    let mut response = answer(&topics, fetch_of(vec![ask(&name("t"), 0, 4)]));
    let mut stored = response.partitions[0].batches.remove(0);
    let records = RecordBatchDecoder::decode(&mut stored).unwrap().records;
    let read: Vec<_> = records
        .iter()
        .map(|one| (one.offset, one.partition_leader_epoch, one.timestamp))
        .collect();
    assert_eq!(read, [(4, 0, 1_000), (5, 0, 1_300)]);

    let spec = crate::topics::OffsetSpec::AtOrAfter(1_001);
    let listed = topics.list_offset(&name("t"), 0, -1, spec).unwrap();
    // The batch before is of the times 1000 to 1003.
    assert_eq!((listed.offset, listed.timestamp), (1, 1_001));
    let spec = crate::topics::OffsetSpec::MaxTimestamp;
    let listed = topics.list_offset(&name("t"), 0, -1, spec).unwrap();
    assert_eq!((listed.offset, listed.timestamp), (5, 1_300));
}

proptest! {
    #[test]
    fn random_bytes_are_refused_and_nothing_breaks(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let topics = topics_with("t", 1);
        prop_assert!(produce(&topics, &bytes).is_err());
        prop_assert_eq!(topics.bytes_used(), 0);
    }

    #[test]
    fn a_sealed_batch_of_random_content_never_breaks_the_log(
        covered in prop::collection::vec(any::<u8>(), 0..300),
        timestamp in any::<i64>(),
    ) {
        let topics = topics_with("t", 1);
        let _ = produce(&topics, &seal(0, &covered));
        let spec = crate::topics::OffsetSpec::AtOrAfter(timestamp);
        prop_assert!(topics.list_offset(&name("t"), 0, -1, spec).is_ok());
    }

    #[test]
    fn a_batch_with_random_records_is_taken_only_if_they_are_whole(
        count in 1_i64..4,
        edits in prop::collection::vec((40_usize..100, any::<u8>()), 1..4),
    ) {
        let topics = topics_with("t", 1);
        let mut covered = batch(count).bytes()[21..].to_vec();
        for (at, byte) in edits {
            if let Some(edited) = covered.get_mut(at) {
                *edited = byte;
            }
        }
        let result = produce(&topics, &seal(0, &covered));
        prop_assert!(matches!(result, Ok(_) | Err(TopicError::InvalidRecord)));
    }
}
