//! Transactions in a partition: markers, the last stable offset, and what committed readers see.

use super::sample::{NOW, answer, ask, batch, fetch_of, name, topics_with};
use crate::topics::{
    AbortedTransaction, FetchedPartition, OffsetSpec, ProducerIdentity, TopicError, Topics,
    TopicsConfig,
};

const TRANSACTIONAL: i16 = 1 << 4;

fn producer(id: i64, epoch: i16) -> ProducerIdentity {
    ProducerIdentity { id, epoch }
}

/// Appends a transactional batch of two records; the base offset.
fn write(topics: &Topics, (id, epoch): (i64, i16), sequence: i32) -> Result<i64, TopicError> {
    let bytes = batch(2).of(id, epoch, sequence).attributes(TRANSACTIONAL);
    let appended = topics.produce_in(&name("t"), 0, &bytes.bytes(), NOW, |_| Ok(()));
    appended.map(|appended| appended.base_offset)
}

fn plain(topics: &Topics) -> i64 {
    let appended = topics.produce(&name("t"), 0, &batch(1).bytes(), NOW);
    appended.unwrap().base_offset
}

fn end(topics: &Topics, (id, epoch): (i64, i16), committed: bool) {
    let ended = topics.end_transaction(&"t".into(), 0, producer(id, epoch), committed, NOW);
    ended.unwrap();
}

fn fetch(topics: &Topics, offset: i64, read_committed: bool) -> FetchedPartition {
    let mut request = fetch_of(vec![ask(&name("t"), 0, offset)]);
    request.read_committed = read_committed;
    answer(topics, request).partitions.remove(0)
}

/// The last stable offset, and the bases of the batches that a committed reader gets.
fn seen(topics: &Topics, offset: i64) -> (i64, Vec<i64>) {
    let fetched = fetch(topics, offset, true);
    let base = |batch: &bytes::Bytes| i64::from_be_bytes(batch[..8].try_into().unwrap());
    let bases = fetched.batches.iter().map(base).collect();
    (fetched.last_stable_offset, bases)
}

fn aborted(topics: &Topics, offset: i64) -> Vec<(i64, i64)> {
    let told = |one: &AbortedTransaction| (one.producer_id, one.first_offset);
    fetch(topics, offset, true)
        .aborted
        .iter()
        .map(told)
        .collect()
}

#[test]
fn a_marker_is_kafkas_to_the_byte() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 3), 0).unwrap();
    end(&topics, (7, 3), true);
    let marker = fetch(&topics, 2, false).batches.remove(0);
    let mut expected = Vec::new();
    expected.extend(2_i64.to_be_bytes());
    expected.extend(66_i32.to_be_bytes());
    expected.extend(0_i32.to_be_bytes());
    expected.push(2);
    let mut covered = 0x30_i16.to_be_bytes().to_vec();
    covered.extend(0_i32.to_be_bytes());
    covered.extend([NOW.0.to_be_bytes(); 2].concat());
    covered.extend(7_i64.to_be_bytes());
    covered.extend(3_i16.to_be_bytes());
    covered.extend((-1_i32).to_be_bytes());
    covered.extend(1_i32.to_be_bytes());
    covered.extend([0x20, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend(crc32c::crc32c(&covered).to_be_bytes());
    expected.extend(covered);
    assert_eq!(marker, expected);
    assert_eq!(marker.len(), 78);
}

#[test]
fn a_committed_reader_gets_no_record_of_an_open_transaction_nor_any_behind_it() {
    let topics = topics_with("t", 1);
    plain(&topics);
    write(&topics, (7, 0), 0).unwrap();
    plain(&topics);
    assert_eq!(seen(&topics, 0), (1, vec![0]));
    assert_eq!(seen(&topics, 1), (1, vec![]));
    assert_eq!(fetch(&topics, 0, false).batches.len(), 3);
    end(&topics, (7, 0), true);
    assert_eq!(seen(&topics, 0), (5, vec![0, 1, 3, 4]));
    assert_eq!(aborted(&topics, 0), []);
}

#[test]
fn the_oldest_open_transaction_holds_the_last_stable_offset() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap();
    write(&topics, (8, 0), 0).unwrap();
    end(&topics, (8, 0), true);
    assert_eq!(seen(&topics, 0).0, 0);
    end(&topics, (7, 0), false);
    assert_eq!(seen(&topics, 0).0, 6);
}

#[test]
fn what_was_aborted_is_told_for_the_records_that_are_sent() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap(); // 0, 1
    write(&topics, (8, 0), 0).unwrap(); // 2, 3
    end(&topics, (8, 0), false); // 4
    end(&topics, (7, 0), false); // 5
    write(&topics, (7, 0), 2).unwrap(); // 6, 7
    end(&topics, (7, 0), true); // 8
    write(&topics, (8, 0), 2).unwrap(); // 9, 10
    end(&topics, (8, 0), false); // 11
    assert_eq!(aborted(&topics, 0), [(7, 0), (8, 2), (8, 9)]);
    assert_eq!(aborted(&topics, 5), [(7, 0), (8, 9)]);
    assert_eq!(aborted(&topics, 6), [(8, 9)]);
    assert_eq!(aborted(&topics, 12), []);
    assert_eq!(fetch(&topics, 0, false).aborted, []);
    let mut one = ask(&name("t"), 0, 0);
    one.max_bytes = 1;
    let mut request = fetch_of(vec![one]);
    request.read_committed = true;
    let first_batch = answer(&topics, request).partitions.remove(0).aborted;
    assert_eq!(first_batch.len(), 1, "{first_batch:?}");
}

#[test]
fn what_was_aborted_is_forgotten_with_its_marker() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap();
    end(&topics, (7, 0), false);
    write(&topics, (7, 0), 2).unwrap();
    end(&topics, (7, 0), false);
    topics.delete_records(&name("t"), 0, 3).unwrap();
    assert_eq!(aborted(&topics, 3), [(7, 3)]);
    topics.delete_records(&name("t"), 0, -1).unwrap();
    plain(&topics);
    assert_eq!(aborted(&topics, 6), []);
}

#[test]
fn an_open_transaction_whose_beginning_was_deleted_holds_no_offset_before_the_log() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap();
    write(&topics, (7, 0), 2).unwrap();
    topics.delete_records(&name("t"), 0, 2).unwrap();
    assert_eq!(seen(&topics, 2), (2, vec![]));
}

#[test]
fn a_batch_whose_producer_is_not_in_a_transaction_is_refused() {
    let topics = topics_with("t", 1);
    let bytes = batch(1).of(7, 0, 0).attributes(TRANSACTIONAL).bytes();
    let refused = topics.produce(&name("t"), 0, &bytes, NOW);
    assert_eq!(refused, Err(TopicError::InvalidTxnState));
    let asked = |of: ProducerIdentity| {
        assert_eq!(of, producer(7, 0));
        Err(TopicError::TransactionAbortable)
    };
    let refused = topics.produce_in(&name("t"), 0, &bytes, NOW, asked);
    assert_eq!(refused, Err(TopicError::TransactionAbortable));
    let nobodys = batch(1).attributes(TRANSACTIONAL).bytes();
    let refused = topics.produce_in(&name("t"), 0, &nobodys, NOW, |_| Ok(()));
    assert_eq!(refused, Err(TopicError::InvalidRecord));
    assert!(!topics.has_open_transaction(&name("t"), 0, 7));
}

#[test]
fn within_a_transaction_nobody_is_asked_again_and_plain_batches_are_refused() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap();
    assert!(topics.has_open_transaction(&name("t"), 0, 7));
    let more = batch(1).of(7, 0, 2).attributes(TRANSACTIONAL).bytes();
    topics.produce(&name("t"), 0, &more, NOW).unwrap();
    let plain = batch(1).of(7, 0, 3).bytes();
    let refused = topics.produce(&name("t"), 0, &plain, NOW);
    assert_eq!(refused, Err(TopicError::InvalidTxnState));
}

#[test]
fn a_marker_of_a_new_epoch_shuts_the_old_one_out_and_begins_numbers_anew() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap();
    end(&topics, (7, 1), false);
    assert_eq!(
        write(&topics, (7, 0), 2),
        Err(TopicError::InvalidProducerEpoch)
    );
    assert_eq!(
        write(&topics, (7, 1), 2),
        Err(TopicError::OutOfOrderSequence)
    );
    assert_eq!(write(&topics, (7, 1), 0), Ok(3));
}

#[test]
fn a_marker_of_the_same_epoch_lets_numbers_go_on() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap();
    end(&topics, (7, 0), true);
    assert_eq!(write(&topics, (7, 0), 2), Ok(3));
}

#[test]
fn a_marker_that_comes_again_is_not_written_again() {
    let topics = topics_with("t", 1);
    for epochs in [[0, 1], [1, 2]] {
        write(&topics, (7, epochs[0]), 0).unwrap();
        end(&topics, (7, epochs[1]), true);
        let after = plain(&topics);
        end(&topics, (7, epochs[1]), true);
        assert_eq!(plain(&topics), after + 1);
    }
}

#[test]
fn a_marker_where_nothing_was_written_shuts_older_epochs_out() {
    let topics = topics_with("t", 1);
    end(&topics, (7, 5), false);
    assert_eq!(
        write(&topics, (7, 4), 0),
        Err(TopicError::InvalidProducerEpoch)
    );
    assert_eq!(aborted(&topics, 0), []);
}

#[test]
fn a_full_node_still_ends_transactions() {
    let topics = Topics::new(TopicsConfig {
        bytes_max: 1_100,
        log_retention_bytes: -1,
        ..TopicsConfig::default()
    });
    topics.describe_or_create(&"t".into()).unwrap();
    write(&topics, (7, 0), 0).unwrap();
    while topics
        .produce(&name("t"), 0, &batch(1).bytes(), NOW)
        .is_ok()
    {}
    end(&topics, (7, 1), false);
    assert_eq!(aborted(&topics, 0), [(7, 0)]);
    topics.delete(&name("t")).unwrap();
    assert_eq!(topics.bytes_used(), 0);
}

#[test]
fn producers_with_an_open_transaction_are_not_forgotten() {
    let topics = Topics::new(TopicsConfig {
        producers_per_partition_max: 2,
        ..TopicsConfig::default()
    });
    topics.describe_or_create(&"t".into()).unwrap();
    write(&topics, (7, 0), 0).unwrap();
    write(&topics, (8, 0), 0).unwrap();
    assert_eq!(write(&topics, (9, 0), 0), Err(TopicError::StorageFull));
    end(&topics, (8, 0), true);
    assert_eq!(write(&topics, (9, 0), 0), Ok(5));
    assert_eq!(write(&topics, (7, 0), 2), Ok(7));
}

#[test]
fn offsets_for_committed_readers_end_at_the_last_stable_one() {
    let topics = topics_with("t", 1);
    plain(&topics);
    write(&topics, (7, 0), 0).unwrap();
    let list = |timestamp| {
        let spec = OffsetSpec::from_timestamp(timestamp).unwrap();
        let key = name("t");
        let all = topics.list_offset(&key, 0, -1, spec).unwrap().offset;
        let committed = topics.list_committed_offset(&key, 0, -1, spec).unwrap();
        (all, committed.offset)
    };
    assert_eq!(list(-1), (3, 1));
    assert_eq!(list(-2), (0, 0));
    assert_eq!(list(1_001), (2, -1));
    assert_eq!(list(-3), (2, -1));
    end(&topics, (7, 0), true);
    assert_eq!(list(1_001), (2, 2));
    assert_eq!(list(-1), (4, 4));
}

#[test]
fn a_marker_wakes_a_committed_reader_that_waits() {
    let topics = topics_with("t", 1);
    write(&topics, (7, 0), 0).unwrap();
    let mut request = fetch_of(vec![ask(&name("t"), 0, 0)]);
    request.read_committed = true;
    let mut fetch = topics.fetch(request, NOW).unwrap();
    assert!(!fetch.read());
    end(&topics, (7, 0), true);
    {
        let woken = std::pin::pin!(fetch.changed());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(woken.poll(&mut context).is_ready());
    }
    assert!(fetch.read());
    assert_eq!(fetch.finish().unwrap().partitions[0].batches.len(), 2);
}
