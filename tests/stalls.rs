//! Nobody is expelled because the process was stopped, and everybody who falls silent is.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::*;
use takhin_coordinator::engine::{Driving, Engine};
use takhin_coordinator::error::Refusal;
use takhin_coordinator::ids::MemberId;
use takhin_coordinator::time::{Clock, Now, SystemClock};
use takhin_coordinator::wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupRequestProtocol,
    JoinGroupResponse, SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use takhin_coordinator::wire::{ApiKey, Message, RequestHeader, ResponseHeader, frame};

/// The system's clock, which the test makes jump: to those who read it, the process was stopped.
#[derive(Clone, Debug, Default)]
struct JumpingClock {
    system: Arc<SystemClock>,
    ahead_ms: Arc<AtomicU64>,
}

impl Clock for JumpingClock {
    fn now(&self) -> Now {
        let (now, ahead_ms) = (self.system.now(), self.ahead_ms.load(Ordering::Acquire));
        Now {
            tick: now.tick + ahead_ms,
            ..now
        }
    }
}

fn engine_that_stops() -> (Engine, JumpingClock) {
    let clock = JumpingClock::default();
    let engine = Engine::builder(config().build().unwrap())
        .clock(clock.clone())
        .driving(Driving::Threads)
        .open()
        .unwrap();
    (engine, clock)
}

#[test]
fn a_stop_longer_than_the_session_expels_nobody_and_silence_after_it_does() {
    let (engine, clock) = engine_that_stops();
    let joined = alone_in(&engine, "g", 1_500);
    sleep_ms(100);
    clock.ahead_ms.fetch_add(60_000, Ordering::Release);
    // Until the shard's own thread has noticed, and some time of the session.
    sleep_ms(800);
    assert_eq!(engine.members(), 1);
    assert_eq!(beat(&engine, "g", &joined), Ok(()));
    sleep_ms(1_000);
    assert_eq!(beat(&engine, "g", &joined), Ok(()));
    assert!(engine.metrics().shard(0).loop_stalls.value() >= 1);
    // From here on it is silent.
    let silent_since = clock.now().tick;
    while engine.members() == 1 {
        let silent_ms = clock.now().tick.since_ms(silent_since);
        assert!(silent_ms < 5_000, "not expelled after {silent_ms} ms");
        sleep_ms(5);
    }
    let silent_ms = clock.now().tick.since_ms(silent_since);
    assert!(silent_ms >= 1_500, "expelled after {silent_ms} ms");
}

#[test]
fn whoever_asks_first_after_a_stop_expels_nobody_by_it() {
    for _ in 0..20 {
        let (engine, clock) = engine_that_stops();
        let joined = alone_in(&engine, "g", 1_500);
        clock.ahead_ms.fetch_add(60_000, Ordering::Release);
        // The shard's thread has not looked up yet; this thread runs the loop.
        engine.fetch(fetch("g", 0)).wait().unwrap();
        assert_eq!(beat(&engine, "g", &joined), Ok(()));
    }
}

mod silence {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_beating_member_is_never_expelled_and_a_silent_one_within_a_tick(
            session_ms in 50i32..60_000,
            gaps in prop::collection::vec(0.0f64..1.0, 1..60),
        ) {
            let host = Host::new(config());
            let beating = host.alone_in("beating", session_ms);
            let silent = host.alone_in("silent", session_ms);
            let session = u64::try_from(session_ms).unwrap();
            let is_there = |group, member: &MemberId| {
                host.engine.member(group, member.as_str()).is_some()
            };
            let silent_since = host.clock.now().tick;
            for gap in gaps {
                // Every beat within the session, the last moment included.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss,
                    clippy::cast_precision_loss, reason = "a part of a small whole number")]
                let gap_ms = (gap * session as f64) as u64;
                let mut left = gap_ms;
                while left > 0 {
                    let step = left.min(10);
                    host.clock.advance_ms(step);
                    host.engine.run_due();
                    left -= step;
                    let silent_ms = host.clock.now().tick.since_ms(silent_since);
                    let is_silent_there = is_there("silent", &silent.member);
                    prop_assert!(is_silent_there || silent_ms >= session);
                    prop_assert!(!is_silent_there || silent_ms < session + 10);
                    if left > 10_000 && !is_silent_there {
                        // Nothing more to see on the way.
                        host.clock.advance_ms(left - 10);
                        left = 10;
                    }
                }
                prop_assert_eq!(beat(&host.engine, "beating", &beating), Ok(()));
            }
            host.pass(session - 1);
            prop_assert!(is_there("beating", &beating.member));
            host.pass(11);
            prop_assert!(!is_there("beating", &beating.member));
        }
    }
}

mod crowd {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Life {
        session_ms: u64,
        /// From one beat to the next.
        gap_ms: u64,
        /// So many there are, and then it is silent.
        beats: u64,
    }

    fn lives() -> impl Strategy<Value = Life> {
        let session = prop_oneof![50u64..300, 300u64..5_000];
        (session, 0.05f64..1.0, 0u64..8).prop_map(|(session_ms, part, beats)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a part of a small whole number"
            )]
            let gap_ms = (session_ms as f64 * part) as u64 / 10 * 10;
            Life {
                session_ms,
                gap_ms: gap_ms.max(10),
                beats,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn whoever_falls_silent_in_a_crowd_is_expelled_within_a_tick_and_nobody_else(
            lives in prop::collection::vec(lives(), 1..200),
        ) {
            let host = Host::new(config());
            let joined: Vec<_> = (0..lives.len())
                .map(|nth| {
                    let session_ms = i32::try_from(lives[nth].session_ms).unwrap();
                    host.alone_in(&format!("g{nth}"), session_ms)
                })
                .collect();
            let begun = host.clock.now().tick;
            let mut deadlines: Vec<u64> = lives.iter().map(|life| life.session_ms).collect();
            let end = lives.iter().map(|life| life.beats * life.gap_ms + life.session_ms).max();
            let mut now_ms = 0;
            while now_ms < end.unwrap() + 20 {
                host.clock.advance_ms(10);
                now_ms += 10;
                host.engine.run_due();
                for (nth, life) in lives.iter().enumerate() {
                    if now_ms <= life.beats * life.gap_ms && now_ms % life.gap_ms == 0 {
                        let beaten = beat(&host.engine, &format!("g{nth}"), &joined[nth]);
                        prop_assert_eq!(beaten, Ok(()), "{} at {}", nth, now_ms);
                        deadlines[nth] = now_ms + life.session_ms;
                    }
                }
                let alive = deadlines.iter().filter(|deadline| **deadline > now_ms).count();
                let late = deadlines
                    .iter()
                    .filter(|deadline| (now_ms - 9..=now_ms).contains(*deadline))
                    .count();
                let found = host.engine.members();
                prop_assert!((alive..=alive + late).contains(&found), "{} at {}", found, now_ms);
            }
            prop_assert_eq!(host.clock.now().tick.since_ms(begun), now_ms);
            prop_assert_eq!(host.engine.members(), 0);
        }
    }
}

/// The binary, with a session as short as the test needs, ended with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_takhin-coordinator"))
            .args(["--listen", "127.0.0.1:0"])
            .args(["--set", "group.min.session.timeout.ms=100"])
            .args(["--set", "group.initial.rebalance.delay.ms=0"])
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap();
        Self {
            address: address.to_owned(),
            child,
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that asks and waits, a request at a time.
struct Client {
    stream: TcpStream,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).unwrap();
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).unwrap();
        Self { stream }
    }

    #[expect(
        single_use_lifetimes,
        reason = "a lifetime within `impl Trait` needs a name"
    )]
    fn send<'a>(&mut self, api: ApiKey, version: i16, body: &impl Message<'a>) {
        let header = RequestHeader {
            api,
            version,
            correlation_id: 1,
            client_id: Some("client"),
        };
        let mut out = Vec::new();
        frame::append_request(&mut out, &header, body).unwrap();
        self.stream.write_all(&out).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut content = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut content).unwrap();
        content
    }

    fn join(&mut self, member: &str) -> (i16, i32, String) {
        let request = JoinGroupRequest {
            group_id: "g",
            session_timeout_ms: 1_000,
            rebalance_timeout_ms: 60_000,
            member_id: member,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol {
                name: "range",
                metadata: b"m",
            }],
            ..Default::default()
        };
        self.send(ApiKey::JoinGroup, 5, &request);
        let content = self.receive();
        let body = body_of(&content, ApiKey::JoinGroup, 5);
        let joined = JoinGroupResponse::decode(body, 5).unwrap();
        let id = joined.member_id.to_owned();
        (joined.error_code, joined.generation_id, id)
    }

    fn sync(&mut self, member: &str, generation: i32) {
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id: generation,
            member_id: member,
            assignments: vec![SyncGroupRequestAssignment {
                member_id: member,
                assignment: b"all",
            }],
            ..Default::default()
        };
        self.send(ApiKey::SyncGroup, 3, &request);
        let content = self.receive();
        let body = body_of(&content, ApiKey::SyncGroup, 3);
        let synced = SyncGroupResponse::decode(body, 3).unwrap();
        assert_eq!((synced.error_code, synced.assignment), (0, &b"all"[..]));
    }

    fn send_beat(&mut self, member: &str, generation: i32) {
        let request = HeartbeatRequest {
            group_id: "g",
            generation_id: generation,
            member_id: member,
            ..Default::default()
        };
        self.send(ApiKey::Heartbeat, 3, &request);
    }

    fn beat_answer(&mut self) -> i16 {
        let content = self.receive();
        let body = body_of(&content, ApiKey::Heartbeat, 3);
        HeartbeatResponse::decode(body, 3).unwrap().error_code
    }
}

fn body_of(content: &[u8], api: ApiKey, version: i16) -> &[u8] {
    let (_, body) = ResponseHeader::decode(content, api, version).unwrap();
    body
}

const MEMBER_ID_REQUIRED: i16 = 79;
const UNKNOWN_MEMBER_ID: i16 = 25;

#[test]
fn a_server_that_was_stopped_for_longer_than_the_session_expels_nobody() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let (error, _, member) = client.join("");
    assert_eq!(error, MEMBER_ID_REQUIRED);
    let (error, generation, _) = client.join(&member);
    assert_eq!(error, 0);
    client.sync(&member, generation);

    server.signal("-STOP");
    sleep_ms(2_000);
    server.signal("-CONT");
    sleep_ms(100);
    client.send_beat(&member, generation);
    assert_eq!(client.beat_answer(), 0);

    server.signal("-STOP");
    sleep_ms(500);
    client.send_beat(&member, generation);
    sleep_ms(1_500);
    server.signal("-CONT");
    assert_eq!(client.beat_answer(), 0);

    // It is the stop that is forgiven, not the silence.
    sleep_ms(2_000);
    client.send_beat(&member, generation);
    assert_eq!(client.beat_answer(), UNKNOWN_MEMBER_ID);
}

#[test]
fn a_member_that_was_never_heard_at_the_side_door_is_expelled_all_the_same() {
    let host = Host::new(config());
    let member = ask_join(&host.engine, "g", &MemberId::default(), 5_000);
    let member = member.wait().unwrap_err().member;
    let joined = ask_join(&host.engine, "g", &member, 5_000).wait().unwrap();
    host.pass(5_010);
    let unknown = Err(Refusal::UnknownMemberId);
    assert_eq!(beat(&host.engine, "g", &joined), unknown);
}
