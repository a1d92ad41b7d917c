//! Malformed and odd requests (6.1): what happens to the connection, and whether the broker
//! goes on serving others.

use std::time::Duration;

use conform_wire::{Socket, encode_frame};
use kafka_protocol::messages::{GroupId, HeartbeatRequest, JoinGroupRequest};
use tokio::time::Instant;

use crate::case;
use crate::case::Book;
use crate::cx::{Cx, not, text};

const CORRELATION: i32 = 4242;

fn heartbeat(cx: &Cx, v: i16) -> Vec<u8> {
    let request = HeartbeatRequest::default()
        .with_group_id(GroupId(text(cx.group())))
        .with_member_id(text("m"))
        .with_generation_id(1);
    let mut frame = Vec::new();
    encode_frame(&mut frame, "cf-client", CORRELATION, v, &request).expect("encodable");
    frame
}

/// Within 1.5 s: an answer (with the error code that follows, throttle time or not), the end
/// of the connection, or silence.
async fn answer(socket: &mut Socket) -> String {
    match socket.read_frame(Duration::from_millis(1500)).await {
        Ok(frame) => {
            let correlation = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
            if correlation == CORRELATION {
                "answered".into()
            } else {
                "answered-wrong-correlation".into()
            }
        }
        Err(e) => match not(&e).as_str() {
            "no-reply" => "silent".into(),
            other => other.into(),
        },
    }
}

pub fn add(book: &mut Book) {
    book.group("framing");

    case!(book, [10], "parked-request-holds-the-connection", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        let mut socket = Socket::open(&cx.env.addr, cx.env.options.clone()).await?;
        let join: JoinGroupRequest = b.join_request();
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, "cf-client", 1, b.jv, &join)?;
        encode_frame(
            &mut bytes,
            "cf-client",
            2,
            0,
            &HeartbeatRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_member_id(text("m")),
        )?;
        socket.send_bytes(&bytes).await?;
        let first = socket.read_frame(Duration::from_millis(500)).await;
        cx.note(
            "while the join is parked",
            first.map_or_else(
                |e| not(&e).replace("no-reply", "silent"),
                |_| "answered".into(),
            ),
            "silent",
        );
        ms[0].await_rebalance().await?;
        ms[0].join("A joins", "NONE gen=2").await?;
        let mut order = Vec::new();
        for _ in 0..2 {
            match socket.read_frame(cx.env.wait).await {
                Ok(f) => order.push(i32::from_be_bytes([f[0], f[1], f[2], f[3]]).to_string()),
                Err(e) => order.push(not(&e)),
            }
        }
        cx.note("order of the answers", order.join(","), "1,2");
    });

    case!(book, [10], "pipelined-answers-in-order", |cx| {
        let mut socket = Socket::open(&cx.env.addr, cx.env.options.clone()).await?;
        let mut bytes = Vec::new();
        for i in 0..200 {
            let request = HeartbeatRequest::default()
                .with_group_id(GroupId(text(format!("g{}", i % 7))))
                .with_member_id(text("m"));
            encode_frame(&mut bytes, "cf-client", i, 0, &request)?;
        }
        socket.send_bytes(&bytes).await?;
        let mut in_order = 0;
        for i in 0..200 {
            match socket.read_frame(cx.env.wait).await {
                Ok(f) if i32::from_be_bytes([f[0], f[1], f[2], f[3]]) == i => in_order += 1,
                _ => break,
            }
        }
        cx.note("in order, of 200", in_order.to_string(), "200");
    });

    case!(book, [10], "many-connections", |cx| {
        let start = Instant::now();
        let mut sockets = Vec::new();
        for _ in 0..200 {
            sockets.push(Socket::open(&cx.env.addr, cx.env.options.clone()).await?);
        }
        let frame = heartbeat(&cx, 0);
        for s in &mut sockets {
            s.send_bytes(&frame).await?;
        }
        let mut answered = 0;
        for s in &mut sockets {
            answered += usize::from(answer(s).await == "answered");
        }
        cx.note("answered, of 200", answered.to_string(), "200");
        cx.note(
            "within 10 s",
            (start.elapsed() < Duration::from_secs(10)).to_string(),
            "true",
        );
    });
}
