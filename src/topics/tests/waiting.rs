//! Fetches that wait: woken by what is appended, and by nothing that is lost.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::sample::{NOW, ask, batch, fetch_of, name, topics_with};
use crate::topics::{Fetch, FetchRequest, TopicError, Topics};

fn write(topics: &Topics, partition: i32) -> usize {
    let bytes = batch(1).bytes();
    topics.produce(&name("t"), partition, &bytes, NOW).unwrap();
    bytes.len()
}

fn all(partitions: std::ops::Range<i32>) -> FetchRequest {
    fetch_of(partitions.map(|index| ask(&name("t"), index, 0)).collect())
}

/// Whether a fetch that waits would go on now.
fn is_woken(fetch: &Fetch) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(fetch.changed()).poll(&mut context).is_ready()
}

fn waiters(topics: &Topics, partition: i32) -> usize {
    topics.partition(&name("t"), partition).unwrap().0.waiters()
}

#[test]
fn an_append_to_any_wanted_partition_wakes() {
    let topics = topics_with("t", 3);
    let mut fetch = topics.fetch(all(0..2), NOW).unwrap();
    assert!(!fetch.read());
    assert!(!is_woken(&fetch));
    write(&topics, 2);
    assert!(!is_woken(&fetch), "not wanted");
    write(&topics, 1);
    assert!(is_woken(&fetch));
    assert!(fetch.read());
    let response = fetch.finish().unwrap();
    assert_eq!(response.partitions[1].batches.len(), 1);
}

#[test]
fn an_append_between_reading_and_waiting_is_not_lost() {
    let topics = topics_with("t", 1);
    let mut fetch = topics.fetch(all(0..1), NOW).unwrap();
    assert!(!fetch.read());
    write(&topics, 0);
    // Nobody waited at the time of the append.
    assert!(is_woken(&fetch));
}

#[test]
fn a_wait_that_is_cancelled_and_begun_again_loses_nothing() {
    let topics = topics_with("t", 1);
    let mut fetch = topics.fetch(all(0..1), NOW).unwrap();
    fetch.read();
    assert!(!is_woken(&fetch));
    assert!(!is_woken(&fetch));
    write(&topics, 0);
    assert!(is_woken(&fetch));
}

#[test]
fn a_fetch_waits_until_there_are_enough_bytes() {
    let topics = topics_with("t", 2);
    let mut request = all(0..2);
    request.min_bytes = i32::try_from(batch(1).bytes().len() * 3).unwrap();
    let mut fetch = topics.fetch(request, NOW).unwrap();
    for partition in [0, 1] {
        assert!(!fetch.read());
        write(&topics, partition);
        assert!(is_woken(&fetch));
    }
    assert!(!fetch.read());
    assert!(!is_woken(&fetch));
    write(&topics, 0);
    assert!(is_woken(&fetch));
    assert!(fetch.read());
}

#[test]
fn what_there_is_comes_when_the_time_is_over() {
    let topics = topics_with("t", 1);
    write(&topics, 0);
    let mut request = all(0..1);
    request.min_bytes = 10_000;
    let mut fetch = topics.fetch(request, NOW).unwrap();
    assert!(!fetch.read());
    let response = fetch.finish().unwrap();
    assert_eq!(response.partitions[0].batches.len(), 1);
}

#[test]
fn an_answer_that_needs_no_waiting_is_due_at_once() {
    let topics = topics_with("t", 1);
    let due = |request| topics.fetch(request, NOW).unwrap().read();
    let mut no_wait = all(0..1);
    no_wait.max_wait_ms = 0;
    let mut no_bytes = all(0..1);
    no_bytes.min_bytes = 0;
    assert!(due(no_wait));
    assert!(due(no_bytes));
    assert!(due(all(0..0)), "nothing wanted");
    assert!(due(all(0..2)), "an unknown partition");
    assert!(!due(all(0..1)));
}

#[test]
fn a_deleted_topic_wakes_who_waits_for_it() {
    let topics = topics_with("t", 1);
    let mut fetch = topics.fetch(all(0..1), NOW).unwrap();
    fetch.read();
    topics.delete(&name("t")).unwrap();
    assert!(is_woken(&fetch));
    assert!(fetch.read());
    let response = fetch.finish().unwrap();
    let error = response.partitions[0].error.clone();
    assert_eq!(error, Some(TopicError::UnknownTopicOrPartition));
}

#[test]
fn who_no_longer_waits_leaves_nothing_behind() {
    let topics = topics_with("t", 2);
    let mut dropped = topics.fetch(all(0..2), NOW).unwrap();
    let mut finished = topics.fetch(all(0..2), NOW).unwrap();
    for _ in 0..3 {
        dropped.read();
        finished.read();
    }
    assert_eq!((waiters(&topics, 0), waiters(&topics, 1)), (2, 2));
    drop(dropped);
    assert_eq!((waiters(&topics, 0), waiters(&topics, 1)), (1, 1));
    finished.finish().unwrap();
    assert_eq!((waiters(&topics, 0), waiters(&topics, 1)), (0, 0));
}

/// Reads a partition to the end, waiting whenever there is nothing, without any deadline: a lost
/// wake-up would leave it hanging.
async fn consume(topics: Arc<Topics>, partition: i32, batches: usize) -> usize {
    let mut offset = 0;
    let mut seen = 0;
    while seen < batches {
        let request = fetch_of(vec![ask(&name("t"), partition, offset)]);
        let mut fetch = topics.fetch(request, NOW).unwrap();
        while !fetch.read() {
            fetch.changed().await;
        }
        let response = fetch.finish().unwrap();
        let fetched = response.partitions[0].batches.len();
        seen += fetched;
        offset += i64::try_from(fetched).unwrap();
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_while_many_write_and_read() {
    const WRITERS: usize = 4;
    const EACH: usize = 500;
    let topics = Arc::new(topics_with("t", 2));
    let mut readers = Vec::new();
    for reader in 0..6 {
        let topics = Arc::clone(&topics);
        readers.push(tokio::spawn(consume(topics, reader % 2, WRITERS * EACH)));
    }
    for _ in 0..WRITERS {
        let topics = Arc::clone(&topics);
        tokio::spawn(async move {
            for _ in 0..EACH {
                write(&topics, 0);
                write(&topics, 1);
                tokio::task::yield_now().await;
            }
        });
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), WRITERS * EACH);
    }
    assert_eq!((waiters(&topics, 0), waiters(&topics, 1)), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_append_is_seen_though_none_follows_it() {
    const TURNS: usize = 5_000;
    let topics = Arc::new(topics_with("t", 1));
    let (seen, mut turns) = tokio::sync::mpsc::channel(1);
    let reader = Arc::clone(&topics);
    let reader = tokio::spawn(async move {
        for turn in 0..TURNS {
            let offset = i64::try_from(turn).unwrap();
            let request = fetch_of(vec![ask(&name("t"), 0, offset)]);
            let mut fetch = reader.fetch(request, NOW).unwrap();
            while !fetch.read() {
                fetch.changed().await;
            }
            seen.send(()).await.unwrap();
        }
    });
    for _ in 0..TURNS {
        write(&topics, 0);
        turns.recv().await.unwrap();
    }
    reader.await.unwrap();
}
