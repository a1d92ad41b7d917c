//! The live half of a group at rest.

use super::{Classic, Member, Phase, Roster};
use crate::group::effects::SeatId;
use crate::group::pack::{Packer, Unpacker};
use crate::group::request::{Client, Protocol};
use crate::ids::{Generation, InstanceId, MemberId, TopicName};
use crate::time::WallMs;

const HAS_PHASE_SINCE: u8 = 1;
const JOINED_MEANWHILE: u8 = 2;
/// The topics are known, and are what the members' metadata says.
const SUBSCRIBED_AS_READ: u8 = 4;
/// The topics are known, and are others.
const SUBSCRIBED: u8 = 8;

impl Classic {
    /// Whether nothing is going on: nobody waits or is waited for, and no timer runs.
    pub(in crate::group) fn is_quiet(&self) -> bool {
        let is_settled = match self.phase {
            Phase::Empty | Phase::Stable | Phase::Dead => true,
            Phase::PreparingRebalance | Phase::CompletingRebalance => false,
        };
        is_settled
            && self.join_timer.is_none()
            && self.sync_timer.is_none()
            && self.assigning.is_none()
            && self.roster.is_quiet()
    }

    /// Of a quiet group.
    pub(in crate::group) fn pack<'g>(&'g self, into: &mut Packer<'g>) {
        let Self {
            phase,
            previous,
            phase_since,
            protocol_type,
            protocol,
            generation,
            leader,
            roster,
            subscribed,
            joined_meanwhile,
            armings,
            // A quiet group has none of these.
            join_timer: _,
            sync_timer: _,
            assigning: _,
        } = self;
        into.byte(*phase as u8);
        into.maybe_text(protocol_type.as_deref());
        into.byte(*previous as u8);
        let read = subscribed.as_ref().and_then(|_| self.read_subscriptions());
        let subscribed_as = match subscribed {
            None => 0,
            Some(_) if *subscribed == read => SUBSCRIBED_AS_READ,
            Some(_) => SUBSCRIBED,
        };
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        into.byte(
            flag(phase_since.is_some(), HAS_PHASE_SINCE)
                | flag(*joined_meanwhile, JOINED_MEANWHILE)
                | subscribed_as,
        );
        if let Some(since) = phase_since {
            into.signed(since.0);
        }
        into.number((*armings).into());
        into.signed(generation.0.into());
        roster.pack(into);
        into.maybe_text(protocol.as_deref());
        into.maybe_text(leader.as_ref().map(MemberId::as_str));
        if let (SUBSCRIBED, Some(topics)) = (subscribed_as, subscribed) {
            into.length(topics.len());
            for topic in topics {
                into.text(topic.as_str());
            }
        }
    }

    pub(in crate::group) fn unpack(from: &mut Unpacker<'_>) -> Self {
        let mut classic = Self::new(WallMs(0));
        classic.phase = unpack_phase(from);
        classic.protocol_type = from.maybe_text();
        classic.previous = unpack_phase(from);
        let flags = from.byte();
        classic.joined_meanwhile = flags & JOINED_MEANWHILE != 0;
        classic.phase_since = (flags & HAS_PHASE_SINCE != 0).then(|| WallMs(from.signed()));
        classic.armings = from.small();
        classic.generation = Generation(from.signed_small());
        classic.roster = Roster::unpack(from);
        classic.protocol = from.maybe_text();
        classic.leader = from.maybe_text().map(MemberId::from);
        classic.subscribed = match flags & (SUBSCRIBED_AS_READ | SUBSCRIBED) {
            SUBSCRIBED_AS_READ => classic.read_subscriptions(),
            SUBSCRIBED => {
                let topics = 0..from.number();
                Some(topics.map(|_| TopicName::from(from.text())).collect())
            }
            _ => None,
        };
        classic
    }
}

pub(in crate::group) fn unpack_phase(from: &mut Unpacker<'_>) -> Phase {
    Phase::ALL[usize::from(from.byte())]
}

impl Roster {
    fn pack<'g>(&'g self, into: &mut Packer<'g>) {
        into.length(self.len());
        for (id, member) in self.iter() {
            let Member {
                seat,
                instance,
                client,
                session_timeout_ms,
                rebalance_timeout_ms,
                protocols,
                assignment,
                // Of a quiet group nobody waits.
                joining: _,
                syncing: _,
                owes_sync: _,
                is_new: _,
            } = member;
            into.maybe_text(instance.as_ref().map(InstanceId::as_str));
            into.text(&client.id);
            into.text(&client.host);
            into.text(id.as_str());
            into.number(seat.0.into());
            into.signed((*session_timeout_ms).into());
            into.signed(i64::from(*rebalance_timeout_ms) - i64::from(*session_timeout_ms));
            into.length(protocols.len());
            for protocol in protocols {
                into.text(&protocol.name);
                into.bytes(&protocol.metadata);
            }
            into.bytes(assignment);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let mut roster = Self::default();
        for _ in 0..from.number() {
            let instance = from.maybe_text().map(InstanceId::from);
            let client = Client {
                id: from.text(),
                host: from.text(),
            };
            let id = MemberId::from(from.text());
            let seat = SeatId(from.small());
            let session_ms = from.signed_small();
            let rebalance_ms = i32::try_from(i64::from(session_ms) + from.signed());
            let rebalance_ms = rebalance_ms.expect("it was packed from one that fits");
            let timeouts_ms = (session_ms, rebalance_ms);
            let protocols = 0..from.number();
            let protocols = protocols.map(|_| Protocol {
                name: from.text(),
                metadata: from.bytes(),
            });
            let protocols = protocols.collect();
            let assignment = from.bytes();
            let member = Member::stable(seat, instance, client, timeouts_ms, protocols, assignment);
            roster.add(id, member);
        }
        roster
    }
}
