//! The cases, a file per group.

use crate::case::{Book, Profile};

mod admins;
mod commit;
mod discovery;
mod fetch;
mod framing;
mod heartbeat;
mod join;
mod leave;
mod limits;
mod matrix;
mod migration;
mod modern_check;
mod modern_life;
mod moves;
mod share;
mod statics;
mod sync;
mod timed;
mod txn;
mod txn_coordinator;
mod versions;
mod walk;
mod walk_mixed;
mod walk_offsets;

pub fn all() -> Vec<crate::case::Case> {
    let mut book = Book {
        cases: Vec::new(),
        group: "",
        profile: Profile::Default,
    };
    discovery::add(&mut book);
    framing::add(&mut book);
    join::add(&mut book);
    sync::add(&mut book);
    heartbeat::add(&mut book);
    leave::add(&mut book);
    statics::add(&mut book);
    commit::add(&mut book);
    fetch::add(&mut book);
    admins::add(&mut book);
    modern_check::add(&mut book);
    modern_life::add(&mut book);
    migration::add(&mut book);
    txn::add(&mut book);
    txn_coordinator::add(&mut book);
    share::add(&mut book);
    matrix::add(&mut book);
    moves::add(&mut book);
    versions::add(&mut book);
    walk::add(&mut book);
    walk_mixed::add(&mut book);
    walk_offsets::add(&mut book);
    timed::add(&mut book);
    limits::add(&mut book);
    book.cases
}
