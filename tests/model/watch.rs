//! What was seen, against what was promised.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    Effect, End, GroupKey, Groups, JoinRefused, Joined, Note, Phase, Record, Reply, ReplyTo, Rules,
    SeatId, Why,
};
use takhin_coordinator::ids::{Generation, GroupId, MemberId};

use super::stage::now_at;
use super::{GROUPS, Life, Model, PLAYERS, owner_name, player_of, rules, session_ms};

impl Model {
    pub(super) fn watch(&mut self) {
        let at = std::mem::take(&mut self.stage.seen_at);
        let seen = self.stage.take_seen();
        for (to, tick) in std::mem::take(&mut self.stage.asked_again) {
            let is_heard = match self.stage.reply(to) {
                Some(Reply::Heartbeat(result)) => {
                    matches!(result, Ok(()) | Err(Refusal::RebalanceInProgress))
                }
                Some(Reply::Commit(result)) => result.is_ok(),
                _ => true,
            };
            if let Some(member) = self.unanswered.remove(&to)
                && is_heard
            {
                self.heard(&member, tick);
            }
        }
        self.history.extend(seen.iter().cloned());
        let mut was_fenced = false;
        for (effect, tick) in seen.into_iter().zip(at) {
            let is_reply = matches!(effect, Effect::Reply { .. });
            let fences = matches!(
                effect,
                Effect::Unseat {
                    end: End::Fenced,
                    ..
                }
            );
            match effect {
                Effect::Reply { to, reply } => self.replied(to, reply, tick),
                Effect::Seat {
                    seat,
                    group,
                    group_id,
                    member,
                    ..
                } => {
                    self.names.insert(group, group_id);
                    self.sitting.insert(seat, (group, member.clone()));
                    self.seated(member, was_fenced, tick);
                }
                Effect::Unseat { seat, .. } => self.unseated(seat, tick),
                Effect::Publish {
                    group,
                    generation,
                    phase,
                } => self.published(group, generation, phase, tick),
                Effect::Vacate { group } => {
                    if let Some(id) = self.names.remove(&group) {
                        self.owners.retain(|(owned, ..), _| *owned != id.as_str());
                    }
                }
                Effect::Note(Note::Expelled(Why::Session)) => {
                    let (life, tick, has_waited) = self.removed.take().expect("someone went");
                    assert!(self.deadline(&life) <= tick, "expelled early");
                    assert!(life.is_new || !has_waited, "expelled while it waited");
                }
                Effect::Append(entry) => {
                    let id = entry.records[0].group().clone();
                    self.names.insert(entry.group, id);
                }
                // The stage handles what is asked again, and does not show it.
                Effect::Again { .. } | Effect::Arm { .. } | Effect::Note(_) => {}
            }
            was_fenced = fences;
            self.has_waited &= is_reply;
        }
    }

    fn replied(&mut self, to: ReplyTo, reply: Reply, tick: u64) {
        assert!(self.all_asked.contains(&to) || !self.parked.contains(&to));
        let was_parked = self.parked.remove(&to) && !self.stage.was_only_held(to);
        // A removed member's join echoes no id; one that was held up does.
        let removed =
            |it: &JoinRefused| it.refusal == Refusal::UnknownMemberId && it.member.is_empty();
        self.has_waited =
            was_parked && matches!(&reply, Reply::Join(Err(refused)) if removed(refused));
        match reply {
            Reply::Join(Ok(joined)) => {
                if was_parked {
                    self.heard(&joined.member, tick);
                }
                self.joined(to, &joined);
            }
            Reply::Join(Err(refused)) if refused.refusal == Refusal::MemberIdRequired => {
                self.pending += 1;
            }
            Reply::Sync(Err(Refusal::Superseded)) => {}
            Reply::Sync(result) => {
                let member = self.asked[&to].1.clone();
                if was_parked {
                    self.heard(&member, tick);
                }
                if let Ok(synced) = result {
                    self.synced(to, synced.assignment);
                }
            }
            _ => {}
        }
    }

    fn synced(&mut self, to: ReplyTo, assignment: Bytes) {
        if assignment.is_empty() {
            return;
        }
        let (at, member, generation) = &self.asked[&to];
        let player = &self.players[*at];
        let name = owner_name(player, member);
        let key = (player.group.into(), *generation, assignment);
        let owner = self.owners.entry(key).or_insert_with(|| name.clone());
        assert_eq!(*owner, name, "two own the same");
    }

    fn joined(&mut self, to: ReplyTo, joined: &Joined) {
        let at = self.asked[&to].0;
        let group = self.players[at].group;
        if joined.members.is_empty() {
            return;
        }
        assert_eq!(
            joined.leader, joined.member,
            "only the leader sees the members"
        );
        let ids: BTreeSet<&MemberId> = joined.members.iter().map(|it| &it.member).collect();
        assert_eq!(ids.len(), joined.members.len(), "nobody is listed twice");
        assert!(ids.contains(&joined.leader), "the leader is a member");
        let key = self.names.iter().find(|(_, id)| id.as_str() == group);
        let key = *key.expect("a group with members is known").0;
        let leader = joined.leader.clone();
        let known = self
            .leaders
            .entry((key, joined.generation))
            .or_insert(leader);
        assert_eq!(
            player_of(known),
            player_of(&joined.leader),
            "one leader a generation"
        );
    }

    fn seated(&mut self, member: MemberId, was_fenced: bool, tick: u64) {
        let was_pending = !was_fenced && player_of(&member).is_multiple_of(2);
        // Those that need a known id come from the pending ones, static ones never.
        if was_pending && member.as_str().starts_with('p') {
            self.pending -= 1;
        }
        let timeout_ms = if was_fenced {
            session_ms(player_of(&member))
        } else {
            Rules::NEW_MEMBER_TIMEOUT_MS
        };
        let life = Life {
            since: tick,
            timeout_ms,
            is_new: !was_fenced,
        };
        self.lives.insert(member, life);
    }

    fn unseated(&mut self, seat: SeatId, tick: u64) {
        let Some((_, member)) = self.sitting.remove(&seat) else {
            self.pending -= 1;
            return;
        };
        let life = self.lives.remove(&member).expect("a member has a life");
        self.removed = Some((life, tick, self.has_waited));
    }

    fn published(&mut self, key: GroupKey, generation: Generation, phase: Phase, tick: u64) {
        let last = self.generations.insert(key, generation);
        assert!(last <= Some(generation), "the generation went back");
        if phase != Phase::CompletingRebalance {
            return;
        }
        let members: Vec<MemberId> = self.members_of(key);
        for member in members {
            self.heard(&member, tick);
            if let Some(life) = self.lives.get_mut(&member) {
                life.is_new = false;
            }
        }
    }

    fn members_of(&self, key: GroupKey) -> Vec<MemberId> {
        let here = self.sitting.values().filter(|(group, _)| *group == key);
        here.map(|(_, member)| member.clone()).collect()
    }

    fn deadline(&self, life: &Life) -> u64 {
        let unserved: u64 = self
            .stalls
            .iter()
            .filter(|(end, _)| *end > life.since)
            .map(|(end, ms)| (*ms).min(end - life.since))
            .sum();
        life.since + life.timeout_ms + unserved
    }

    pub(super) fn check(&mut self) {
        self.stage.advance(0);
        self.watch();
        self.check_lives();
        self.check_groups();
    }

    fn check_lives(&self) {
        for (member, life) in &self.lives {
            let waits = self.parked.iter().any(|to| {
                let (at, asked_as, _) = &self.asked[to];
                asked_as == member || (asked_as.is_empty() && *at == player_of(member))
            });
            if life.is_new || !waits {
                let left = self.deadline(life).saturating_sub(self.stage.tick);
                assert!(left > 0, "{member} is silent and stays");
            }
        }
    }

    fn check_groups(&mut self) {
        let mut members = 0;
        for group in GROUPS {
            let id = GroupId::from(group);
            let Some(state) = self.stage.groups.state(&id) else {
                continue;
            };
            let key = self.names.iter().find(|(_, name)| **name == id);
            // A group that was revived empty says its name when it first does something.
            let published = key.map(|(key, _)| self.stage.beacons.get(key));
            if let Some(published) = published {
                let quiet = (Generation(0), Phase::Empty);
                assert_eq!(published.copied().unwrap_or(quiet), state, "published");
            }
            members += self
                .stage
                .sitters
                .values()
                .filter(|it| it.group_id == id)
                .count();
        }
        assert_eq!(
            members,
            self.stage.sitters.len(),
            "nobody sits in a group that is gone"
        );
        assert_eq!(members, self.lives.len());
        let seats = self.stage.groups.seats();
        assert_eq!(
            seats,
            members + self.pending,
            "seats are members and pending ones"
        );
    }

    pub(super) fn check_facts(&mut self) {
        for record in &self.stage.log[self.replayed..] {
            self.mirror.apply(record, now_at(0));
        }
        self.replayed = self.stage.log.len();
        let snapshot = self.stage.groups.snapshot();
        assert_eq!(snapshot, self.mirror.snapshot(), "facts are the replay");
        self.check_stored(&snapshot);
        for record in &snapshot {
            if let Record::Group {
                value: Some(stored),
                ..
            } = record
                && let Some(leader) = &stored.leader
            {
                let leads = stored.members.iter().any(|it| it.member == *leader);
                assert!(leads, "the stored leader is a member");
            }
        }
    }

    /// What is stored of a quiet stable group names those who are in it.
    fn check_stored(&self, facts: &[Record]) {
        for record in facts {
            let Record::Group {
                group,
                value: Some(stored),
            } = record
            else {
                continue;
            };
            let state = self.stage.groups.state(group);
            let in_flight = &self.stage.in_flight;
            let is_quiet = !in_flight.iter().any(|it| it.records[0].group() == group);
            if state.is_none_or(|(_, phase)| phase != Phase::Stable) || !is_quiet {
                continue;
            }
            assert_eq!(state, Some((stored.generation, Phase::Stable)), "stored");
            let stored: BTreeSet<&MemberId> = stored.members.iter().map(|it| &it.member).collect();
            let sitters = self.stage.sitters.values();
            let sitting = sitters.filter(|it| it.group_id == *group);
            let sitting: BTreeSet<&MemberId> = sitting.map(|it| &it.member).collect();
            assert_eq!(sitting, stored, "the stored members are the members");
        }
    }

    /// The same facts come from the log, from it compacted, and from it without old tombstones.
    fn check_compacted(&self) {
        let mut last = HashMap::new();
        let key = |record: &Record| match record {
            Record::Offset {
                group,
                topic,
                partition,
                ..
            } => (group.clone(), Some((topic.clone(), *partition, None))),
            Record::Pending {
                group,
                topic,
                partition,
                producer,
                ..
            } => {
                let place = (topic.clone(), *partition, Some(*producer));
                (group.clone(), Some(place))
            }
            Record::Group { group, .. } => (group.clone(), None),
        };
        for (at, record) in self.stage.log.iter().enumerate() {
            last.insert(key(record), at);
        }
        let compacted = self.stage.log.iter().enumerate();
        let compacted = compacted.filter(|(at, record)| last[&key(record)] == *at);
        let (mut kept, mut dropped) = (Groups::new(rules()), Groups::new(rules()));
        for (_, record) in compacted {
            kept.apply(record, now_at(0));
            let (Record::Offset { value: None, .. }
            | Record::Pending { value: None, .. }
            | Record::Group { value: None, .. }) = record
            else {
                dropped.apply(record, now_at(0));
                continue;
            };
        }
        assert_eq!(kept.snapshot(), self.stage.groups.snapshot(), "compacted");
        assert_eq!(
            dropped.snapshot(),
            self.stage.groups.snapshot(),
            "less tombstones"
        );
    }

    pub(super) fn restart(&mut self) {
        self.check_compacted();
        let before = self.stage.groups.snapshot();
        let replies = std::mem::take(&mut self.stage.replies);
        let members_max = 2 + self.dice.index(3);
        // The limit may be another, below what there is.
        let rules = Rules {
            group_members_max: members_max,
            ..rules()
        };
        self.stage = self.stage.restart(rules);
        self.stage.replies = replies;
        assert_eq!(
            before,
            self.stage.groups.snapshot(),
            "a restart keeps the facts"
        );
        // Whoever waited is gone with the old process.
        self.all_asked.clear();
        self.parked.clear();
        self.lives.clear();
        self.sitting.clear();
        self.generations.clear();
        self.leaders.clear();
        self.names.clear();
        self.stalls.clear();
        self.pending = 0;
        self.revived(&before, members_max);
        for at in 0..PLAYERS {
            let waits_for = self.players[at].waits_for;
            if waits_for.is_some_and(|to| self.stage.reply(to).is_none()) {
                self.players[at].waits_for = None;
            }
        }
    }

    fn revived(&mut self, facts: &[Record], members_max: usize) {
        for effect in self.stage.take_seen() {
            if let Effect::Seat {
                seat,
                group,
                group_id,
                member,
                ..
            } = effect
            {
                self.sitting.insert(seat, (group, member.clone()));
                self.names.insert(group, group_id);
                let life = Life {
                    since: self.stage.tick,
                    timeout_ms: session_ms(player_of(&member)),
                    is_new: false,
                };
                self.lives.insert(member, life);
            } else if let Effect::Publish {
                group, generation, ..
            } = effect
            {
                self.generations.insert(group, generation);
            }
        }
        for record in facts {
            let Record::Group {
                group,
                value: Some(stored),
            } = record
            else {
                continue;
            };
            let phase = match stored.members.len() {
                0 => Phase::Empty,
                len if len > members_max => Phase::PreparingRebalance,
                _ => Phase::Stable,
            };
            let state = self.stage.groups.state(group);
            assert_eq!(state, Some((stored.generation, phase)), "revived");
            for member in &stored.members {
                assert!(self.lives.contains_key(&member.member), "a member is back");
            }
        }
    }

    /// All clients stop: in the end everyone is answered, and nobody is left.
    pub(super) fn finish(&mut self) {
        for _ in 0..200 {
            while self.stage.settle(Ok(())) {}
            self.stage.advance(10_000);
            self.check();
        }
        self.check_facts();
        self.check_compacted();
        for to in &self.all_asked {
            assert!(self.stage.reply(*to).is_some(), "{to:?} waits for ever");
        }
        assert_eq!(self.stage.groups.seats(), 0, "nobody is left");
        assert!(self.stage.groups.is_empty(), "nothing is left");
        assert_eq!(self.stage.groups.snapshot(), [], "nothing is kept");
    }
}
