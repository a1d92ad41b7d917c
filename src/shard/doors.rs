//! The shard's end of the side door: who may beat, and what the beats are told.

use std::sync::Arc;

use crate::group::{GroupKey, Phase, SeatId};
use crate::ids::{Generation, GroupId, InstanceId, MemberId, ShardId};
use crate::session::{self, BeaconId, Directory, Registrar, SessionId};
use crate::time::Tick;

/// The sessions of the shard's seats and the beacons of its groups, each by slot.
#[derive(Debug)]
pub(super) struct Doors {
    registrar: Registrar,
    sessions: Vec<Option<SessionId>>,
    /// With the serial number of the group.
    beacons: Vec<Option<(u32, BeaconId)>>,
}

impl Doors {
    /// Takes the shard's part of the directory.
    ///
    /// # Panics
    ///
    /// If it is taken already.
    pub(super) fn new(directory: &Arc<Directory>, shard: ShardId) -> Self {
        let registrar = directory.registrar(shard);
        Self {
            registrar: registrar.expect("a shard has one owner at a time"),
            sessions: Vec::new(),
            beacons: Vec::new(),
        }
    }

    /// Opens the door for a member.
    pub(super) fn open(
        &mut self,
        seat: SeatId,
        group: GroupKey,
        (group_id, member, instance): &(GroupId, MemberId, Option<InstanceId>),
        now: Tick,
    ) {
        self.close(seat);
        let Some(beacon) = self.beacon(group) else {
            return;
        };
        let instance = instance.as_ref().map(InstanceId::as_str);
        let names = (group_id.as_str(), member.as_str(), instance);
        let session = match self.registrar.open(beacon, names, now) {
            Ok(session) => session,
            Err(error) => {
                // Nothing is lost: its heartbeats go through the mailbox.
                tracing::debug!(group = %group_id, "no session of its own: {error}");
                return;
            }
        };
        let slot = seat.0 as usize;
        if self.sessions.len() <= slot {
            self.sessions.resize(slot + 1, None);
        }
        self.sessions[slot] = Some(session);
    }

    fn beacon(&mut self, group: GroupKey) -> Option<BeaconId> {
        let slot = group.slot as usize;
        if self.beacons.len() <= slot {
            self.beacons.resize(slot + 1, None);
        }
        match self.beacons[slot] {
            Some((serial, beacon)) if serial == group.serial => Some(beacon),
            former => {
                if let Some((_, beacon)) = former {
                    self.registrar.remove_beacon(beacon);
                }
                let beacon = self.registrar.add_beacon();
                self.beacons[slot] = beacon.map(|beacon| (group.serial, beacon));
                beacon
            }
        }
    }

    /// Closes the door for good.
    pub(super) fn close(&mut self, seat: SeatId) {
        let session = self.sessions.get_mut(seat.0 as usize);
        if let Some(session) = session.and_then(Option::take) {
            self.registrar.close(session);
        }
    }

    fn session(&self, seat: SeatId) -> Option<SessionId> {
        self.sessions.get(seat.0 as usize).copied().flatten()
    }

    /// The member's last beat; `None`: it has no door.
    pub(super) fn last_beat(&self, seat: SeatId) -> Option<Tick> {
        self.registrar.last_beat(self.session(seat)?)
    }

    /// Closes the door unless somebody beat since `beat`; whether it is closed now.
    pub(super) fn close_if_silent(&mut self, seat: SeatId, beat: Option<Tick>) -> bool {
        match (self.session(seat), beat) {
            (Some(session), Some(beat)) => self.registrar.expire(session, beat),
            _ => true,
        }
    }

    /// Tells the beats of a group where it stands. A group that nobody joined has no beats.
    pub(super) fn publish(&mut self, group: GroupKey, generation: Generation, phase: Phase) {
        let phase = match phase {
            Phase::Empty => session::Phase::Empty,
            Phase::PreparingRebalance => session::Phase::PreparingRebalance,
            Phase::CompletingRebalance => session::Phase::CompletingRebalance,
            Phase::Stable => session::Phase::Stable,
            Phase::Dead => session::Phase::Dead,
        };
        if let Some(beacon) = self.beacon(group) {
            self.registrar.publish(beacon, generation, phase);
        }
    }

    /// The group is gone.
    pub(super) fn vacate(&mut self, group: GroupKey) {
        let place = self.beacons.get_mut(group.slot as usize);
        if let Some((_, beacon)) = place.and_then(Option::take) {
            self.registrar.remove_beacon(beacon);
        }
    }

    /// The shard failed: every door is closed, every beat is refused.
    pub(super) fn close_all(&mut self) {
        for session in self.sessions.drain(..).flatten() {
            self.registrar.close(session);
        }
        for (_, beacon) in self.beacons.drain(..).flatten() {
            self.registrar.remove_beacon(beacon);
        }
    }
}
