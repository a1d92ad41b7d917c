//! The shard's end of the side door: who may beat, and what the beats are told.

use std::sync::Arc;

use crate::group::{End, GroupKey, Phase, SeatId};
use crate::ids::{Generation, GroupId, InstanceId, MemberId};
use crate::session::{self, Beacon, Directory, Ended, Session};
use crate::time::Tick;

/// The sessions of the shard's seats and the beacons of its groups, each by slot.
#[derive(Debug)]
pub(super) struct Doors {
    directory: Arc<Directory>,
    sessions: Vec<Option<Arc<Session>>>,
    beacons: Vec<Option<(GroupKey, Arc<Beacon>)>>,
}

impl Doors {
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        Self {
            directory,
            sessions: Vec::new(),
            beacons: Vec::new(),
        }
    }

    /// Opens the door for a member.
    pub(super) fn open(
        &mut self,
        seat: SeatId,
        group: GroupKey,
        (group_id, member, instance): (GroupId, MemberId, Option<InstanceId>),
        now: Tick,
    ) {
        let beacon = self.beacon(group);
        let session = Arc::new(Session::new(group_id, member, instance, beacon, now));
        if self.directory.insert(&session).is_err() {
            // The members' quota is as large as the directory, so that this is not reached; if it
            // is, the member's heartbeats go through the mailbox.
            tracing::error!("the directory of sessions is full");
        }
        let slot = seat.0 as usize;
        if self.sessions.len() <= slot {
            self.sessions.resize_with(slot + 1, || None);
        }
        self.sessions[slot] = Some(session);
    }

    fn beacon(&mut self, group: GroupKey) -> Arc<Beacon> {
        let slot = group.slot as usize;
        if self.beacons.len() <= slot {
            self.beacons.resize_with(slot + 1, || None);
        }
        match &self.beacons[slot] {
            Some((key, beacon)) if *key == group => Arc::clone(beacon),
            _ => {
                let beacon = Arc::new(Beacon::new(Generation(0), session::Phase::Empty));
                self.beacons[slot] = Some((group, Arc::clone(&beacon)));
                beacon
            }
        }
    }

    /// Closes the door for good.
    pub(super) fn close(&mut self, seat: SeatId, end: End) {
        let Some(session) = self
            .sessions
            .get_mut(seat.0 as usize)
            .and_then(Option::take)
        else {
            return;
        };
        session.end(match end {
            End::Left => Ended::Left,
            End::Expired => Ended::Expired,
            End::Fenced => Ended::Fenced,
        });
        self.directory.remove(&session);
    }

    /// The member's last beat; `None`: it has no door.
    pub(super) fn last_beat(&self, seat: SeatId) -> Option<Tick> {
        self.sessions
            .get(seat.0 as usize)?
            .as_ref()?
            .last_beat()
            .ok()
    }

    /// Closes the door unless somebody beat since `beat`; whether it is closed now.
    pub(super) fn close_if_silent(&mut self, seat: SeatId, beat: Option<Tick>) -> bool {
        let session = self.sessions.get(seat.0 as usize).and_then(Option::as_ref);
        match (session, beat) {
            (Some(session), Some(beat)) => session.expire(beat, Ended::Expired).is_ok(),
            _ => true,
        }
    }

    /// Tells the beats of a group where it stands. A group that nobody joined has no beats.
    pub(super) fn publish(&mut self, group: GroupKey, generation: Generation, phase: Phase) {
        self.beacon(group).publish(
            generation,
            match phase {
                Phase::Empty => session::Phase::Empty,
                Phase::PreparingRebalance => session::Phase::PreparingRebalance,
                Phase::CompletingRebalance => session::Phase::CompletingRebalance,
                Phase::Stable => session::Phase::Stable,
                Phase::Dead => session::Phase::Dead,
            },
        );
    }

    /// The group is gone.
    pub(super) fn vacate(&mut self, group: GroupKey) {
        if let Some(place) = self.beacons.get_mut(group.slot as usize) {
            *place = None;
        }
    }

    /// The shard failed: every door is closed, every beat is refused.
    pub(super) fn close_all(&mut self) {
        for session in self.sessions.drain(..).flatten() {
            session.end(Ended::Left);
            self.directory.remove(&session);
        }
        for (_, beacon) in self.beacons.drain(..).flatten() {
            let (generation, _) = beacon.load();
            beacon.publish(generation, session::Phase::Dead);
        }
    }
}
