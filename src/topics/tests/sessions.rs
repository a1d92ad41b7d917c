//! Fetch sessions (KIP-227).

use super::sample::{NOW, answer, ask, batch, fetch_of, name, new_topic, topics_with};
use crate::time::WallMs;
use crate::topics::{
    FetchPartition, FetchRequest, FetchResponse, TopicError, Topics, TopicsConfig,
};

fn in_session(id: i32, epoch: i32, partitions: Vec<FetchPartition>) -> FetchRequest {
    FetchRequest {
        session_id: id,
        session_epoch: epoch,
        ..fetch_of(partitions)
    }
}

fn wanted(partitions: std::ops::Range<i32>) -> Vec<FetchPartition> {
    partitions.map(|index| ask(&name("t"), index, 0)).collect()
}

/// Opens a session that wants these partitions of the topic from offset 0.
fn open(topics: &Topics, partitions: std::ops::Range<i32>) -> i32 {
    answer(topics, in_session(0, 0, wanted(partitions))).session_id
}

fn open_at(topics: &Topics, partitions: std::ops::Range<i32>, now: WallMs) -> i32 {
    let request = in_session(0, 0, wanted(partitions));
    let mut fetch = topics.fetch(request, now).unwrap();
    fetch.read();
    fetch.finish().unwrap().session_id
}

fn write(topics: &Topics, partition: i32) {
    let bytes = batch(1).bytes();
    topics.produce(&name("t"), partition, &bytes, NOW).unwrap();
}

fn indices(response: &FetchResponse) -> Vec<i32> {
    let partitions = response.partitions.iter();
    partitions.map(|one| one.partition).collect()
}

fn refused(topics: &Topics, request: FetchRequest) -> TopicError {
    topics.fetch(request, NOW).unwrap_err()
}

#[test]
fn a_client_without_sessions_gets_none() {
    let topics = topics_with("t", 2);
    let response = answer(&topics, in_session(0, -1, wanted(0..2)));
    assert_eq!((response.session_id, indices(&response)), (0, vec![0, 1]));
    assert_eq!(topics.fetch_sessions(), 0);
}

#[test]
fn the_first_answer_holds_everything_and_the_later_ones_what_is_new() {
    let topics = topics_with("t", 3);
    let first = answer(&topics, in_session(0, 0, wanted(0..3)));
    assert_eq!(indices(&first), [0, 1, 2]);
    assert!(first.session_id > 0);

    let quiet = answer(&topics, in_session(first.session_id, 1, Vec::new()));
    assert_eq!(
        (quiet.session_id, indices(&quiet)),
        (first.session_id, vec![])
    );
    write(&topics, 1);
    let news = answer(&topics, in_session(first.session_id, 2, Vec::new()));
    assert_eq!(indices(&news), [1]);
}

#[test]
fn a_client_that_moves_on_is_told_of_nothing_twice() {
    let topics = topics_with("t", 2);
    let id = open(&topics, 0..2);
    write(&topics, 1);
    answer(&topics, in_session(id, 1, Vec::new()));
    let moved = vec![ask(&name("t"), 1, 1)];
    let response = answer(&topics, in_session(id, 2, moved));
    assert_eq!(indices(&response), [0; 0]);
}

#[test]
fn a_log_start_that_moved_is_news() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    let request = in_session(0, 0, vec![ask(&name("t"), 0, 1)]);
    let id = answer(&topics, request).session_id;
    topics.delete_records(&name("t"), 0, -1).unwrap();
    let response = answer(&topics, in_session(id, 1, Vec::new()));
    assert_eq!(response.partitions[0].log_start_offset, 1);
}

#[test]
fn an_error_is_told_each_time_and_so_is_its_end() {
    let topics = topics_with("t", 1);
    let id = open(&topics, 0..2);
    for epoch in 1..3 {
        let response = answer(&topics, in_session(id, epoch, Vec::new()));
        assert_eq!(indices(&response), [1]);
        assert!(response.partitions[0].error.is_some());
    }
    topics.create_partitions(&name("t"), 2, &[], false).unwrap();
    let response = answer(&topics, in_session(id, 3, Vec::new()));
    assert_eq!(response.partitions[0].error, None);
    let response = answer(&topics, in_session(id, 4, Vec::new()));
    assert_eq!(indices(&response), [0; 0]);
}

#[test]
fn an_offset_that_is_corrected_is_acknowledged() {
    let topics = topics_with("t", 1);
    let request = in_session(0, 0, vec![ask(&name("t"), 0, 5)]);
    let id = answer(&topics, request).session_id;
    let corrected = in_session(id, 1, vec![ask(&name("t"), 0, 0)]);
    let response = answer(&topics, corrected);
    assert_eq!(response.partitions[0].error, None);
}

#[test]
fn partitions_are_added_and_forgotten() {
    let topics = topics_with("t", 3);
    let id = open(&topics, 0..2);
    let mut change = in_session(id, 1, vec![ask(&name("t"), 2, 0)]);
    change.forgotten = vec![(name("t"), 0)];
    assert_eq!(indices(&answer(&topics, change)), [2]);
    for partition in 0..3 {
        write(&topics, partition);
    }
    let response = answer(&topics, in_session(id, 2, Vec::new()));
    assert_eq!(indices(&response), [1, 2]);
}

#[test]
fn a_session_that_wants_nothing_any_more_ends() {
    let topics = topics_with("t", 1);
    let id = open(&topics, 0..1);
    let mut change = in_session(id, 1, Vec::new());
    change.forgotten = vec![(name("t"), 0)];
    assert_eq!(answer(&topics, change).session_id, 0);
    assert_eq!(topics.fetch_sessions(), 0);
}

#[test]
fn a_session_goes_on_by_one_epoch_at_a_time() {
    let topics = topics_with("t", 1);
    let id = open(&topics, 0..1);
    for epoch in [2, 7, -3] {
        let refusal = refused(&topics, in_session(id, epoch, Vec::new()));
        assert_eq!(refusal, TopicError::InvalidFetchSessionEpoch);
    }
    answer(&topics, in_session(id, 1, Vec::new()));
    let refusal = refused(&topics, in_session(id, 1, Vec::new()));
    assert_eq!(refusal, TopicError::InvalidFetchSessionEpoch);
}

#[test]
fn two_requests_of_a_session_at_once_end_the_older_one() {
    let topics = topics_with("t", 1);
    let id = open(&topics, 0..1);
    let mut first = topics.fetch(in_session(id, 1, Vec::new()), NOW).unwrap();
    let mut second = topics.fetch(in_session(id, 2, Vec::new()), NOW).unwrap();
    first.read();
    second.read();
    assert_eq!(first.finish(), Err(TopicError::InvalidFetchSessionEpoch));
    assert!(second.finish().is_ok());
}

#[test]
fn an_unknown_session_is_refused() {
    let topics = topics_with("t", 1);
    let refusal = refused(&topics, in_session(77, 1, Vec::new()));
    assert_eq!(refusal, TopicError::FetchSessionIdNotFound);
}

#[test]
fn a_session_does_not_change_from_names_to_ids() {
    let topics = topics_with("t", 1);
    let id = open(&topics, 0..1);
    let mut request = in_session(id, 1, Vec::new());
    request.by_id = true;
    assert_eq!(
        refused(&topics, request),
        TopicError::FetchSessionTopicIdError
    );
}

#[test]
fn epochs_zero_and_final_close_the_session_that_they_name() {
    let topics = topics_with("t", 1);
    let first = open(&topics, 0..1);
    let second = answer(&topics, in_session(first, 0, wanted(0..1))).session_id;
    assert_ne!(first, second);
    assert_eq!(topics.fetch_sessions(), 1);
    let last = answer(&topics, in_session(second, -1, Vec::new()));
    assert_eq!(last.session_id, 0);
    assert_eq!(topics.fetch_sessions(), 0);
}

#[test]
fn who_was_served_comes_last_in_the_next_fetch() {
    let topics = topics_with("t", 3);
    let id = open(&topics, 0..3);
    for partition in 0..3 {
        write(&topics, partition);
    }
    let mut order = Vec::new();
    for epoch in 1..5 {
        let mut request = in_session(id, epoch, Vec::new());
        // Room for one batch, so that the first in order gets it.
        request.max_bytes = 1;
        let response = answer(&topics, request);
        let served = response.partitions.into_iter();
        let mut served = served.filter(|one| !one.batches.is_empty());
        order.push(served.next().unwrap().partition);
    }
    assert_eq!(order, [0, 1, 2, 0]);
}

fn cramped(sessions: usize, partitions: usize) -> Topics {
    let topics = Topics::new(TopicsConfig {
        fetch_sessions_max: sessions,
        fetch_session_partitions_max: partitions,
        ..TopicsConfig::default()
    });
    topics.create(&new_topic("t", 5), false).unwrap();
    topics
}

#[test]
fn without_a_free_slot_a_fetch_works_without_a_session() {
    let topics = cramped(1, 100);
    let first = open(&topics, 0..1);
    assert_eq!(open(&topics, 0..1), 0);
    assert!(topics.fetch(in_session(first, 1, Vec::new()), NOW).is_ok());
}

#[test]
fn a_session_that_was_idle_for_long_gives_up_its_slot() {
    let topics = cramped(2, 100);
    let idle = open_at(&topics, 0..1, NOW);
    let later = WallMs(NOW.0 + 120_001);
    let fresh = open_at(&topics, 0..1, later);
    let third = open_at(&topics, 0..1, later);
    assert!(third != 0);
    let refusal = refused(&topics, in_session(idle, 1, Vec::new()));
    assert_eq!(refusal, TopicError::FetchSessionIdNotFound);
    assert!(
        topics
            .fetch(in_session(fresh, 1, Vec::new()), later)
            .is_ok()
    );
}

#[test]
fn a_larger_session_takes_the_slot_of_a_smaller_one_that_had_its_time() {
    let topics = cramped(1, 100);
    let small = open_at(&topics, 0..2, NOW);
    let later = WallMs(NOW.0 + 120_001);
    topics
        .fetch(in_session(small, 1, Vec::new()), later)
        .unwrap();
    assert_eq!(open_at(&topics, 0..2, later), 0, "not smaller");
    assert!(open_at(&topics, 0..3, later) > 0);
}

#[test]
fn the_partitions_of_all_sessions_are_bounded() {
    let topics = cramped(10, 4);
    let id = open(&topics, 0..3);
    assert!(id > 0);
    assert_eq!(open(&topics, 0..2), 0);
    assert!(open(&topics, 0..1) > 0);
    let refusal = refused(&topics, in_session(id, 1, vec![ask(&name("t"), 4, 0)]));
    assert_eq!(refusal, TopicError::FetchSessionIdNotFound);
    assert!(open(&topics, 0..3) > 0);
}
