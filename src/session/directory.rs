//! From names to sessions.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhash::quality::RandomState;

use super::member::Session;
use crate::atomic::{AtomicUsize, Ordering};

/// Every session of the node, found by the names of its group and its member.
///
/// The key is a 128-bit fingerprint of both names, of two hashes whose seeds are random for each
/// directory; names are hashed where they lie. A hit is checked by its names, so a collision is a
/// miss and never another member: the second of two such sessions stays out, and its heartbeats
/// go through the mailbox.
///
/// Sharded, each shard behind a lock that is held for one look-up or one change: not lock-free.
pub struct Directory {
    sessions: DashMap<Fingerprint, Arc<Session>, Folded>,
    low: RandomState,
    high: RandomState,
    /// Sessions in the map, and places taken by an insertion that is under way. Written by who
    /// inserts and removes, read by any.
    count: AtomicUsize,
    members_max: usize,
}

/// The directory holds its maximum of sessions; nothing was inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectoryFull {
    /// The maximum.
    pub members_max: usize,
}

impl fmt::Display for DirectoryFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the node has its maximum of members: {}",
            self.members_max
        )
    }
}

impl std::error::Error for DirectoryFull {}

impl Directory {
    /// An empty directory for at most `members_max` sessions.
    pub fn new(members_max: usize) -> Self {
        Self {
            sessions: DashMap::with_hasher(Folded),
            low: RandomState::default(),
            high: RandomState::default(),
            count: AtomicUsize::new(0),
            members_max,
        }
    }

    /// Sessions in the directory; exact while nobody inserts.
    pub fn len(&self) -> usize {
        // Relaxed: a number to show, nothing is concluded from it.
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the session known by its names; an earlier session of the same names goes.
    ///
    /// # Errors
    ///
    /// [`DirectoryFull`] if there are `members_max` sessions already and none of these names.
    pub fn insert(&self, session: &Arc<Session>) -> Result<(), DirectoryFull> {
        let key = self.fingerprint(session.group().as_str(), session.member().as_str());
        match self.sessions.entry(key) {
            Entry::Occupied(mut held) => {
                let names = (session.group().as_str(), session.member().as_str());
                if is_named(held.get(), names.0, names.1) {
                    held.insert(Arc::clone(session));
                }
            }
            Entry::Vacant(free) => {
                self.take_place()?;
                free.insert(Arc::clone(session));
            }
        }
        Ok(())
    }

    /// Forgets this very session; another one of the same names stays.
    pub fn remove(&self, session: &Session) {
        let key = self.fingerprint(session.group().as_str(), session.member().as_str());
        let removed = self
            .sessions
            .remove_if(&key, |_, held| std::ptr::eq(Arc::as_ptr(held), session));
        if removed.is_some() {
            // Relaxed: see `take_place`.
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The session of that member, if there is one.
    pub fn find(&self, group: &str, member: &str) -> Option<Arc<Session>> {
        let held = self.sessions.get(&self.fingerprint(group, member))?;
        is_named(&held, group, member).then(|| Arc::clone(&held))
    }

    fn take_place(&self) -> Result<(), DirectoryFull> {
        // Relaxed: only the number counts, and the changes of one word have one order; the map
        // itself is ordered by its locks.
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.members_max).then_some(count + 1)
            })
            .map(|_| ())
            .map_err(|_| DirectoryFull {
                members_max: self.members_max,
            })
    }

    fn fingerprint(&self, group: &str, member: &str) -> Fingerprint {
        let low = hash_names(&self.low, group, member);
        let high = hash_names(&self.high, group, member);
        Fingerprint((u128::from(high) << 64) | u128::from(low))
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("len", &self.len())
            .field("members_max", &self.members_max)
            .finish_non_exhaustive()
    }
}

/// Two hashes of a pair of names, mixed well in each bit.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprint(u128);

impl std::hash::Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0);
    }
}

/// Takes the low half of a fingerprint for its hash.
#[derive(Clone, Copy, Default)]
struct Folded;

#[derive(Default)]
struct FoldedHasher(u64);

impl BuildHasher for Folded {
    type Hasher = FoldedHasher;

    fn build_hasher(&self) -> FoldedHasher {
        FoldedHasher(0)
    }
}

impl Hasher for FoldedHasher {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is the hash, the high half is there for the comparison"
    )]
    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }

    /// Fingerprints are the only keys, and write themselves as one number.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The lengths go first, so that where one name ends and the other begins is part of the hash.
fn hash_names(seeds: &RandomState, group: &str, member: &str) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u64(((group.len() as u64) << 32) ^ member.len() as u64);
    hasher.write(group.as_bytes());
    hasher.write(member.as_bytes());
    hasher.finish()
}

fn is_named(session: &Session, group: &str, member: &str) -> bool {
    session.group().as_str() == group && session.member().as_str() == member
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::super::{Beacon, Phase};
    use super::*;
    use crate::ids::Generation;
    use crate::time::Tick;

    fn session(group: &str, member: &str) -> Arc<Session> {
        Arc::new(Session::new(
            group.into(),
            member.into(),
            None,
            Arc::new(Beacon::new(Generation(1), Phase::Stable)),
            Tick(0),
        ))
    }

    #[test]
    fn a_session_is_found_by_its_names_and_by_no_others() {
        let directory = Directory::new(10);
        let here = session("a", "bc");
        directory.insert(&here).unwrap();
        let found = directory.find("a", "bc").expect("it is there");
        assert!(Arc::ptr_eq(&found, &here));
        for (group, member) in [("ab", "c"), ("", "abc"), ("abc", ""), ("a", "bcc")] {
            assert!(directory.find(group, member).is_none());
        }
    }

    #[test]
    fn where_the_names_part_is_part_of_the_fingerprint() {
        let directory = Directory::new(10);
        let print = |group, member| directory.fingerprint(group, member).0;
        assert_ne!(print("a", "bc"), print("ab", "c"));
        assert_ne!(print("a", "b"), print("a", "bb"));
        assert_ne!(print("a", ""), print("", "a"));
        assert_eq!(print("a", "bc"), print("a", "bc"));
    }

    #[test]
    fn two_directories_have_different_fingerprints() {
        let print = |d: &Directory| d.fingerprint("group", "member").0;
        assert_ne!(print(&Directory::new(1)), print(&Directory::new(1)));
    }

    #[test]
    fn a_collision_is_a_miss_and_never_another_member() {
        let directory = Directory::new(10);
        let other = session("g", "other");
        // As if the names of two members had one fingerprint.
        let key = directory.fingerprint("g", "m");
        directory.sessions.insert(key, Arc::clone(&other));
        assert!(directory.find("g", "m").is_none());
        let late = session("g", "m");
        directory.insert(&late).unwrap();
        assert!(directory.find("g", "m").is_none());
        directory.remove(&late);
        assert!(Arc::ptr_eq(&directory.sessions.get(&key).unwrap(), &other));
    }

    #[test]
    fn removal_spares_a_later_session_of_the_same_names() {
        let directory = Directory::new(10);
        let (first, second) = (session("g", "m"), session("g", "m"));
        directory.insert(&first).unwrap();
        directory.insert(&second).unwrap();
        assert_eq!(directory.len(), 1);
        directory.remove(&first);
        let found = directory.find("g", "m").expect("the second is there");
        assert!(Arc::ptr_eq(&found, &second));
        directory.remove(&second);
        directory.remove(&second);
        assert!(directory.find("g", "m").is_none());
        assert!(directory.is_empty());
    }

    #[test]
    fn a_full_directory_refuses_a_newcomer_and_takes_a_successor() {
        let directory = Directory::new(1);
        let first = session("g", "m");
        directory.insert(&first).unwrap();
        assert_eq!(
            directory.insert(&session("g", "n")),
            Err(DirectoryFull { members_max: 1 })
        );
        directory.insert(&session("g", "m")).unwrap();
        assert_eq!(directory.len(), 1);
    }

    #[test]
    fn the_count_holds_while_many_insert_and_remove() {
        let directory = Directory::new(150);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let directory = &directory;
                scope.spawn(move || {
                    let sessions: Vec<_> = (0..100)
                        .map(|n| session("g", &format!("{thread}-{n}")))
                        .collect();
                    for session in &sessions {
                        let _ = directory.insert(session);
                        assert!(directory.len() <= 150);
                    }
                    for session in &sessions[..50] {
                        directory.remove(session);
                    }
                });
            }
        });
        assert_eq!(directory.len(), directory.sessions.len());
    }
}
