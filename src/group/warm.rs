//! A warm restart: who was heard of when, from one life of the shard to the next.
//!
//! Which member is in which generation with which assignment is durable. When it was last heard
//! of is only kept where a shard is given up in order ([`Groups::heard`]); after a crash nobody
//! knows, and every member has its whole session anew, as after a failover of Kafka's.

use std::collections::BTreeMap;

use super::classic::Member;
use super::groups::{Group, Groups};
use super::places::Seen;
use super::{Rules, SeatId};
use crate::ids::{GroupId, MemberId};
use crate::time::{Now, Tick, WallMs};

/// When a member was last heard of, by the wall clock: monotonic time ends with its process.
///
/// Not a fact as records are: nobody waits for it, no sync is spent on it, and without it a member
/// has its whole session anew.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Heard {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// When.
    pub at: WallMs,
}

/// What is known of the life before; until the groups are revived.
#[derive(Debug, Default)]
pub(super) struct Before {
    heard: BTreeMap<GroupId, BTreeMap<MemberId, WallMs>>,
}

impl Before {
    /// How long a member that is revived now may be silent at first, in milliseconds: what was
    /// left of its session, but no less than the grace in which its client finds us again.
    pub(super) fn session_left_ms(
        &self,
        group: &GroupId,
        (member, timeout_ms): (&MemberId, u64),
        rules: &Rules,
        now: WallMs,
    ) -> u64 {
        let heard = self.heard.get(group).and_then(|it| it.get(member));
        // A clock that was put back makes nobody older.
        let silent_ms = heard.map_or(0, |at| now.0.saturating_sub(at.0).max(0));
        timeout_ms
            .saturating_sub(silent_ms.unsigned_abs())
            .max(rules.session_grace_after_load_ms)
    }
}

impl Groups {
    /// Says when a member was last heard of in the life before; before [`Groups::revive`].
    pub fn was_heard(&mut self, heard: Heard) {
        let members = self.before.heard.entry(heard.group).or_default();
        members.insert(heard.member, heard.at);
    }

    /// When each member was last heard of, `beat` being the last beat that the side door heard:
    /// for the next life, when this one ends in order.
    pub fn heard(&self, beat: impl Fn(SeatId) -> Option<Tick>, now: Now) -> Vec<Heard> {
        let each = |group: Seen<'_>| self.heard_in(&group, &beat, now);
        self.iter().flat_map(each).collect()
    }

    fn heard_in(
        &self,
        group: &Group,
        beat: &impl Fn(SeatId) -> Option<Tick>,
        now: Now,
    ) -> Vec<Heard> {
        let at = |member: &Member| {
            if member.is_waiting() {
                return now.wall;
            }
            // Its deadline knows of stalls, and of a grace that it may live on.
            let deadline = self.deadline(member.seat, beat(member.seat));
            let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
            let left_ms = signed(deadline.0).saturating_sub(signed(now.tick.0));
            let silent_ms = signed(member.session_ms()).saturating_sub(left_ms).max(0);
            WallMs(now.wall.0.saturating_sub(silent_ms))
        };
        let members = group.classic.roster.iter();
        members
            .map(|(id, member)| Heard {
                group: group.id.clone(),
                member: id.clone(),
                at: at(member),
            })
            .collect()
    }
}
