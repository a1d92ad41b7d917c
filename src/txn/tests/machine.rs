//! The rules of transactions, verb by verb.

use super::sample::{ID, at, bench, groups, partitions, producer, with};
use crate::txn::Protocol::{V1, V2};
use crate::txn::TransactionState::{
    CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit,
};
use crate::txn::{InitRequest, Limits, TransactionState, TxnError};

#[test]
fn a_producer_that_begins_again_gets_the_same_id_and_the_next_epoch() {
    let mut bench = bench();
    assert_eq!(bench.init(None), Ok(producer(101, 0)));
    assert_eq!(bench.init(None), Ok(producer(101, 1)));
    assert_eq!(bench.state(), Empty);
    assert_eq!(
        bench.add(producer(101, 0), &[0], V1),
        Err(TxnError::ProducerFenced)
    );
}

#[test]
fn a_timeout_outside_of_the_bounds_and_an_empty_id_are_refused() {
    let mut bench = bench();
    let mut init = |id: &str, timeout_ms| {
        let request = InitRequest {
            timeout_ms,
            expected: None,
        };
        let step = bench.machine.init(&id.into(), request, || Some(1), at(0));
        step.answer.unwrap_err()
    };
    assert_eq!(init(ID, 0), TxnError::InvalidTimeout);
    assert_eq!(init(ID, 900_001), TxnError::InvalidTimeout);
    assert_eq!(init("", 1_000), TxnError::InvalidRequest);
}

#[test]
fn a_producer_that_says_who_it_is_is_fenced_unless_it_is_the_latest() {
    let mut bench = bench();
    let first = bench.init(None).unwrap();
    let second = bench.init(Some(first)).unwrap();
    assert_eq!(second, producer(101, 1));
    // Its answer got lost: it asks again.
    assert_eq!(bench.init(Some(first)), Ok(second));
    let third = bench.init(None).unwrap();
    assert_eq!(bench.init(Some(second)), Err(TxnError::ProducerFenced));
    assert_eq!(
        bench.init(Some(producer(5, 2))),
        Err(TxnError::ProducerFenced)
    );
    assert_eq!(bench.init(Some(third)), Ok(producer(101, 3)));
}

#[test]
fn an_open_transaction_is_aborted_before_its_id_is_taken_over() {
    for v in [V1, V2] {
        let mut bench = bench();
        let first = bench.init(None).unwrap();
        bench.add(first, &[0, 1], v).unwrap();
        assert_eq!(bench.init(None), Err(TxnError::ConcurrentTransactions));
        assert_eq!(bench.state(), PrepareAbort);
        assert_eq!(bench.init(None), Err(TxnError::ConcurrentTransactions));
        assert_eq!(
            bench.end(first, true, v),
            Err(match v {
                V1 => TxnError::ProducerFenced,
                V2 => TxnError::InvalidState,
            })
        );
        let ending = bench.finish().remove(0);
        assert_eq!(
            (ending.producer, ending.committed),
            (producer(101, 1), false)
        );
        assert_eq!(ending.partitions.len(), 2);
        assert_eq!(bench.state(), CompleteAbort);
        assert_eq!(bench.init(None), Ok(producer(101, 2)));
    }
}

#[test]
fn a_transaction_begins_with_its_first_partition_and_keeps_its_epoch_in_version_1() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.now = at(10);
    bench.add(by, &[0], V1).unwrap();
    bench.now = at(20);
    bench.add(by, &[1], V1).unwrap();
    let facts = bench.facts();
    assert_eq!((facts.state, facts.started), (Ongoing, at(10).wall));
    assert_eq!(facts.partitions, partitions(&[0, 1]));
    assert_eq!(bench.end(by, true, V1), Ok(by));
    assert_eq!(bench.state(), PrepareCommit);
    let ending = bench.finish().remove(0);
    assert_eq!((ending.producer, ending.committed), (by, true));
    assert_eq!(bench.state(), CompleteCommit);
    assert!(bench.facts().partitions.is_empty());
}

#[test]
fn in_version_2_every_end_raises_the_epoch_which_is_that_of_the_markers() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.add(by, &[0], V2).unwrap();
    assert_eq!(bench.end(by, true, V2), Ok(producer(101, 1)));
    assert_eq!(bench.finish()[0].producer, producer(101, 1));
    // It may say it again, not something else.
    assert_eq!(bench.end(by, true, V2), Ok(producer(101, 1)));
    assert_eq!(bench.end(by, false, V2), Err(TxnError::InvalidState));
    assert_eq!(bench.add(by, &[0], V2), Err(TxnError::ProducerFenced));
    assert_eq!(bench.add(producer(101, 1), &[0], V2), Ok(()));
}

#[test]
fn in_version_2_what_never_began_can_be_aborted_and_not_committed() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    assert_eq!(bench.end(by, true, V2), Err(TxnError::InvalidState));
    assert_eq!(bench.end(by, false, V2), Ok(producer(101, 1)));
    let ending = bench.finish().remove(0);
    assert_eq!((ending.partitions.len(), ending.committed), (0, false));
    // And once more, with the new epoch.
    assert_eq!(bench.end(producer(101, 1), false, V2), Ok(producer(101, 2)));
    bench.finish();
    assert_eq!(
        bench.end(producer(101, 2), true, V2),
        Err(TxnError::InvalidState)
    );
}

#[test]
fn in_version_1_an_end_needs_a_transaction_and_may_be_said_again() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    for committed in [true, false] {
        assert_eq!(bench.end(by, committed, V1), Err(TxnError::InvalidState));
    }
    bench.add(by, &[0], V1).unwrap();
    bench.end(by, false, V1).unwrap();
    let again = bench.end(by, false, V1);
    assert_eq!(again, Err(TxnError::ConcurrentTransactions));
    assert_eq!(bench.end(by, true, V1), Err(TxnError::InvalidState));
    bench.finish();
    assert_eq!(bench.end(by, false, V1), Ok(by));
    assert_eq!(bench.end(by, true, V1), Err(TxnError::InvalidState));
}

#[test]
fn nothing_can_be_added_while_a_transaction_ends() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.add(by, &[0], V1).unwrap();
    bench.end(by, true, V1).unwrap();
    let added = bench.add(by, &[1], V1);
    assert_eq!(added, Err(TxnError::ConcurrentTransactions));
    let partition = ("t".into(), 0);
    let verified = bench.machine.verify(ID, by, &partition);
    assert_eq!(verified, Err(TxnError::ConcurrentTransactions));
}

#[test]
fn what_is_in_the_transaction_can_be_asked() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.add(by, &[0], V1).unwrap();
    let how = (V1, bench.now);
    let step = bench
        .machine
        .add(&ID.into(), by, partitions(&[]), groups(&["g"]), how);
    bench.settle(step.change, true);
    let machine = &bench.machine;
    let ask = |id: &str, by, index| machine.verify(id, by, &("t".into(), index));
    assert_eq!(ask(ID, by, 0), Ok(()));
    assert_eq!(ask(ID, by, 1), Err(TxnError::Abortable));
    assert_eq!(ask(ID, producer(101, 1), 0), Err(TxnError::ProducerFenced));
    let unmapped = Err(TxnError::InvalidProducerIdMapping);
    assert_eq!(ask(ID, producer(7, 0), 0), unmapped);
    assert_eq!(ask("other", by, 0), unmapped);
    assert_eq!(ask("", by, 0), Err(TxnError::InvalidRequest));
    assert_eq!(machine.verify_group(ID, by, &"g".into()), Ok(()));
    let other = machine.verify_group(ID, by, &"h".into());
    assert_eq!(other, Err(TxnError::Abortable));
}

#[test]
fn nothing_changes_before_it_is_durable_nor_after_a_failure() {
    let mut bench = bench();
    let step = bench.init_step(None);
    assert_eq!(bench.machine.facts(ID), None);
    assert_eq!(bench.init(None), Err(TxnError::ConcurrentTransactions));
    bench.settle(step.change, false);
    assert!(bench.machine.is_empty());
    let by = bench.init(None).unwrap();
    let step = bench.add_step(by, &[0], V2);
    assert_eq!(bench.state(), Empty);
    let added = bench.add(by, &[0], V2);
    assert_eq!(added, Err(TxnError::ConcurrentTransactions));
    assert_eq!(
        bench.end(by, false, V2),
        Err(TxnError::ConcurrentTransactions)
    );
    bench.settle(step.change, false);
    assert_eq!(bench.state(), Empty);
    bench.add(by, &[0], V2).unwrap();
    let step = bench.end_step(by, true, V2);
    bench.settle(step.change, false);
    assert_eq!((bench.state(), bench.endings.len()), (Ongoing, 0));
}

#[test]
fn adding_what_is_there_already_writes_nothing() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.add(by, &[0, 1], V1).unwrap();
    let step = bench.add_step(by, &[1], V1);
    assert_eq!((step.answer, step.change), (Ok(()), None));
}

#[test]
fn a_transaction_that_hangs_is_aborted_when_its_time_is_up_and_its_producer_fenced() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.now = at(500);
    bench.add(by, &[0], V2).unwrap();
    bench.now = at(900);
    bench.add(by, &[1], V2).unwrap();
    bench.now = at(1_499);
    bench.expire();
    assert_eq!(bench.state(), Ongoing);
    assert_eq!(bench.machine.next_deadline(), Some(at(1_500).tick));
    bench.now = at(1_500);
    bench.expire();
    assert_eq!(bench.state(), PrepareAbort);
    let ending = bench.finish().remove(0);
    assert_eq!(ending.producer, producer(101, 1));
    assert!(!ending.committed);
    assert_eq!(bench.add(by, &[0], V2), Err(TxnError::ProducerFenced));
    // A client of version 2 that aborts it meanwhile goes on where the coordinator is.
    assert_eq!(bench.end(by, false, V2), Ok(producer(101, 1)));
    // And one that says who it was, unless another was faster.
    assert_eq!(bench.init(Some(by)), Ok(producer(101, 1)));
    assert_eq!(bench.init(None), Ok(producer(101, 2)));
    assert_eq!(bench.init(Some(by)), Err(TxnError::ProducerFenced));
}

#[test]
fn an_abort_by_time_that_cannot_be_written_is_tried_again() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.add(by, &[0], V1).unwrap();
    bench.now = at(1_000);
    let changes = bench.machine.expire(|| None, bench.now);
    assert_eq!(changes.len(), 1);
    assert_eq!(bench.machine.expire(|| None, bench.now), []);
    bench.settle(changes.into_iter().next(), false);
    bench.now = at(2_000);
    bench.expire();
    assert_eq!(bench.state(), PrepareAbort);
}

#[test]
fn an_id_that_nobody_uses_is_forgotten() {
    let mut bench = with(Limits {
        expiration_ms: 5_000,
        ..Limits::default()
    });
    let by = bench.init(None).unwrap();
    bench.now = at(4_000);
    bench.add(by, &[0], V1).unwrap();
    bench.end(by, true, V1).unwrap();
    bench.finish();
    bench.now = at(8_999);
    bench.expire();
    assert_eq!(bench.state(), CompleteCommit);
    bench.now = at(9_000);
    bench.expire();
    assert!(bench.machine.is_empty());
    assert_eq!(bench.machine.next_deadline(), None);
    let added = bench.add(by, &[0], V1);
    assert_eq!(added, Err(TxnError::InvalidProducerIdMapping));
}

#[test]
fn after_a_restart_a_transaction_has_what_is_left_of_its_time() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.add(by, &[0], V1).unwrap();
    let facts = bench.facts();
    let mut after = super::sample::bench();
    let mut now = at(700);
    now.tick = crate::time::Tick(3);
    assert_eq!(after.machine.restore(&ID.into(), facts.clone(), now), None);
    assert_eq!(
        after.machine.next_deadline(),
        Some(crate::time::Tick(3 + 300))
    );
    // A wall clock that was set back gives the whole time, one that was set forward ends it.
    now.wall.0 -= 1_000_000;
    after.machine.restore(&ID.into(), facts.clone(), now);
    assert_eq!(
        after.machine.next_deadline(),
        Some(crate::time::Tick(3 + 1_000))
    );
    now.wall.0 += 9_000_000;
    after.machine.restore(&ID.into(), facts, now);
    assert_eq!(after.machine.next_deadline(), Some(crate::time::Tick(3)));
}

#[test]
fn after_a_restart_a_decided_end_is_carried_out() {
    let mut bench = bench();
    let by = bench.init(None).unwrap();
    bench.add(by, &[0], V2).unwrap();
    bench.end(by, true, V2).unwrap();
    let decided = bench.endings.remove(0);
    let mut after = super::sample::bench();
    let restored = after.machine.restore(&ID.into(), bench.facts(), at(0));
    assert_eq!(restored.as_ref(), Some(&decided));
    after.endings.extend(restored);
    after.finish();
    assert_eq!(after.state(), CompleteCommit);
    // A second time it is over.
    let again = after.machine.finished(&decided, at(0));
    assert_eq!(again.answer, Err(TxnError::InvalidState));
}

#[test]
fn a_producer_whose_epochs_are_used_up_gets_another_id() {
    let mut bench = bench();
    bench.init(None).unwrap();
    let last = bench.set_epoch(i16::MAX - 1);
    assert_eq!(bench.init(Some(last)), Ok(producer(102, 0)));
    // It asks again.
    assert_eq!(bench.init(Some(last)), Ok(producer(102, 0)));
    bench.set_epoch(i16::MAX - 1);
    assert_eq!(bench.init(None), Ok(producer(103, 0)));
}

#[test]
fn in_version_2_the_end_that_uses_the_epochs_up_hands_over_to_another_id() {
    let mut bench = bench();
    bench.init(None).unwrap();
    let last = bench.set_epoch(i16::MAX - 1);
    bench.add(last, &[0], V2).unwrap();
    assert_eq!(bench.end(last, true, V2), Ok(producer(102, 0)));
    assert_eq!(bench.facts().producer, producer(101, i16::MAX));
    assert_eq!(bench.finish()[0].producer, producer(101, i16::MAX));
    assert_eq!(bench.facts().producer, producer(102, 0));
    // It says it again, and goes on.
    assert_eq!(bench.end(last, true, V2), Ok(producer(102, 0)));
    assert_eq!(bench.add(producer(102, 0), &[0], V2), Ok(()));
}

#[test]
fn fencing_a_producer_at_its_last_epoch_does_not_overflow() {
    for v in [V1, V2] {
        let mut bench = bench();
        bench.init(None).unwrap();
        let last = bench.set_epoch(i16::MAX - 1);
        bench.add(last, &[0], v).unwrap();
        assert_eq!(bench.init(None), Err(TxnError::ConcurrentTransactions));
        assert_eq!(bench.finish()[0].producer, producer(101, i16::MAX));
        let next = bench.init(None).unwrap();
        assert!(next.id > 101, "{next:?}");
    }
}

#[test]
fn ids_and_partitions_have_bounds() {
    let mut bench = with(Limits {
        ids_max: 1,
        partitions_max: 2,
        ..Limits::default()
    });
    let by = bench.init(None).unwrap();
    let request = InitRequest {
        timeout_ms: 1,
        expected: None,
    };
    let other = bench
        .machine
        .init(&"other".into(), request, || Some(7), at(0));
    assert_eq!(other.answer, Err(TxnError::NotAvailable));
    assert_eq!(bench.add(by, &[0, 1, 2], V1), Err(TxnError::InvalidRequest));
    bench.add(by, &[0, 1], V1).unwrap();
    assert_eq!(bench.add(by, &[2], V1), Err(TxnError::InvalidRequest));
}

#[test]
fn the_table_of_steps_is_kafkas() {
    let from: Vec<Vec<TransactionState>> = TransactionState::ALL
        .iter()
        .map(|to| {
            let all = TransactionState::ALL.into_iter();
            all.filter(|from| to.is_reached_from(Some(*from))).collect()
        })
        .collect();
    assert_eq!(
        from,
        [
            vec![Empty, CompleteCommit, CompleteAbort],
            vec![Empty, Ongoing, CompleteCommit, CompleteAbort],
            vec![Ongoing],
            vec![Empty, Ongoing, CompleteCommit, CompleteAbort],
            vec![PrepareCommit],
            vec![PrepareAbort],
        ]
    );
}
