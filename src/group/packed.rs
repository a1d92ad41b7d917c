//! A group at rest: all of it in one piece of memory.

use std::sync::Arc;

use super::Phase;
use super::classic::{Classic, unpack_phase};
use super::effects::GroupKey;
use super::facts::{Facts, Offsets};
use super::groups::Group;
use super::pack::{Packer, Unpacker};
use super::record::{GroupMetadata, MemberMetadata, OffsetValue};
use super::reply::{GroupType, Listed};
use super::retention::Watch;
use super::row::Row;
use crate::ids::{Generation, GroupId, InstanceId, MemberId, TopicId, TopicName};
use crate::time::{Tick, WallMs};

/// A group to which nothing happens, in some 150 bytes where a live one takes 1,400.
///
/// ```text
///   name  flags  retention | phase  type | the rest of the live half | facts
///   who, and its timer     | for lists   |
/// ```
///
/// A look at them: [`super::pieces`] keeps them, and the slot of the group knows its serial number.
/// What follows after the end is not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'p>(pub(super) &'p [u8]);

const WATCHED: u8 = 1;
const WATCH_FIRED: u8 = 2;
const HAS_OFFSETS: u8 = 4;

/// What the facts say of the group.
const NOT_STORED: u8 = 0;
/// What would be stored now, but for the time of the phase.
const STORED_AS_LIVE: u8 = 1;
const STORED_OTHERWISE: u8 = 2;

/// Packs a quiet group, into memory that was used for that before.
pub(super) fn pack(group: &Group, memory: Vec<u8>) -> Vec<u8> {
    let Group {
        id,
        facts,
        classic,
        retention,
        // The slot's.
        key: _,
        // A quiet group has nothing of these.
        in_flight: _,
        removals: _,
        pending_in_flight: _,
        promised: _,
        is_closing: _,
        held: _,
        is_touched: _,
    } = group;
    let mut into = Packer::over(memory);
    into.bytes(id.as_str().as_bytes());
    let has_offsets = !facts.offsets.is_empty();
    let offsets = if has_offsets { HAS_OFFSETS } else { 0 };
    match *retention {
        None => into.byte(offsets),
        Some(Watch { arming, at: None }) => {
            into.byte(offsets | WATCHED | WATCH_FIRED);
            into.number(arming.into());
        }
        Some(Watch {
            arming,
            at: Some(at),
        }) => {
            into.byte(offsets | WATCHED);
            into.number(arming.into());
            into.number(at.0);
        }
    }
    classic.pack(&mut into);
    pack_stored(facts, classic, &mut into);
    if has_offsets {
        pack_offsets(&facts.offsets, &mut into);
    }
    into.done()
}

impl<'p> Packed<'p> {
    fn read(self) -> Unpacker<'p> {
        Unpacker::new(self.0)
    }

    /// The name's text.
    pub(super) fn name(self) -> &'p [u8] {
        self.read().slice()
    }

    pub(super) fn has_offsets(self) -> bool {
        let mut from = self.read();
        from.slice();
        from.byte() & HAS_OFFSETS != 0
    }

    pub(super) fn retention(self) -> Option<Watch> {
        let mut from = self.read();
        from.slice();
        let flags = from.byte();
        unpack_watch(flags, &mut from)
    }

    /// Its row in a list, if that phase is asked for.
    pub(super) fn listed(self, is_wanted: impl Fn(Phase) -> bool) -> Option<Listed> {
        let mut from = self.read();
        let name = from.slice();
        let flags = from.byte();
        unpack_watch(flags, &mut from);
        let phase = unpack_phase(&mut from);
        is_wanted(phase).then(|| Listed {
            group: Unpacker::utf8(name).into(),
            protocol_type: from.maybe_text().unwrap_or_else(|| "".into()),
            phase,
            group_type: GroupType::Classic,
        })
    }

    /// The group, which has that key.
    pub(super) fn unpack(self, key: GroupKey) -> Group {
        let mut from = self.read();
        let id = GroupId::from(Unpacker::utf8(from.slice()));
        let mut group = Group::new(key, id, WallMs(0));
        let flags = from.byte();
        group.retention = unpack_watch(flags, &mut from);
        group.classic = Classic::unpack(&mut from);
        group.facts.metadata = unpack_stored(&group.classic, &mut from);
        if flags & HAS_OFFSETS != 0 {
            unpack_offsets(&mut group.facts.offsets, &mut from);
        }
        group
    }
}

fn unpack_watch(flags: u8, from: &mut Unpacker<'_>) -> Option<Watch> {
    (flags & WATCHED != 0).then(|| Watch {
        arming: from.small(),
        at: (flags & WATCH_FIRED == 0).then(|| Tick(from.number())),
    })
}

/// What would be stored of a group that came into its phase at that time.
fn as_live(classic: &Classic, phase_since: Option<WallMs>) -> GroupMetadata {
    GroupMetadata {
        phase_since,
        ..classic.metadata(|_, member| member.assignment.clone())
    }
}

fn pack_stored<'g>(facts: &'g Facts, classic: &Classic, into: &mut Packer<'g>) {
    let Some(stored) = &facts.metadata else {
        return into.byte(NOT_STORED);
    };
    let is_as_live = **stored == as_live(classic, stored.phase_since);
    into.byte(if is_as_live {
        STORED_AS_LIVE
    } else {
        STORED_OTHERWISE
    });
    // The phase that was stored began as the present one did, or a moment before.
    let (since, live) = (stored.phase_since, classic.phase_since);
    into.byte(u8::from(since.is_some()));
    if let Some(since) = since {
        into.signed(since.0.wrapping_sub(live.unwrap_or(WallMs(0)).0));
    }
    if is_as_live {
        return;
    }
    into.maybe_text(stored.protocol_type.as_deref());
    into.signed(stored.generation.0.into());
    into.maybe_text(stored.protocol.as_deref());
    into.length(stored.members.len());
    for member in &stored.members {
        into.maybe_text(member.instance.as_ref().map(InstanceId::as_str));
        into.text(&member.client_id);
        into.text(&member.client_host);
        into.text(member.member.as_str());
        into.signed(member.rebalance_timeout_ms.into());
        into.signed(member.session_timeout_ms.into());
        into.bytes(&member.subscription);
        into.bytes(&member.assignment);
    }
    into.maybe_text(stored.leader.as_ref().map(MemberId::as_str));
}

fn unpack_stored(classic: &Classic, from: &mut Unpacker<'_>) -> Option<Arc<GroupMetadata>> {
    let kind = from.byte();
    if kind == NOT_STORED {
        return None;
    }
    let live = classic.phase_since.unwrap_or(WallMs(0));
    let phase_since = (from.byte() != 0).then(|| WallMs(live.0.wrapping_add(from.signed())));
    if kind == STORED_AS_LIVE {
        return Some(Arc::new(as_live(classic, phase_since)));
    }
    Some(Arc::new(GroupMetadata {
        phase_since,
        protocol_type: from.maybe_text(),
        generation: Generation(from.signed_small()),
        protocol: from.maybe_text(),
        members: (0..from.number()).map(|_| unpack_member(from)).collect(),
        leader: from.maybe_text().map(MemberId::from),
    }))
}

fn unpack_member(from: &mut Unpacker<'_>) -> MemberMetadata {
    MemberMetadata {
        instance: from.maybe_text().map(InstanceId::from),
        client_id: from.text(),
        client_host: from.text(),
        member: MemberId::from(from.text()),
        rebalance_timeout_ms: from.signed_small(),
        session_timeout_ms: from.signed_small(),
        subscription: from.bytes(),
        assignment: from.bytes(),
    }
}

/// Each offset as what it differs by from the one before.
fn pack_offsets<'g>(offsets: &'g Offsets, into: &mut Packer<'g>) {
    into.length(offsets.by_topic().count());
    for (topic, row) in offsets.by_topic() {
        into.text(topic.as_str());
        pack_row(row, into);
    }
}

fn unpack_offsets(offsets: &mut Offsets, from: &mut Unpacker<'_>) {
    for _ in 0..from.number() {
        let topic = TopicName::from(from.text());
        let count = from.number();
        let mut before = Before::first(TopicId(from.array()));
        for _ in 0..count {
            before = before.unpack_next(from);
            offsets.insert(&topic, before.partition, &before.value);
        }
    }
}

fn pack_row(row: &Row, into: &mut Packer<'_>) {
    into.length(row.iter().count());
    let topic_id = row
        .iter()
        .next()
        .map_or(TopicId::ZERO, |(_, first)| first.topic_id);
    into.raw(&topic_id.0);
    let mut before = Before::first(topic_id);
    for (partition, value) in row.iter() {
        before = before.pack_next(partition, value, into);
    }
}

/// The offset before the next one of a topic.
struct Before {
    partition: i32,
    value: OffsetValue,
    topic_id: TopicId,
}

impl Before {
    /// Before the first one.
    fn first(topic_id: TopicId) -> Self {
        let value = OffsetValue {
            offset: 0,
            leader_epoch: -1,
            metadata: "".into(),
            committed_at: WallMs(0),
            expires_at: None,
            topic_id,
        };
        Self {
            partition: -1,
            value,
            topic_id,
        }
    }

    fn pack_next(self, partition: i32, value: OffsetValue, into: &mut Packer<'_>) -> Self {
        let is_rare = !value.metadata.is_empty()
            || value.expires_at.is_some()
            || value.topic_id != self.topic_id;
        let step = i64::from(partition) - i64::from(self.partition);
        into.signed(step << 1 | i64::from(is_rare));
        into.signed(value.offset);
        let later = value.committed_at.0.wrapping_sub(self.value.committed_at.0);
        into.signed(later);
        into.signed(i64::from(value.leader_epoch) - i64::from(self.value.leader_epoch));
        if is_rare {
            into.bytes(value.metadata.as_bytes());
            pack_maybe_time(value.expires_at, into);
            into.raw(&value.topic_id.0);
        }
        Self {
            partition,
            value,
            ..self
        }
    }

    fn unpack_next(self, from: &mut Unpacker<'_>) -> Self {
        let fits = "it was packed from one that fits";
        let step = from.signed();
        let is_rare = step & 1 != 0;
        let partition = i64::from(self.partition) + (step >> 1);
        let offset = from.signed();
        let committed_at = WallMs(self.value.committed_at.0.wrapping_add(from.signed()));
        let leader_epoch = i64::from(self.value.leader_epoch) + from.signed();
        let mut value = OffsetValue {
            offset,
            leader_epoch: i32::try_from(leader_epoch).expect(fits),
            metadata: "".into(),
            committed_at,
            expires_at: None,
            topic_id: self.topic_id,
        };
        if is_rare {
            value.metadata = Unpacker::utf8(from.slice()).into();
            value.expires_at = unpack_maybe_time(from);
            value.topic_id = TopicId(from.array());
        }
        Self {
            partition: i32::try_from(partition).expect(fits),
            value,
            ..self
        }
    }
}

fn pack_maybe_time(time: Option<WallMs>, into: &mut Packer<'_>) {
    into.byte(u8::from(time.is_some()));
    if let Some(time) = time {
        into.signed(time.0);
    }
}

fn unpack_maybe_time(from: &mut Unpacker<'_>) -> Option<WallMs> {
    (from.byte() != 0).then(|| WallMs(from.signed()))
}
