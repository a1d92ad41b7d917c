//! Connections over an in-memory stream, on a virtual clock.

use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;

use super::testing::{World, ask, is_closed, request, response, settle};
use super::waiting::{BYTES_MAX, REQUESTS_MAX};
use crate::config::Config;
use crate::metrics::{Api, CloseReason};

#[tokio::test]
async fn a_burst_is_answered_in_its_order_with_one_write() {
    let world = World::new();
    let (mut client, _task) = world.connect(1 << 16);
    let burst: Vec<u8> = (0..16)
        .flat_map(|n| request(if n % 3 == 0 { b'f' } else { b'e' }, &n.to_string()))
        .collect();
    client.write_all(&burst).await.unwrap();
    for n in 0..16 {
        assert_eq!(response(&mut client).await, n.to_string());
    }
    assert_eq!(world.writes(), 1);
    let heartbeats = world.node.metrics.requests(0).api(Api::Heartbeat);
    assert_eq!(heartbeats.count(), 16);
}

#[tokio::test]
async fn a_frame_may_come_in_pieces() {
    let world = World::new();
    let (mut client, _task) = world.connect(1 << 16);
    for byte in request(b'e', "piece by piece") {
        client.write_all(&[byte]).await.unwrap();
        settle().await;
    }
    assert_eq!(response(&mut client).await, "piece by piece");
    assert_eq!(world.node.service.calls(), 1);
}

#[tokio::test]
async fn a_request_without_reply_leaves_no_gap() {
    let world = World::new();
    let (mut client, _task) = world.connect(1 << 16);
    let burst = [
        request(b'n', "a"),
        request(b'e', "b"),
        request(b'x', "c"),
        request(b'e', "d"),
    ];
    client.write_all(&burst.concat()).await.unwrap();
    assert_eq!(response(&mut client).await, "b");
    assert_eq!(response(&mut client).await, "d");
}

#[tokio::test]
async fn a_flood_on_one_connection_leaves_the_others_their_turn() {
    let world = World::new();
    let (mut flood, _first) = world.connect(1 << 20);
    let (mut other, _second) = world.connect(1 << 16);
    settle().await;
    let frames: Vec<u8> = (0..2_000).flat_map(|_| request(b'e', "")).collect();
    flood.write_all(&frames).await.unwrap();
    other.write_all(&request(b'e', "quiet")).await.unwrap();
    assert_eq!(response(&mut other).await, "quiet");
    let calls = world.node.service.calls();
    assert!(calls <= 600, "{calls} requests went before it");
    for _ in 0..2_000 {
        assert_eq!(response(&mut flood).await, "");
    }
}

#[tokio::test]
async fn a_waiting_request_stops_its_own_connection_and_no_other() {
    let world = World::new();
    let (mut waiting, _first) = world.connect(1 << 16);
    let (mut other, _second) = world.connect(1 << 16);
    let burst = [
        request(b'e', "before"),
        request(b'w', "waited"),
        request(b'e', "after"),
    ];
    waiting.write_all(&burst.concat()).await.unwrap();
    assert_eq!(response(&mut waiting).await, "before");
    settle().await;
    assert_eq!(world.node.service.calls(), 2);
    assert_eq!(world.parked(), 1);

    assert_eq!(ask(&mut other, b'e', "undisturbed").await, "undisturbed");

    world.node.service.release.send_replace(true);
    assert_eq!(response(&mut waiting).await, "waited");
    assert_eq!(response(&mut waiting).await, "after");
    assert_eq!(world.parked(), 0);
}

#[tokio::test]
async fn a_large_answer_that_was_waited_for_arrives_whole_and_in_order() {
    let world = World::new();
    let (mut client, _task) = world.connect(1 << 16);
    let burst = [
        request(b'e', "before"),
        request(b'l', ""),
        request(b'e', "after"),
    ];
    client.write_all(&burst.concat()).await.unwrap();
    assert_eq!(response(&mut client).await, "before");
    world.node.service.release.send_replace(true);
    assert_eq!(response(&mut client).await, "l".repeat(1_000_000));
    assert_eq!(response(&mut client).await, "after");
}

#[tokio::test]
async fn a_frame_beyond_the_limit_closes_its_own_connection_after_the_answers_before_it() {
    for length in [1_001_i32, i32::MAX, -1, i32::MIN] {
        let world = World::with(Config::builder().socket_request_max_bytes(1_000));
        let (mut bad, task) = world.connect(1 << 16);
        let (mut other, _other) = world.connect(1 << 16);
        let mut bytes = request(b'e', "before");
        bytes.extend_from_slice(&length.to_be_bytes());
        bad.write_all(&bytes).await.unwrap();
        assert_eq!(response(&mut bad).await, "before");
        assert!(is_closed(&mut bad).await);
        assert_eq!(task.await.unwrap(), CloseReason::FrameSize);
        assert_eq!(ask(&mut other, b'e', "alive").await, "alive");
    }
}

#[tokio::test]
async fn a_frame_at_the_limit_is_served() {
    let world = World::with(Config::builder().socket_request_max_bytes(1_000));
    let (mut client, _task) = world.connect(1 << 16);
    let echo = "x".repeat(997);
    assert_eq!(ask(&mut client, b'e', &echo).await, echo);
}

#[tokio::test]
async fn a_refused_request_closes_after_the_answers_before_it() {
    let world = World::new();
    let (mut client, task) = world.connect(1 << 16);
    let burst = [
        request(b'e', "before"),
        request(b'c', ""),
        request(b'e', "after"),
    ];
    client.write_all(&burst.concat()).await.unwrap();
    assert_eq!(response(&mut client).await, "before");
    assert!(is_closed(&mut client).await);
    assert_eq!(task.await.unwrap(), CloseReason::BadRequest);
    assert_eq!(world.node.service.calls(), 2);
}

#[tokio::test]
async fn garbage_closes_its_own_connection_and_no_other() {
    let world = World::new();
    let (mut other, _other) = world.connect(1 << 16);
    let mut seed = 42_u64;
    for _ in 0..200 {
        let (mut bad, task) = world.connect(1 << 16);
        let bytes: Vec<u8> = (0..512)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56).to_le_bytes()[0]
            })
            .collect();
        // The connection may close in the middle of it.
        let _ = bad.write_all(&bytes).await;
        drop(bad);
        task.await.unwrap();
    }
    assert_eq!(ask(&mut other, b'e', "alive").await, "alive");
}

#[tokio::test]
async fn what_the_service_remembers_ends_with_the_connection() {
    let world = World::new();
    let (client, task) = world.connect(1 << 16);
    settle().await;
    assert_eq!(world.node.service.open.load(Ordering::Relaxed), 1);
    drop(client);
    assert_eq!(task.await.unwrap(), CloseReason::Peer);
    assert_eq!(world.node.service.open.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn more_waiting_requests_than_the_limit_close_the_connection() {
    let config = Config::builder().set("takhin.requests.parked.max", "1");
    let world = World::with(config.unwrap());
    let (mut first, _first) = world.connect(1 << 16);
    let (mut second, refused) = world.connect(1 << 16);
    first.write_all(&request(b'w', "kept")).await.unwrap();
    settle().await;
    let burst = [request(b'e', "before"), request(b'w', "refused")];
    second.write_all(&burst.concat()).await.unwrap();
    assert_eq!(response(&mut second).await, "before");
    assert!(is_closed(&mut second).await);
    assert_eq!(refused.await.unwrap(), CloseReason::ParkedMax);
    assert_eq!(world.parked(), 1);
    world.node.service.release.send_replace(true);
    assert_eq!(response(&mut first).await, "kept");
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_being_served() {
    let world = World::new();
    let (mut client, _task) = world.connect(4_096);
    let burst = request(b'b', "").repeat(100);
    client.write_all(&burst).await.unwrap();
    settle().await;
    // 256 KiB of answers, and the one that goes beyond it.
    assert_eq!(world.node.service.calls(), 3);
    for _ in 0..100 {
        assert_eq!(response(&mut client).await.len(), 100_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_for_the_time_of_silence_is_closed() {
    let world = World::with(Config::builder().connections_max_idle_ms(1_000));
    let (mut client, task) = world.connect(4_096);
    client.write_all(&request(b'b', "")).await.unwrap();
    settle().await;
    world.pass(1_000).await;
    assert_eq!(task.await.unwrap(), CloseReason::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_when_its_time_is_over_and_not_before() {
    let world = World::with(Config::builder().connections_max_idle_ms(1_000));
    let (mut client, task) = world.connect(1 << 16);
    for _ in 0..5 {
        settle().await;
        world.pass(900).await;
        assert_eq!(ask(&mut client, b'e', "still here").await, "still here");
    }
    world.pass(999).await;
    settle().await;
    assert!(!task.is_finished());
    world.pass(1).await;
    assert_eq!(task.await.unwrap(), CloseReason::Idle);
    assert!(is_closed(&mut client).await);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_for_its_answer_is_not_silent() {
    let world = World::with(Config::builder().connections_max_idle_ms(1_000));
    let (mut client, task) = world.connect(1 << 16);
    client.write_all(&request(b'w', "late")).await.unwrap();
    settle().await;
    world.pass(10_000).await;
    settle().await;
    world.node.service.release.send_replace(true);
    assert_eq!(response(&mut client).await, "late");
    world.pass(999).await;
    settle().await;
    assert!(!task.is_finished());
    let heartbeats = world.node.metrics.requests(0).api(Api::Heartbeat);
    assert_eq!(heartbeats.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_silence_is_for_ever() {
    let world = World::with(Config::builder().connections_max_idle_ms(-1));
    let (mut client, _task) = world.connect(1 << 16);
    settle().await;
    world.pass(30 * 24 * 3_600_000).await;
    assert_eq!(ask(&mut client, b'e', "alive").await, "alive");
}

#[tokio::test]
async fn requests_that_overlap_are_carried_out_at_once_and_answered_in_order_with_one_write() {
    let world = World::new();
    let (mut client, _task) = world.connect(1 << 16);
    let burst = [
        request(b'O', "1"),
        request(b'O', "2"),
        request(b'P', "3"),
        request(b'N', "none"),
        request(b'O', "4"),
    ];
    client.write_all(&burst.concat()).await.unwrap();
    settle().await;
    assert_eq!(world.node.service.calls(), 5);
    // What was answered at once waits for its turn, too, but for nothing of the node's.
    assert_eq!((world.parked(), world.writes()), (3, 0));
    for echo in ["4", "2"] {
        world.node.service.allow(echo);
        settle().await;
    }
    assert_eq!((world.parked(), world.writes()), (3, 0));
    world.node.service.allow("1");
    for echo in ["1", "2", "3", "4"] {
        assert_eq!(response(&mut client).await, echo);
    }
    assert_eq!((world.parked(), world.writes()), (0, 1));
    let heartbeats = world.node.metrics.requests(0).api(Api::Heartbeat);
    assert_eq!(heartbeats.count(), 5);
}

#[tokio::test]
async fn what_does_not_overlap_waits_for_all_before_it_and_all_behind_it_wait_for_it() {
    for what in [b'e', b'n', b'f'] {
        let world = World::new();
        let (mut client, _task) = world.connect(1 << 16);
        let burst = [
            request(b'O', "1"),
            request(b'O', "2"),
            request(what, "between"),
            request(b'O', "3"),
        ];
        client.write_all(&burst.concat()).await.unwrap();
        settle().await;
        assert_eq!(world.node.service.calls(), 2);
        world.node.service.allow("2");
        settle().await;
        assert_eq!(world.node.service.calls(), 2);
        world.node.service.allow("1");
        settle().await;
        assert_eq!(world.node.service.calls(), 4);
        world.node.service.allow("3");
        for echo in ["1", "2", "between", "3"] {
            if echo != "between" || what != b'n' {
                assert_eq!(response(&mut client).await, echo);
            }
        }
    }
}

#[tokio::test]
async fn what_overlaps_waits_for_a_request_before_it_that_does_not() {
    let world = World::new();
    let (mut client, _task) = world.connect(1 << 16);
    let burst = [request(b'w', "join"), request(b'P', "commit")];
    client.write_all(&burst.concat()).await.unwrap();
    settle().await;
    assert_eq!(world.node.service.calls(), 1);
    world.node.service.release.send_replace(true);
    assert_eq!(response(&mut client).await, "join");
    assert_eq!(response(&mut client).await, "commit");
}

#[tokio::test]
async fn requests_that_overlap_are_read_while_others_wait() {
    let world = World::new();
    let (mut client, _task) = world.connect(1 << 16);
    for n in 1..=3 {
        client.write_all(&request(b'O', "late")).await.unwrap();
        settle().await;
        assert_eq!(world.node.service.calls(), n);
    }
    world.node.service.allow("late");
    for _ in 0..3 {
        assert_eq!(response(&mut client).await, "late");
    }
}

#[tokio::test]
async fn no_more_requests_of_one_connection_overlap_than_are_allowed() {
    let long = "x".repeat(BYTES_MAX / 4);
    for (request, allowed) in [
        (request(b'O', "late"), REQUESTS_MAX),
        (request(b'O', &long), 3),
    ] {
        let world = World::new();
        let (mut client, _task) = world.connect(1 << 24);
        client
            .write_all(&request.repeat(2 * allowed))
            .await
            .unwrap();
        settle().await;
        assert_eq!(world.node.service.calls(), allowed);
        world.node.service.allow("late");
        world.node.service.allow(&long);
        for _ in 0..2 * allowed {
            response(&mut client).await;
        }
        assert_eq!(world.parked(), 0);
    }
}

#[tokio::test]
async fn at_the_limit_of_waiting_requests_one_that_overlaps_waits_for_those_before_it() {
    let config = Config::builder().set("takhin.requests.parked.max", "1");
    let world = World::with(config.unwrap());
    let (mut first, _first) = world.connect(1 << 16);
    let burst = [request(b'O', "1"), request(b'O', "2"), request(b'O', "3")];
    first.write_all(&burst.concat()).await.unwrap();
    settle().await;
    assert_eq!((world.node.service.calls(), world.parked()), (2, 1));
    let (mut second, refused) = world.connect(1 << 16);
    second.write_all(&request(b'O', "refused")).await.unwrap();
    assert_eq!(refused.await.unwrap(), CloseReason::ParkedMax);
    for echo in ["1", "2", "3"] {
        world.node.service.allow(echo);
        assert_eq!(response(&mut first).await, echo);
    }
    assert_eq!(world.parked(), 0);
}

#[tokio::test]
async fn runs_that_overlap_leave_room_for_those_who_wait_for_one_answer() {
    let config = Config::builder().set("takhin.requests.parked.max", "4");
    let world = World::with(config.unwrap());
    let (mut flood, _flood) = world.connect(1 << 16);
    flood
        .write_all(&request(b'O', "1").repeat(8))
        .await
        .unwrap();
    settle().await;
    // One that has no place of its own yet was carried out, and stops the run.
    assert_eq!((world.node.service.calls(), world.parked()), (3, 2));
    let (mut second, _second) = world.connect(1 << 16);
    let (mut third, _third) = world.connect(1 << 16);
    for client in [&mut second, &mut third] {
        client.write_all(&request(b'w', "join")).await.unwrap();
    }
    settle().await;
    assert_eq!(world.parked(), 4);
    world.node.service.release.send_replace(true);
    for client in [&mut second, &mut third] {
        assert_eq!(response(client).await, "join");
    }
    world.node.service.allow("1");
    for _ in 0..8 {
        assert_eq!(response(&mut flood).await, "1");
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_answers_what_overlapped_before() {
    let bad = [request(b'C', ""), (-1_i32).to_be_bytes().to_vec()];
    for bad in bad {
        let world = World::new();
        let (mut client, task) = world.connect(1 << 16);
        let burst = [request(b'O', "1"), request(b'P', "2"), bad];
        client.write_all(&burst.concat()).await.unwrap();
        settle().await;
        assert!(!task.is_finished());
        world.node.service.allow("1");
        assert_eq!(response(&mut client).await, "1");
        assert_eq!(response(&mut client).await, "2");
        assert!(is_closed(&mut client).await);
    }
}

#[tokio::test]
async fn a_client_that_only_stops_sending_gets_its_answers() {
    let world = World::new();
    let (mut client, task) = world.connect(1 << 16);
    let burst = [request(b'O', "1"), request(b'O', "2")];
    client.write_all(&burst.concat()).await.unwrap();
    client.shutdown().await.unwrap();
    settle().await;
    world.node.service.allow("1");
    world.node.service.allow("2");
    assert_eq!(response(&mut client).await, "1");
    assert_eq!(response(&mut client).await, "2");
    assert_eq!(task.await.unwrap(), CloseReason::Peer);
}

#[tokio::test]
async fn what_waits_of_a_connection_is_forgotten_with_it() {
    let world = World::new();
    let (mut client, task) = world.connect(1 << 16);
    let burst = [request(b'O', "1"), request(b'O', "2")];
    client.write_all(&burst.concat()).await.unwrap();
    settle().await;
    assert_eq!(world.parked(), 2);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(world.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_requests_overlap_is_not_silent_while_they_wait() {
    let world = World::with(Config::builder().connections_max_idle_ms(1_000));
    let (mut client, task) = world.connect(1 << 16);
    client.write_all(&request(b'O', "late")).await.unwrap();
    for _ in 0..10 {
        settle().await;
        world.pass(1_000).await;
    }
    settle().await;
    world.node.service.allow("late");
    assert_eq!(response(&mut client).await, "late");
    world.pass(999).await;
    settle().await;
    assert!(!task.is_finished());
    world.pass(1).await;
    assert_eq!(task.await.unwrap(), CloseReason::Idle);
}

#[tokio::test]
async fn a_stop_answers_what_overlapped() {
    let world = World::new();
    let (mut client, task) = world.connect(1 << 16);
    client.write_all(&request(b'O', "late")).await.unwrap();
    settle().await;
    world.stop.send_replace(true);
    settle().await;
    assert!(!task.is_finished());
    world.node.service.allow("late");
    assert_eq!(response(&mut client).await, "late");
    assert_eq!(task.await.unwrap(), CloseReason::Shutdown);
}
