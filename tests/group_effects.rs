//! The verbs, each with everything that follows from it and in which order.

mod stage;

use bytes::Bytes;
use stage::{
    Journal, Stage, assign, commit_as, heartbeat, join, join_as, join_static, leave, leaver, nth,
    nth_static, stable_group, subscription, sync,
};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::group::{
    Cause, CommittedTopic, Effect, End, Entry, GroupKey, GroupMetadata, JoinRefused, Joined,
    JoinedMember, LeftMember, MemberMetadata, Note, OffsetValue, Phase, Record, Reply, ReplyTo,
    Rules, SeatId, Synced, Then, Timer, Why,
};
use takhin_coordinator::ids::{Generation, MemberId, TopicId};
use takhin_coordinator::time::Tick;

const GROUP: GroupKey = GroupKey { slot: 0, serial: 1 };

fn reply(to: ReplyTo, reply: Reply) -> Effect {
    Effect::Reply { to, reply }
}

fn phase_changed(from: Phase, to: Phase) -> Effect {
    Effect::Note(Note::PhaseChanged { from, to })
}

fn publish(generation: i32, phase: Phase) -> Effect {
    Effect::Publish {
        group: GROUP,
        generation: Generation(generation),
        phase,
    }
}

fn arm_session(seat: u32, arming: u32, at: u64) -> Effect {
    Effect::Arm {
        at: Tick(at),
        timer: Timer::Session {
            seat: SeatId(seat),
            arming,
        },
    }
}

fn arm_join(arming: u32, at: u64) -> Effect {
    Effect::Arm {
        at: Tick(at),
        timer: Timer::Join {
            group: GROUP,
            arming,
        },
    }
}

fn arm_sync(arming: u32, at: u64) -> Effect {
    Effect::Arm {
        at: Tick(at),
        timer: Timer::Sync {
            group: GROUP,
            arming,
        },
    }
}

fn seat(seat: u32, member: MemberId) -> Effect {
    Effect::Seat {
        seat: SeatId(seat),
        group: GROUP,
        group_id: "g".into(),
        member,
        instance: None,
    }
}

fn unseat(seat: u32, end: End) -> Effect {
    Effect::Unseat {
        seat: SeatId(seat),
        end,
    }
}

fn append(records: Vec<Record>, then: Then) -> Effect {
    Effect::Append(Entry {
        group: GROUP,
        records: records.into(),
        then,
    })
}

/// The record of "g" in which these members are assigned that, the first of them leading.
fn stored(generation: i32, since: u64, members: &[(MemberId, &'static str)]) -> Record {
    let member = |(member, assignment): &(MemberId, &'static str)| MemberMetadata {
        member: member.clone(),
        instance: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 10_000,
        subscription: subscription(&["t"]).into(),
        assignment: Bytes::from_static(assignment.as_bytes()),
    };
    Record::Group {
        group: "g".into(),
        value: Some(
            GroupMetadata {
                protocol_type: Some("consumer".into()),
                generation: Generation(generation),
                protocol: (!members.is_empty()).then(|| "range".into()),
                leader: members.first().map(|(id, _)| id.clone()),
                phase_since: Some(stage::now_at(since).wall),
                members: members.iter().map(member).collect(),
            }
            .into(),
        ),
    }
}

fn joined(generation: i32, leader: u128, member: u128, members: &[u128]) -> Reply {
    let members = members.iter().map(|n| JoinedMember {
        member: nth(*n),
        instance: None,
        metadata: subscription(&["t"]).into(),
    });
    Reply::Join(Ok(Joined {
        generation: Generation(generation),
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        leader: nth(leader),
        member: nth(member),
        skip_assignment: false,
        members: members.collect(),
    }))
}

fn synced(assignment: &'static str) -> Reply {
    Reply::Sync(Ok(Synced {
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignment: Bytes::from_static(assignment.as_bytes()),
    }))
}

#[test]
fn the_first_join_makes_the_group_seats_the_member_and_starts_the_delay() {
    let mut stage = Stage::with_slow_journal(Rules::default());
    stage.ask(join("g"));
    let Some(Effect::Append(entry)) = stage.seen.pop() else {
        panic!("the group's first record comes last");
    };
    assert_eq!((entry.then, entry.records.len()), (Then::Rest, 1));
    let retention = Timer::Retention {
        group: GROUP,
        arming: 0,
    };
    let expected = [
        Effect::Note(Note::GroupCreated),
        Effect::Arm {
            at: Tick(600_000),
            timer: retention,
        },
        seat(0, nth(1)),
        arm_session(0, 1, 300_000),
        Effect::Note(Note::RebalanceStarted(Cause::NewMember)),
        arm_join(1, 3_000),
        phase_changed(Phase::Empty, Phase::PreparingRebalance),
        publish(0, Phase::PreparingRebalance),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn the_end_of_the_delay_publishes_the_generation_and_then_answers_the_joins() {
    let mut stage = Stage::new(Rules::default());
    let first = stage.ask(join("g"));
    let second = stage.ask(join("g"));
    stage.advance(3_000);
    stage.take_seen();
    stage.advance(3_000);
    let expected = [
        phase_changed(Phase::PreparingRebalance, Phase::CompletingRebalance),
        publish(1, Phase::CompletingRebalance),
        arm_session(0, 3, 16_000),
        reply(first, joined(1, 1, 1, &[1, 2])),
        arm_session(1, 4, 16_000),
        reply(second, joined(1, 1, 2, &[])),
        arm_sync(3, 66_000),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn the_leaders_sync_is_stored_first_and_answers_everyone_then() {
    let mut stage = Stage::with_slow_journal(Rules::default());
    stage.ask(join("g"));
    stage.ask(join("g"));
    stage.settle_all();
    stage.advance(6_000);
    let follower = stage.ask(sync("g", &nth(2), 1));
    stage.take_seen();
    let leader = stage.ask(assign("g", &nth(1), 1, &[(&nth(1), "x"), (&nth(2), "y")]));
    let record = stored(1, 6_000, &[(nth(1), "x"), (nth(2), "y")]);
    let then = Then::Assign {
        generation: Generation(1),
    };
    assert_eq!(stage.take_seen(), [append(vec![record], then)]);
    stage.settle(Ok(()));
    let expected = [
        phase_changed(Phase::CompletingRebalance, Phase::Stable),
        publish(1, Phase::Stable),
        Effect::Note(Note::RebalanceCompleted),
        reply(leader, synced("x")),
        reply(follower, synced("y")),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn an_assignment_that_could_not_be_stored_is_refused_after_the_rebalance_is_published() {
    let mut stage = Stage::with_slow_journal(Rules::default());
    stage.ask(join("g"));
    stage.settle_all();
    stage.advance(3_000);
    let to = stage.ask(assign("g", &nth(1), 1, &[(&nth(1), "x")]));
    stage.take_seen();
    stage.settle(Err(Refusal::NotCoordinator));
    let expected = [
        Effect::Note(Note::RebalanceStarted(Cause::AppendFailed)),
        phase_changed(Phase::CompletingRebalance, Phase::PreparingRebalance),
        publish(1, Phase::PreparingRebalance),
        reply(to, Reply::Sync(Err(Refusal::NotCoordinator))),
        arm_join(3, 63_000),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn a_new_member_of_a_stable_group_is_seated_and_starts_a_rebalance() {
    let mut stage = stable_group(Rules::default(), 1);
    stage.ask(join("g"));
    let expected = [
        seat(1, nth(2)),
        arm_session(1, 3, 303_000),
        Effect::Note(Note::RebalanceStarted(Cause::NewMember)),
        phase_changed(Phase::Stable, Phase::PreparingRebalance),
        publish(1, Phase::PreparingRebalance),
        arm_join(3, 63_000),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn the_last_join_completes_the_rebalance() {
    let mut stage = stable_group(Rules::default(), 1);
    let new = stage.ask(join("g"));
    stage.take_seen();
    let old = stage.ask(join_as("g", &nth(1)));
    let expected = [
        phase_changed(Phase::PreparingRebalance, Phase::CompletingRebalance),
        publish(2, Phase::CompletingRebalance),
        reply(old, joined(2, 1, 1, &[1, 2])),
        arm_session(1, 4, 13_000),
        reply(new, joined(2, 1, 2, &[])),
        arm_sync(4, 63_000),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn a_follower_that_joins_again_unchanged_is_only_answered() {
    let mut stage = stable_group(Rules::default(), 2);
    let to = stage.ask(join_as("g", &nth(2)));
    assert_eq!(stage.take_seen(), [reply(to, joined(1, 1, 2, &[]))]);
}

#[test]
fn a_join_that_is_sent_again_supersedes_the_one_that_waits() {
    let mut stage = stable_group(Rules::default(), 2);
    let first = stage.ask(join_as("g", &nth(1)));
    stage.take_seen();
    stage.ask(join_as("g", &nth(1)));
    let superseded = Reply::Join(Err(JoinRefused {
        refusal: Refusal::Superseded,
        member: nth(1),
        standing: None,
    }));
    assert_eq!(stage.take_seen(), [reply(first, superseded)]);
}

#[test]
fn a_heartbeat_is_answered_and_touches_no_timer() {
    let mut stage = stable_group(Rules::default(), 1);
    let to = stage.ask(heartbeat("g", &nth(1), 1));
    assert_eq!(stage.take_seen(), [reply(to, Reply::Heartbeat(Ok(())))]);
}

#[test]
fn the_last_leaver_empties_the_group_and_is_answered_last() {
    let mut stage = stable_group(Rules::default(), 1);
    stage.journal = Journal::OnCommand;
    let to = stage.ask(leave("g", vec![leaver(&nth(1), None)]));
    let left = LeftMember {
        member: nth(1),
        instance: None,
        result: Ok(()),
    };
    let expected = [
        unseat(0, End::Left),
        Effect::Note(Note::RebalanceStarted(Cause::Leave)),
        phase_changed(Phase::Stable, Phase::PreparingRebalance),
        publish(1, Phase::PreparingRebalance),
        phase_changed(Phase::PreparingRebalance, Phase::Empty),
        publish(2, Phase::Empty),
        append(vec![stored(2, 3_000, &[])], Then::Rest),
        reply(to, Reply::Leave(Ok(vec![left]))),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn a_silent_member_is_expelled_and_the_others_are_told_by_what_is_published() {
    let mut stage = stable_group(Rules::default(), 2);
    stage.advance(5_000);
    stage.ask(heartbeat("g", &nth(1), 1));
    stage.take_seen();
    stage.advance(5_000);
    let expected = [
        // The first member's timer finds that it was heard, and waits on.
        arm_session(0, 5, 21_000),
        unseat(1, End::Expired),
        Effect::Note(Note::Expelled(Why::Session)),
        Effect::Note(Note::RebalanceStarted(Cause::SessionExpired)),
        phase_changed(Phase::Stable, Phase::PreparingRebalance),
        publish(1, Phase::PreparingRebalance),
        arm_join(4, 76_000),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn a_commit_is_stored_first_and_answered_then() {
    let mut stage = stable_group(Rules::default(), 1);
    stage.journal = Journal::OnCommand;
    let to = stage.ask(commit_as("g", &nth(1), 1, &[(0, 5)]));
    let record = Record::Offset {
        group: "g".into(),
        topic: "t".into(),
        partition: 0,
        value: Some(OffsetValue {
            offset: 5,
            leader_epoch: -1,
            metadata: "".into(),
            committed_at: stage.now().wall,
            expires_at: None,
            topic_id: TopicId::ZERO,
        }),
    };
    let topics = vec![CommittedTopic {
        topic: "t".into(),
        partitions: vec![(0, Ok(()))],
    }];
    let then = Then::Committed {
        to: Some(to),
        topics: topics.clone(),
        new: 1,
    };
    assert_eq!(stage.take_seen(), [append(vec![record], then)]);
    stage.settle(Ok(()));
    let expected = [
        Effect::Note(Note::OffsetsCommitted(1)),
        reply(to, Reply::Commit(Ok(topics))),
    ];
    assert_eq!(stage.take_seen(), expected);
}

#[test]
fn a_static_member_that_restarts_takes_another_seat_and_waits_for_its_record() {
    let mut stage = Stage::new(Rules::default());
    stage.ask(join_static("g", "i"));
    stage.advance(3_000);
    let old = nth_static("i", 1);
    stage.ask(assign("g", &old, 1, &[(&old, "a")]));
    stage.journal = Journal::OnCommand;
    stage.take_seen();
    stage.ask(join_static("g", "i"));
    let seen = stage.take_seen();
    let [fenced, taken, armed, Effect::Append(entry)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(*fenced, unseat(0, End::Fenced));
    let Effect::Seat { seat, member, .. } = taken else {
        panic!("{taken:?}");
    };
    assert_eq!((*seat, member), (SeatId(0), &nth_static("i", 2)));
    assert_eq!(*armed, arm_session(0, 3, 13_000));
    assert!(matches!(entry.then, Then::Replaced(_)));
    let [
        Record::Group {
            value: Some(value), ..
        },
    ] = &entry.records[..]
    else {
        panic!("{:?}", entry.records);
    };
    assert_eq!(value.leader, Some(nth_static("i", 2)));
    assert_eq!(value.members[0].assignment, "a");
}

#[test]
fn a_revived_group_is_published_before_its_members_are_seated() {
    let mut stage = stable_group(Rules::default(), 2).restart(Rules::default());
    let expected = [
        Effect::Note(Note::GroupCreated),
        phase_changed(Phase::Empty, Phase::Stable),
        publish(1, Phase::Stable),
        seat(0, nth(1)),
        arm_session(0, 1, 16_000),
        seat(1, nth(2)),
        arm_session(1, 2, 16_000),
    ];
    assert_eq!(stage.take_seen(), expected);
}
