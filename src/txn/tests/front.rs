//! The coordinator with its writer, in memory and on a disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};

use super::sample::{at, partitions, producer};
use crate::disk::simulated::{Fault, SimDisk};
use crate::ids::TransactionalId;
use crate::txn::{
    Coordinator, Damage, InitRequest, Limits, Producer, Protocol, TransactionState, TxnError,
};

const REQUEST: InitRequest = InitRequest {
    timeout_ms: 1_000,
    expected: None,
};

fn id() -> TransactionalId {
    "tx".into()
}

fn on(disk: &SimDisk) -> Coordinator {
    let disk = Box::new(disk.clone());
    let (dir, how) = (Path::new("dir"), (Limits::default(), at(0)));
    Coordinator::open_on(disk, dir, Damage::Refuse, how).unwrap()
}

fn in_memory() -> Coordinator {
    Coordinator::open(None, Damage::Refuse, Limits::default(), at(0)).unwrap()
}

async fn begun(coordinator: &Coordinator) -> Producer {
    let by = coordinator
        .init(&id(), REQUEST, || Some(5), at(0))
        .await
        .unwrap();
    add(coordinator, by).await.unwrap();
    by
}

async fn add(coordinator: &Coordinator, by: Producer) -> Result<(), TxnError> {
    let how = (Protocol::V2, at(0));
    coordinator
        .add(&id(), by, partitions(&[0]), BTreeSet::new(), how)
        .await
}

fn state(coordinator: &Coordinator) -> TransactionState {
    coordinator.describe("tx").unwrap().state
}

#[tokio::test]
async fn an_end_is_answered_when_its_markers_are_written() {
    for coordinator in [in_memory(), on(&SimDisk::default())] {
        let by = begun(&coordinator).await;
        let how = (Protocol::V2, at(1));
        let id = id();
        let mut end = pin!(coordinator.end(&id, by, true, || None, how));
        let woken = pin!(coordinator.woken());
        let mut context = Context::from_waker(Waker::noop());
        assert!(end.as_mut().poll(&mut context).is_pending());
        woken.await;
        let ending = loop {
            if let Some(ending) = coordinator.take_ending() {
                break ending;
            }
            coordinator.woken().await;
        };
        assert!(ending.committed);
        assert_eq!(state(&coordinator), TransactionState::PrepareCommit);
        assert!(end.as_mut().poll(&mut context).is_pending());
        coordinator.finished(&ending, at(2)).await.unwrap();
        assert_eq!(end.await, Ok(producer(5, 1)));
        assert_eq!(state(&coordinator), TransactionState::CompleteCommit);
    }
}

#[tokio::test]
async fn an_end_whose_markers_are_delayed_is_answered_all_the_same() {
    let coordinator = in_memory();
    let by = begun(&coordinator).await;
    let how = (Protocol::V2, at(1));
    let id = id();
    let mut end = pin!(coordinator.end(&id, by, true, || None, how));
    let mut context = Context::from_waker(Waker::noop());
    assert!(end.as_mut().poll(&mut context).is_pending());
    let ending = coordinator.take_ending().unwrap();
    coordinator.delayed(&ending);
    assert_eq!(end.await, Ok(producer(5, 1)));
    assert_eq!(state(&coordinator), TransactionState::PrepareCommit);
}

#[tokio::test]
async fn what_was_answered_outlives_the_process_and_a_decided_end_is_taken_up_again() {
    let disk = SimDisk::default();
    let coordinator = on(&disk);
    let by = begun(&coordinator).await;
    drop(coordinator);
    let coordinator = on(&disk);
    assert_eq!(state(&coordinator), TransactionState::Ongoing);
    let partition = ("t".into(), 0);
    assert_eq!(coordinator.verify("tx", by, &partition), Ok(()));
    {
        let how = (Protocol::V2, at(1));
        let id = id();
        let mut end = pin!(coordinator.end(&id, by, false, || None, how));
        let mut context = Context::from_waker(Waker::noop());
        assert!(end.as_mut().poll(&mut context).is_pending());
    }
    // Nobody waits any more; it is decided all the same.
    drop(coordinator);
    let coordinator = on(&disk);
    coordinator.woken().await;
    let ending = coordinator.take_ending().unwrap();
    assert!(!ending.committed);
    coordinator.finished(&ending, at(2)).await.unwrap();
    drop(coordinator);
    let coordinator = on(&disk);
    assert_eq!(state(&coordinator), TransactionState::CompleteAbort);
    assert_eq!(coordinator.take_ending(), None);
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_and_never_was() {
    let disk = SimDisk::default();
    let coordinator = on(&disk);
    let by = begun(&coordinator).await;
    disk.plan(1, Fault::Enospc);
    let how = (Protocol::V2, at(1));
    let refused = coordinator.end(&id(), by, true, || None, how).await;
    assert_eq!(refused, Err(TxnError::NotAvailable));
    assert_eq!(state(&coordinator), TransactionState::Ongoing);
    assert_eq!(coordinator.take_ending(), None);
    assert_eq!(add(&coordinator, by).await, Ok(()));
}

#[tokio::test]
async fn time_aborts_by_itself() {
    let coordinator = in_memory();
    begun(&coordinator).await;
    assert_eq!(coordinator.next_deadline(), Some(at(1_000).tick));
    coordinator.expire(|| None, at(1_000));
    let ending = coordinator.take_ending().unwrap();
    assert_eq!((ending.producer, ending.committed), (producer(5, 1), false));
    let listed = coordinator.list(|_, facts| facts.state == TransactionState::PrepareAbort);
    assert_eq!(listed.len(), 1);
    assert_eq!(coordinator.describe("other"), Err(TxnError::NotFound));
    assert_eq!(coordinator.describe(""), Err(TxnError::InvalidRequest));
}
