//! The slots between shards and the writer, under loom.
//!
//! Bounds: one shard with two batches, of which the second may go into the first, and a writer
//! that sleeps until rung; three preemptions.

use std::collections::VecDeque;
use std::sync::Weak;

use loom::sync::Arc;
use loom::thread;

use super::log::Body;
use super::writer::{Shared, Submission};
use crate::atomic::Parker;
use crate::error::Refusal;
use crate::ids::ShardId;
use crate::journal::{Done, Outcomes, Ticket};

struct Nobody;

impl Outcomes for Nobody {
    fn settled(&self, _: Ticket, _: Result<(), Refusal>) {}
}

fn ticket(index: u64) -> Ticket {
    Ticket {
        shard: ShardId(0),
        term: 1,
        index,
    }
}

/// A batch whose one byte is its number.
fn submission(index: u8) -> Submission {
    Submission {
        done: Done::new(ticket(index.into()), Weak::<Nobody>::new()),
        body: Ok(vec![index]),
    }
}

#[test]
fn no_batch_is_left_behind_and_all_are_taken_in_order() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let shared = Arc::new(Shared::new(1));
        let parker = Parker::new();
        let bell = parker.unparker().clone();
        let shard = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.append(submission(1));
                bell.unpark();
                let write = |body: &mut Body| {
                    body.push(2);
                    true
                };
                let is_extended = shared.extend(ticket(1), write);
                if !is_extended {
                    shared.append(submission(2));
                }
                bell.unpark();
            })
        };
        let mut taken = VecDeque::new();
        let bytes = |taken: &VecDeque<Submission>| -> Vec<u8> {
            let bodies = taken.iter().filter_map(|it| it.body.as_ref().ok());
            bodies.flat_map(|body| body.clone()).collect()
        };
        loop {
            shared.take(0, &mut taken);
            if bytes(&taken).len() == 2 {
                break;
            }
            parker.park();
        }
        shard.join().expect("ends");
        assert_eq!(bytes(&taken), [1, 2]);
    });
}
