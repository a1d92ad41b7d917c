//! Names that many members have in common, kept once.

use std::sync::Arc;

use dashmap::DashSet;
use foldhash::fast::RandomState;

use crate::atomic::{AtomicUsize, Ordering};
use crate::group::JoinRequest;

/// Client ids, addresses, protocols and their types: a node with a million members has a handful
/// of them, and each member would keep its own.
///
/// A set of shards behind locks: joins look here, heartbeats and commits never do. When it is full
/// the names that no member has any more go; one that finds no room then is kept by its member
/// alone.
#[derive(Debug)]
pub(super) struct SharedNames {
    names: DashSet<Arc<str>, RandomState>,
    /// At that size the unused go. Written by who lets them go, read by who adds a name.
    sweep_at: AtomicUsize,
}

/// Names that are kept at most, beside one a thread that adds at the same time.
const NAMES_MAX: usize = 65_536;
/// The first size at which the unused go.
const SWEEP_MIN: usize = 1_024;

impl SharedNames {
    pub(super) fn new() -> Self {
        Self {
            names: DashSet::with_hasher(RandomState::default()),
            sweep_at: AtomicUsize::new(SWEEP_MIN),
        }
    }

    /// Lets the request have the names that others have.
    pub(super) fn share_in(&self, join: &mut JoinRequest) {
        self.share(&mut join.client.id);
        self.share(&mut join.client.host);
        self.share(&mut join.protocol_type);
        for protocol in &mut join.protocols {
            self.share(&mut protocol.name);
        }
    }

    fn share(&self, name: &mut Arc<str>) {
        if let Some(held) = self.names.get(&**name) {
            *name = Arc::clone(&held);
        } else if self.has_room() {
            self.names.insert(Arc::clone(name));
        }
    }

    fn has_room(&self) -> bool {
        // Relaxed: a number that stands alone; two that sweep at once do no harm.
        if self.names.len() >= self.sweep_at.load(Ordering::Relaxed) {
            self.names.retain(|name| Arc::strong_count(name) > 1);
            let next = (2 * self.names.len()).clamp(SWEEP_MIN, NAMES_MAX);
            self.sweep_at.store(next, Ordering::Relaxed);
        }
        self.names.len() < NAMES_MAX
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn shared(names: &SharedNames, name: &str) -> Arc<str> {
        let mut name = name.into();
        names.share(&mut name);
        name
    }

    #[test]
    fn members_with_the_same_names_keep_them_once() {
        let names = SharedNames::new();
        let join = || {
            let join = JoinRequest::new("g", "consumer").client("c", "/10.0.0.7");
            let mut join = join.protocol("range", b"m".as_slice());
            names.share_in(&mut join);
            join
        };
        let (one, two) = (join(), join());
        assert!(Arc::ptr_eq(&one.client.id, &two.client.id));
        assert!(Arc::ptr_eq(&one.client.host, &two.client.host));
        assert!(Arc::ptr_eq(&one.protocol_type, &two.protocol_type));
        assert!(Arc::ptr_eq(&one.protocols[0].name, &two.protocols[0].name));
        assert_eq!(one, two);
    }

    #[test]
    fn names_that_nobody_has_any_more_go() {
        let names = SharedNames::new();
        let kept = shared(&names, "kept");
        for n in 0..100_000 {
            shared(&names, &format!("client {n}"));
            assert!(names.names.len() <= SWEEP_MIN);
        }
        assert!(Arc::ptr_eq(&kept, &shared(&names, "kept")));
    }

    #[test]
    fn a_full_set_keeps_what_it_has_and_takes_no_more() {
        let names = SharedNames::new();
        let all: Vec<_> = (0..NAMES_MAX + 10)
            .map(|n| shared(&names, &n.to_string()))
            .collect();
        assert_eq!(names.names.len(), NAMES_MAX);
        assert!(Arc::ptr_eq(&all[0], &shared(&names, "0")));
        assert_eq!(&*shared(&names, "one more"), "one more");
    }
}
