//! Every version of the classic APIs, once round: what each carries and how it says it.

use anyhow::{Result, bail};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::{DeleteTopicsRequest, TopicName};
use uuid::Uuid;

use crate::case;
use crate::case::Book;
use crate::cx::{Cx, err, text};
use crate::offsets::{Part, part};
use crate::raw::{Body, call, take_string};

/// The life of a group of two, all of it in version `v` of each API, or the highest below.
async fn round_trip(cx: Cx, v: i16, statics: bool) -> Result<()> {
    let (t, _) = cx.topic(1).await?;
    let g = cx.group();
    let mut a = cx.member(&g, "A").offering(&["range", "sticky"]);
    let mut b = cx.member(&g, "B").offering(&["sticky", "range", "other"]);
    if statics {
        (a.instance, b.instance) = (Some("ia".into()), Some("ib".into()));
    }
    for m in [&mut a, &mut b] {
        (m.jv, m.sv, m.hv, m.lv) = (v, v.min(5), v.min(4), v.min(5));
        m.reason = Some("a reason".into());
    }
    a.join("A joins", "").await?;
    if a.generation < 0 {
        a.join("A joins with its id", "").await?;
    }
    a.hb("A beats while completing", "NONE").await?;
    a.sync("A syncs", "", cx.plan(std::slice::from_ref(&a)))
        .await?;
    b.take_id().await?;
    let mut join = b.join_start().await?;
    join.check(&cx, "B joins", "parked").await;
    a.hb("A is told", "REBALANCE_IN_PROGRESS").await?;
    cx.describe("describe preparing", v.min(6), &[&g], "")
        .await?;
    cx.list("list preparing").v(v.min(5)).send("").await?;
    a.offer(&["range"], "");
    a.join("A joins again", "").await?;
    b.joined(join, "B is released", "").await;
    let mut sync = b.sync_start(Vec::new()).await?;
    sync.check(&cx, "B syncs", "parked").await;
    cx.describe("describe completing", v.min(6), &[&g], "")
        .await?;
    let plan = vec![(a.id.clone(), Bytes::from_static(b"asg-A"))];
    a.sync("A syncs again", "", plan).await?;
    b.synced(sync, "B is released from its sync", "").await;
    cx.describe("describe stable", v.min(6), &[&g], "").await?;
    let (commit, fetch) = ((2 + v).min(9), (1 + v).min(9));
    let parts = [Part {
        epoch: 3,
        meta: Some("m".into()),
        ..part(&t, 0, 42)
    }];
    cx.commit(&g, &parts)
        .v(commit)
        .of(&b)
        .send("B commits", "t1-0=NONE")
        .await?;
    cx.fetch(&g, &[(&t, 0), (&t, 5)])
        .v(fetch)
        .send("fetch", "")
        .await?;
    b.leave("B leaves", "").await?;
    a.hb("A is told again", "REBALANCE_IN_PROGRESS").await?;
    b.hb("B is gone", "UNKNOWN_MEMBER_ID").await?;
    a.leave("A leaves", "").await?;
    cx.describe("describe empty", v.min(6), &[&g], "").await?;
    cx.list("list empty").v(v.min(5)).send("").await?;
    cx.delete_groups_v("delete", v.min(2), &[&g], "").await?;
    cx.describe("describe deleted", v.min(6), &[&g], "").await
}

/// Commits version 10, which names topics by id: `None` for an answer that is none.
async fn commit_by_id(
    cx: &Cx,
    group: &str,
    (member, generation): (&str, i32),
    topics: &[(Uuid, i32)],
) -> Result<String> {
    let mut body = Body::default().string(group).i32(generation).string(member);
    // No instance; the number of topics.
    body = body.raw(&[0, topics.len() as u8 + 1]);
    for (id, partition) in topics {
        body = body
            .raw(id.as_bytes())
            .raw(&[2])
            .i32(*partition)
            .i64(5)
            .i32(-1);
        body = body.string("m").raw(&[0, 0]);
    }
    let mut reply = match call(cx, 8, 10, body.raw(&[0])).await? {
        Ok(reply) => reply,
        Err(why) => return Ok(why),
    };
    need(&reply, 5)?;
    reply.advance(4);
    let mut rows = Vec::new();
    for _ in 1..reply.get_u8() {
        need(&reply, 17)?;
        let id = Uuid::from_slice(&reply.split_to(16))?;
        for _ in 1..reply.get_u8() {
            need(&reply, 7)?;
            let (index, code) = (reply.get_i32(), reply.get_i16());
            reply.advance(1);
            rows.push(format!("{}-{index}={}", cx.show_topic(id), err(code)));
        }
        need(&reply, 1)?;
        reply.advance(1);
    }
    Ok(if rows.is_empty() {
        "no-rows".into()
    } else {
        rows.join(" ")
    })
}

/// Fetches in version 10, which names topics by id; all of them if `topics` is `None`.
async fn fetch_by_id(
    cx: &Cx,
    group: &str,
    (member, epoch): (Option<&str>, i32),
    topics: Option<&[(Uuid, i32)]>,
) -> Result<String> {
    let mut body = Body::default().raw(&[2]).string(group);
    body = match member {
        Some(member) => body.string(member),
        None => body.raw(&[0]),
    };
    body = body.i32(epoch);
    body = match topics {
        None => body.raw(&[0]),
        Some(topics) => {
            let mut body = body.raw(&[topics.len() as u8 + 1]);
            for (id, partition) in topics {
                body = body.raw(id.as_bytes()).raw(&[2]).i32(*partition).raw(&[0]);
            }
            body
        }
    };
    // The end of the group, require_stable, the end.
    let mut reply = match call(cx, 9, 10, body.raw(&[0, 0, 0])).await? {
        Ok(reply) => reply,
        Err(why) => return Ok(why),
    };
    need(&reply, 6)?;
    reply.advance(5);
    take_string(&mut reply)?;
    let mut rows = Vec::new();
    need(&reply, 1)?;
    for _ in 1..reply.get_u8() {
        need(&reply, 17)?;
        let id = Uuid::from_slice(&reply.split_to(16))?;
        for _ in 1..reply.get_u8() {
            need(&reply, 17)?;
            let (index, offset, epoch) = (reply.get_i32(), reply.get_i64(), reply.get_i32());
            let metadata = take_string(&mut reply)?;
            need(&reply, 3)?;
            let code = reply.get_i16();
            reply.advance(1);
            let topic = cx.show_topic(id);
            rows.push(format!(
                "{topic}-{index}={offset},e{epoch},\"{metadata}\",{}",
                err(code)
            ));
        }
        need(&reply, 1)?;
        reply.advance(1);
    }
    need(&reply, 2)?;
    let code = reply.get_i16();
    rows.sort();
    rows.insert(0, format!("top={}", err(code)));
    Ok(rows.join(" "))
}

fn need(reply: &Bytes, bytes: usize) -> Result<()> {
    if reply.remaining() < bytes {
        bail!("the answer ends early");
    }
    Ok(())
}

macro_rules! round_trips {
    ($book:expr, $statics:literal, $($name:literal = $v:literal),* $(,)?) => {
        $($book.add(&[31, 32, 35, 37, 79, 103, 104, 118, 131, 134, 154, 224], $name, |cx| {
            Box::pin(round_trip(cx, $v, $statics))
        });)*
    };
}

pub fn add(book: &mut Book) {
    book.group("versions");
    round_trips!(
        book,
        false,
        "dynamic-0" = 0,
        "dynamic-1" = 1,
        "dynamic-2" = 2,
        "dynamic-3" = 3,
        "dynamic-4" = 4,
        "dynamic-5" = 5,
        "dynamic-6" = 6,
        "dynamic-7" = 7,
        "dynamic-8" = 8,
        "dynamic-9" = 9,
    );
    round_trips!(
        book,
        true,
        "static-5" = 5,
        "static-6" = 6,
        "static-7" = 7,
        "static-8" = 8,
        "static-9" = 9,
    );

    case!(book, [175, 208], "offsets-by-topic-id", |cx| {
        let ((_, t), (_, u)) = (cx.topic(2).await?, cx.topic(1).await?);
        let g = cx.group();
        let unknown = Uuid::new_v4();
        cx.call_topic(unknown, "unknown");
        cx.call_topic(Uuid::nil(), "nil");
        let nobody = ("", -1);
        for (label, who, topics) in [
            ("a member of an absent group", ("m", 1), &[(t, 0)][..]),
            ("an unknown topic alone", ("m", 1), &[(unknown, 0)]),
            ("a good one", nobody, &[(t, 0)]),
            ("two topics", nobody, &[(t, 1), (u, 0)]),
            (
                "unknown beside good",
                nobody,
                &[(unknown, 0), (t, 0), (Uuid::nil(), 3)],
            ),
            ("no such partition", nobody, &[(u, 7)]),
            (
                "no such partition, unknown topic, good",
                nobody,
                &[(u, 7), (unknown, 0), (u, 0)],
            ),
            ("nothing", nobody, &[]),
            ("generation 0 in an empty group", ("", 0), &[(t, 0)]),
            ("a member of an empty group", ("m", -1), &[(t, 0)]),
        ] {
            let seen = commit_by_id(&cx, &g, who, topics).await?;
            cx.note(format!("commit: {label}"), seen, "");
        }
        for (label, who, topics) in [
            ("known", (None, -1), Some(&[(t, 0), (u, 0)][..])),
            (
                "unknown",
                (None, -1),
                Some(&[(unknown, 0), (t, 1), (Uuid::nil(), 0)]),
            ),
            ("no such partition", (None, -1), Some(&[(u, 9)])),
            ("by a stranger", (Some("x"), 3), Some(&[(t, 0)])),
            ("nothing", (None, -1), Some(&[])),
            ("all", (None, -1), None),
        ] {
            let seen = fetch_by_id(&cx, &g, who, topics).await?;
            cx.note(format!("fetch: {label}"), seen, "");
        }
        let absent = cx.group();
        let seen = fetch_by_id(&cx, &absent, (None, -1), Some(&[(t, 0), (unknown, 0)])).await?;
        cx.note("fetch: absent group", seen, "");
        let seen = fetch_by_id(&cx, &absent, (None, -1), None).await?;
        cx.note("fetch: all of an absent group", seen, "");
    });

    case!(book, [160, 163], "members-commit-by-topic-id", |cx| {
        let (_, t) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        let (g, id) = (ms[0].group.clone(), ms[0].id.clone());
        for (label, who) in [
            ("right", (&*id, 2)),
            ("older", (&*id, 1)),
            ("newer", (&*id, 3)),
            ("none", ("", -1)),
            ("stranger", ("nobody", 2)),
        ] {
            let seen = commit_by_id(&cx, &g, who, &[(t, 0)]).await?;
            cx.note(format!("stable: {label}"), seen, "");
        }
        let join = ms[0].join_start().await?;
        ms[1].await_rebalance().await?;
        let seen = commit_by_id(&cx, &g, (&id, 2), &[(t, 0)]).await?;
        cx.note("preparing", seen, "");
        ms[1].join("B joins", "NONE gen=3").await?;
        ms[0].joined(join, "A is released", "NONE gen=3").await;
        let seen = commit_by_id(&cx, &g, (&id, 3), &[(t, 0)]).await?;
        cx.note("completing", seen, "");
    });

    case!(book, [196], "offsets-of-a-deleted-topic", |cx| {
        let ((t, _), (u, _)) = (cx.topic(2).await?, cx.topic(1).await?);
        let g = cx.group();
        let parts = [part(&t, 0, 1), part(&t, 1, 2), part(&u, 0, 3)];
        cx.commit(&g, &parts)
            .send("commit", "t1-0=NONE t1-1=NONE t2-0=NONE")
            .await?;
        cx.need::<DeleteTopicsRequest>(5)?;
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![TopicName(text(&t))])
            .with_timeout_ms(10_000);
        let out = cx.ask(&request, 5).await?;
        let seen = out.show(|r| {
            r.responses
                .first()
                .map_or("none".into(), |t| err(t.error_code))
        });
        cx.note("the topic is deleted", seen, "NONE");
        let end = cx.deadline(5000);
        let mut seen = cx.fetch_all(&g).seen().await?;
        while seen.contains("t1-") && tokio::time::Instant::now() < end {
            cx.sleep(50).await;
            seen = cx.fetch_all(&g).seen().await?;
        }
        cx.note("all offsets", seen, "top=NONE t2-0=3,e-1,\"\"");
        cx.fetch(&g, &[(&t, 0)])
            .send("its offset", "t1-0=-1,e-1,\"\"")
            .await?;
        let parts = [part(&t, 0, 1), part(&u, 0, 4)];
        let spec = "t1-0=UNKNOWN_TOPIC_OR_PARTITION t2-0=NONE";
        cx.commit(&g, &parts).send("commit again", spec).await?;
        cx.delete_offsets("delete its offset", &g, &[(&t, 0)], "")
            .await?;
    });
}
