//! One member of a classic group.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::group::effects::SeatId;
use crate::group::request::{Client, Protocol, ReplyTo};
use crate::ids::InstanceId;

/// A member; its id is its key in the roster.
#[derive(Debug)]
pub(in crate::group) struct Member {
    pub(in crate::group) seat: SeatId,
    pub(in crate::group) instance: Option<InstanceId>,
    pub(in crate::group) client: Client,
    pub(in crate::group) session_timeout_ms: i32,
    pub(in crate::group) rebalance_timeout_ms: i32,
    pub(in crate::group) protocols: Box<[Protocol]>,
    pub(in crate::group) assignment: Bytes,
    /// Its parked join. Set through the roster, which counts them.
    pub(super) joining: Option<ReplyTo>,
    /// Its parked sync.
    pub(super) syncing: Option<ReplyTo>,
    /// It was told of the generation and has not synced yet. Set through the roster.
    pub(super) owes_sync: bool,
    /// It has not completed its first join yet.
    pub(super) is_new: bool,
}

impl Member {
    /// A member of a stable group, revived by a restart or out of its rest; timeouts: session,
    /// rebalance.
    pub(in crate::group) fn stable(
        seat: SeatId,
        instance: Option<InstanceId>,
        client: Client,
        (session_timeout_ms, rebalance_timeout_ms): (i32, i32),
        protocols: Box<[Protocol]>,
        assignment: Bytes,
    ) -> Self {
        Self {
            seat,
            instance,
            client,
            session_timeout_ms,
            rebalance_timeout_ms,
            protocols,
            assignment,
            joining: None,
            syncing: None,
            owes_sync: false,
            is_new: false,
        }
    }

    /// What the member says about itself under that protocol; empty if it does not have it.
    pub(in crate::group) fn metadata(&self, protocol: &str) -> Bytes {
        self.offered(protocol)
            .map_or_else(Bytes::new, |offered| offered.metadata.clone())
    }

    /// The same, to look at.
    pub(super) fn metadata_bytes(&self, protocol: &str) -> &[u8] {
        self.offered(protocol)
            .map_or(&[], |offered| &offered.metadata)
    }

    fn offered(&self, protocol: &str) -> Option<&Protocol> {
        let mut protocols = self.protocols.iter();
        protocols.find(|offered| *offered.name == *protocol)
    }

    /// The session timeout as a length of time.
    pub(in crate::group) fn session_ms(&self) -> u64 {
        u64::try_from(self.session_timeout_ms).unwrap_or(0)
    }

    /// A parked request is a sign of life; a new member's first join is not (its own limit is
    /// [`crate::group::Rules::NEW_MEMBER_TIMEOUT_MS`]).
    pub(in crate::group) fn is_waiting(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    /// The distinct names of its protocols: a name listed twice counts once.
    pub(super) fn protocol_names(&self) -> impl Iterator<Item = &Arc<str>> {
        distinct_names(&self.protocols)
    }
}

/// The distinct names, in order of their first appearance.
pub(super) fn distinct_names(protocols: &[Protocol]) -> impl Iterator<Item = &Arc<str>> {
    // A client offers one or two; of very many, which a hostile one may offer, not each is to look
    // back at all before it.
    let mut seen = (protocols.len() > LOOKS_BACK_MAX).then(HashSet::new);
    let names = protocols.iter().map(|protocol| &protocol.name);
    names.enumerate().filter_map(move |(at, name)| {
        let is_first = match &mut seen {
            Some(seen) => seen.insert(&**name),
            None => protocols[..at].iter().all(|it| it.name != *name),
        };
        is_first.then_some(name)
    })
}

/// The longest list of protocols in which a name is looked for one by one.
const LOOKS_BACK_MAX: usize = 8;
