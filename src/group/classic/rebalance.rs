//! From the first sign of change to the next generation: specification 2.3 to 2.5.

use super::{JoinEnd, Phase, Turn, join};
use crate::error::Refusal;
use crate::group::effects::{Cause, Effect, End, Note, Then, Timer, Why};
use crate::group::reply::Reply;
use crate::ids::{Generation, MemberId};

impl Turn<'_> {
    /// Starts a rebalance.
    pub(in crate::group) fn prepare_rebalance(&mut self, cause: Cause) {
        self.prepare_rebalance_refusing(cause, Refusal::RebalanceInProgress);
    }

    /// The same; syncs that wait are refused so, once the new phase is published.
    pub(super) fn prepare_rebalance_refusing(&mut self, cause: Cause, refusal: Refusal) {
        self.note(Note::RebalanceStarted(cause));
        self.group.classic.roster.clear_owed_syncs();
        self.group.classic.sync_timer = None;
        let slowest_ms = self.group.classic.roster.rebalance_timeout_ms_max();
        if self.group.classic.phase == Phase::Empty {
            let delay_ms = self.rules.initial_rebalance_delay_ms;
            let remaining_ms = slowest_ms.saturating_sub(delay_ms);
            self.arm_join(
                delay_ms,
                JoinEnd::Initial {
                    delay_ms,
                    remaining_ms,
                },
            );
            self.step_to(Phase::PreparingRebalance);
            return;
        }
        let ends_syncs = self.group.classic.phase == Phase::CompletingRebalance;
        self.step_to(Phase::PreparingRebalance);
        if ends_syncs {
            self.refuse_syncs(refusal);
        }
        if self.group.classic.roster.all_joined() {
            self.complete_join();
        } else {
            self.arm_join(slowest_ms, JoinEnd::Timeout);
        }
    }

    /// Clears every assignment and answers every parked sync with the refusal.
    fn refuse_syncs(&mut self, refusal: Refusal) {
        let (seats, fx, now) = (&mut *self.seats, &mut *self.fx, self.now.tick);
        let roster = &mut self.group.classic.roster;
        roster.clear_assignments();
        roster.take_syncs(|member, to| {
            seats.arm(member.seat, member.session_ms(), now, fx);
            let reply = Reply::Sync(Err(refusal));
            fx.push(Effect::Reply { to, reply });
        });
    }

    /// Completes the join if everyone is there. Never cuts the initial delay short.
    pub(super) fn maybe_complete_join(&mut self) {
        let classic = &self.group.classic;
        if classic.phase == Phase::PreparingRebalance
            && classic.previous != Phase::Empty
            && classic.roster.all_joined()
        {
            self.complete_join();
        }
    }

    /// The join timer fired.
    pub(in crate::group) fn join_timer_fired(&mut self, arming: u32) {
        let Some((running, end)) = self.group.classic.join_timer.as_deref().copied() else {
            return;
        };
        if running.arming != arming {
            return;
        }
        let at = running.at + self.stalls.unserved_ms_since(running.since);
        if at > self.now.tick {
            let timer = Timer::Join {
                group: self.group.key,
                arming,
            };
            return self.fx.push(Effect::Arm { at, timer });
        }
        self.group.classic.join_timer = None;
        match end {
            // Someone joined during the delay: wait once more, while the slowest member allows.
            JoinEnd::Initial {
                delay_ms,
                remaining_ms,
            } if self.group.classic.joined_meanwhile && remaining_ms != 0 => {
                self.group.classic.joined_meanwhile = false;
                let next_ms = self.rules.initial_rebalance_delay_ms.min(remaining_ms);
                let remaining_ms = remaining_ms.saturating_sub(delay_ms);
                self.arm_join(
                    next_ms,
                    JoinEnd::Initial {
                        delay_ms: next_ms,
                        remaining_ms,
                    },
                );
            }
            JoinEnd::Initial { .. } | JoinEnd::Timeout => self.complete_join(),
        }
    }

    /// Closes the join phase: whoever did not come is out, the rest is the next generation.
    pub(super) fn complete_join(&mut self) {
        self.group.classic.join_timer = None;
        if self.group.classic.phase == Phase::Dead {
            return;
        }
        self.remove_absent();
        let members = self.group.classic.roster.len();
        if !self.elect_joined_leader() && members != 0 {
            // Only silent static members are left: wait for them, or for their sessions to end.
            let slowest_ms = self.group.classic.roster.rebalance_timeout_ms_max();
            return self.arm_join(slowest_ms, JoinEnd::Timeout);
        }
        let classic = &mut self.group.classic;
        classic.generation = Generation(classic.generation.0.wrapping_add(1).max(1));
        classic.roster.clear_owed_syncs();
        if members == 0 {
            self.become_empty();
        } else {
            self.announce_generation();
        }
    }

    /// Removes the dynamic members that did not join again; static ones stay (KIP-345).
    fn remove_absent(&mut self) {
        let absent: Vec<MemberId> = self
            .group
            .classic
            .roster
            .iter()
            .filter(|(_, member)| member.joining.is_none() && member.instance.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in absent {
            self.remove_member(id.as_str(), End::Expired);
            self.note(Note::Expelled(Why::Join));
        }
    }

    /// Makes sure that the leader is one that joined; whether there is such a leader.
    fn elect_joined_leader(&mut self) -> bool {
        let classic = &mut self.group.classic;
        let leader = classic.leader.as_ref();
        let leader = leader.and_then(|id| classic.roster.get(id.as_str()));
        if leader.is_some_and(|it| it.joining.is_some()) {
            return true;
        }
        match classic.roster.first_joining().cloned() {
            Some(next) => {
                classic.leader = Some(next);
                true
            }
            None => false,
        }
    }

    fn become_empty(&mut self) {
        self.group.classic.protocol = None;
        self.group.classic.subscribed = self.group.classic.read_subscriptions();
        self.step_to(Phase::Empty);
        let metadata = self.group.classic.metadata(|_, _| bytes::Bytes::new());
        let record = self.metadata_record(metadata);
        self.append(record, Then::Rest);
        self.arm_retention();
    }

    fn announce_generation(&mut self) {
        let classic = &mut self.group.classic;
        classic.protocol = classic.roster.vote(classic.leader.as_ref());
        classic.subscribed = classic.read_subscriptions();
        self.step_to(Phase::CompletingRebalance);
        let (seats, fx, now) = (&mut *self.seats, &mut *self.fx, self.now.tick);
        let classic = &mut self.group.classic;
        let follower = classic.joined_as_follower(MemberId::default());
        let mut everyone = classic.joined_members();
        classic.roster.begin_generation(|id, member, to| {
            seats.arm(member.seat, member.session_ms(), now, fx);
            let Some(to) = to else {
                return;
            };
            let mut joined = follower.clone();
            joined.member = id.clone();
            if joined.leader == *id {
                joined.members = std::mem::take(&mut everyone);
            }
            let reply = Reply::Join(Ok(joined));
            fx.push(Effect::Reply { to, reply });
        });
        self.arm_sync(self.group.classic.roster.rebalance_timeout_ms_max());
    }

    /// The shard is given up: nobody here is answered from this group again.
    pub(in crate::group) fn unload(&mut self) {
        if self.group.classic.phase == Phase::Dead {
            return;
        }
        self.step_to(Phase::Dead);
        for seat in self.group.classic.roster.drain_pending() {
            self.seats.give_up(seat, End::Left, self.fx);
        }
        for id in self.group.classic.roster.ids() {
            let Some((id, member)) = self.group.classic.roster.remove(id.as_str()) else {
                continue;
            };
            if let Some(to) = member.joining {
                self.reply(to, join::refused(Refusal::NotCoordinator, id));
            }
            if let Some(to) = member.syncing {
                self.reply(to, Reply::Sync(Err(Refusal::NotCoordinator)));
            }
            self.seats.give_up(member.seat, End::Left, self.fx);
        }
    }
}
