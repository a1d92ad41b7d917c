//! Offsets committed in transactions (6.17).

use anyhow::Result;
use kafka_protocol::messages::{EndTxnRequest, TxnOffsetCommitRequest};
use tokio::time::Instant;
use uuid::Uuid;

use crate::case;
use crate::case::Book;
use crate::cx::Cx;
use crate::offsets::{Part, part};
use crate::txn::Txn;

/// Fetches until the answer is as specified: markers come after the answer to EndTxn.
async fn fetch_until(
    cx: &Cx,
    group: &str,
    parts: &[(&str, i32)],
    label: &str,
    spec: &str,
) -> Result<()> {
    let end = cx.deadline(5000);
    loop {
        let seen = cx.fetch(group, parts).stable().seen().await?;
        if crate::cx::matches(spec, &seen) || Instant::now() >= end {
            cx.note(label, seen, spec);
            return Ok(());
        }
        cx.sleep(50).await;
    }
}

const NOBODY: (&str, i32, Option<&str>) = ("", -1, None);

pub fn add(book: &mut Book) {
    book.group("txn");

    case!(book, [332, 338], "version-5-adds-the-group-itself", |cx| {
        cx.need::<TxnOffsetCommitRequest>(5)?;
        cx.need::<EndTxnRequest>(5)?;
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        let mut txn = Txn::open(&cx).await?;
        for offset in [5, 6] {
            txn.commit(
                5,
                &g,
                NOBODY,
                &[part(&t, 0, offset)],
                &format!("{offset}: offsets"),
                "t1-0=NONE",
            )
            .await?;
            txn.end(5, true, &format!("{offset}: end")).await?;
            fetch_until(
                &cx,
                &g,
                &[(&t, 0)],
                &format!("{offset}: in the end"),
                &format!("top=NONE t1-0={offset},e-1,\"\""),
            )
            .await?;
        }
    });

    case!(book, [381], "version-6-by-topic-id", |cx| {
        let (t, id) = cx.topic(1).await?;
        let g = cx.group();
        let unknown = Uuid::new_v4();
        cx.call_topic(unknown, "unknown");
        cx.call_topic(Uuid::nil(), "nil");
        let mut txn = Txn::open(&cx).await?;
        txn.commit_by_id(&g, ("", -1), id, 0, "offset", "t1-0=NONE")
            .await?;
        txn.end(5, true, "end").await?;
        fetch_until(
            &cx,
            &g,
            &[(&t, 0)],
            "in the end",
            "top=NONE t1-0=5,e-1,\"\"",
        )
        .await?;
        txn.commit_by_id(
            &g,
            ("", -1),
            unknown,
            0,
            "unknown id",
            "unknown-0=UNKNOWN_TOPIC_ID",
        )
        .await?;
        txn.commit_by_id(
            &g,
            ("", -1),
            Uuid::nil(),
            0,
            "nil id",
            "nil-0=UNKNOWN_TOPIC_ID",
        )
        .await?;
        txn.commit_by_id(
            &g,
            ("", -1),
            id,
            99,
            "unknown partition",
            "t1-99=UNKNOWN_TOPIC_OR_PARTITION",
        )
        .await?;
        txn.commit_by_id(
            &cx.group(),
            ("x", 0),
            id,
            0,
            "generation 0 in an absent group",
            "t1-0=GROUP_ID_NOT_FOUND",
        )
        .await?;
        txn.commit_by_id("", ("", -1), id, 0, "group \"\"", "t1-0=INVALID_GROUP_ID")
            .await?;
        let mut classic = vec![cx.member(&cx.group(), "C")];
        cx.form(&mut classic).await?;
        let (c, cg) = (classic[0].id.clone(), classic[0].group.clone());
        txn.commit_by_id(&cg, (&c, 1), id, 0, "classic group", "t1-0=NONE")
            .await?;
        txn.commit_by_id(
            &cg,
            (&c, 9),
            id,
            0,
            "wrong generation",
            "t1-0=ILLEGAL_GENERATION",
        )
        .await?;
        txn.end(5, false, "abort").await?;
    });

    case!(book, [382], "version-6-in-a-consumer-group", |cx| {
        let ((t, id), (_, other)) = (cx.topic(1).await?, cx.topic(1).await?);
        let ms = cx.settled(&cx.group(), &["A"], &[&t]).await?;
        let (g, a) = (ms[0].group.clone(), ms[0].id.clone());
        let mut txn = Txn::open(&cx).await?;
        txn.commit_by_id(&g, (&a, 2), id, 0, "right epoch", "t1-0=NONE")
            .await?;
        txn.commit_by_id(
            &g,
            (&a, 2),
            other,
            0,
            "a topic it doesn't have",
            "t2-0=NONE",
        )
        .await?;
        txn.commit_by_id(
            &g,
            (&a, 9),
            id,
            0,
            "greater epoch",
            "t1-0=STALE_MEMBER_EPOCH",
        )
        .await?;
        txn.commit_by_id(
            &g,
            (&a, 1),
            id,
            0,
            "older than its assignment",
            "t1-0=STALE_MEMBER_EPOCH",
        )
        .await?;
        txn.commit_by_id(
            &g,
            (&a, 1),
            other,
            0,
            "older, a topic it doesn't have",
            "t2-0=STALE_MEMBER_EPOCH",
        )
        .await?;
        txn.commit_by_id(
            &g,
            ("x", 2),
            id,
            0,
            "unknown member",
            "t1-0=UNKNOWN_MEMBER_ID",
        )
        .await?;
        txn.commit_by_id(&g, ("", -1), id, 0, "nobody", "t1-0=NONE")
            .await?;
        txn.end(5, true, "end").await?;
        fetch_until(
            &cx,
            &g,
            &[(&t, 0)],
            "in the end",
            "top=NONE t1-0=5,e-1,\"\"",
        )
        .await?;
    });

    case!(book, [341], "group-not-added", |cx| {
        let (t, _) = cx.topic(1).await?;
        let txn = Txn::open(&cx).await?;
        for (v, spec) in [
            (3, "t1-0=INVALID_TXN_STATE"),
            (4, "t1-0=TRANSACTION_ABORTABLE"),
        ] {
            if !cx.offers(28, v) {
                continue;
            }
            // Kafka verifies what comes at the same time in one batch, and words the outcome for
            // all as the version of one of them wants it: another case may be that one.
            let mut seen = String::new();
            for _ in 0..10 {
                seen = txn
                    .commit_out(v, &cx.group(), NOBODY, &[part(&t, 0, 1)])
                    .await?;
                if seen == spec {
                    break;
                }
                cx.sleep(70).await;
            }
            cx.note(format!("v{v}"), seen, spec);
        }
    });

    case!(book, [334, 335], "stable-group", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        let mut ms = vec![cx.static_member(&g, "A", "ia")];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let id = ms[0].id.clone();
        let txn = Txn::open(&cx).await?;
        txn.add(&g, "group added", "NONE").await?;
        let p = [part(&t, 0, 1)];
        txn.commit(3, &g, (&id, 1, Some("ia")), &p, "right", "t1-0=NONE")
            .await?;
        txn.commit(
            3,
            &g,
            (&id, 9, Some("ia")),
            &p,
            "wrong generation",
            "t1-0=ILLEGAL_GENERATION",
        )
        .await?;
        txn.commit(
            3,
            &g,
            ("x", 1, None),
            &p,
            "unknown member",
            "t1-0=UNKNOWN_MEMBER_ID",
        )
        .await?;
        txn.commit(
            3,
            &g,
            ("x", 1, Some("ia")),
            &p,
            "fenced",
            "t1-0=FENCED_INSTANCE_ID",
        )
        .await?;
        txn.commit(3, &g, NOBODY, &p, "nobody", "t1-0=NONE").await?;
        for v in [0, 1, 2] {
            if cx.offers(28, v) {
                txn.commit(v, &g, NOBODY, &p, &format!("v{v}"), "t1-0=NONE")
                    .await?;
            }
        }
        cx.note("topic", cx.show(&t), "");
    });

    case!(book, [337], "consumer-group", |cx| {
        let (t, _) = cx.topic(1).await?;
        let ms = cx.settled(&cx.group(), &["A"], &[&t]).await?;
        let (g, id) = (ms[0].group.clone(), ms[0].id.clone());
        let txn = Txn::open(&cx).await?;
        txn.add(&g, "group added", "NONE").await?;
        txn.commit(
            3,
            &g,
            (&id, 2, None),
            &[part(&t, 0, 1)],
            "right epoch",
            "t1-0=NONE",
        )
        .await?;
        txn.commit(
            3,
            &g,
            (&id, 9, None),
            &[part(&t, 0, 1)],
            "wrong epoch",
            "t1-0=ILLEGAL_GENERATION",
        )
        .await?;
        txn.commit(
            3,
            &g,
            ("x", 1, None),
            &[part(&t, 0, 1)],
            "unknown member",
            "t1-0=UNKNOWN_MEMBER_ID",
        )
        .await?;
        txn.commit(3, &g, NOBODY, &[part(&t, 0, 1)], "nobody", "")
            .await?;
    });

    case!(book, [340], "metadata-and-partitions", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let txn = Txn::open(&cx).await?;
        txn.add(&g, "group added", "NONE").await?;
        let parts = [
            part(&t, 0, 1),
            Part {
                meta: Some("x".repeat(4097)),
                ..part(&t, 1, 1)
            },
            part(&t, 99, 1),
        ];
        txn.commit(
            3,
            &g,
            NOBODY,
            &parts,
            "mixed",
            "t1-0=NONE t1-1=OFFSET_METADATA_TOO_LARGE t1-99=UNKNOWN_TOPIC_OR_PARTITION",
        )
        .await?;
    });

    case!(book, [343, 220], "deletions-meanwhile", |cx| {
        let (t, _) = cx.topic(1).await?;
        for kind in ["group", "offset"] {
            let g = cx.group();
            let mut txn = Txn::open(&cx).await?;
            txn.add(&g, &format!("{kind}: group added"), "NONE").await?;
            txn.commit(
                3,
                &g,
                NOBODY,
                &[part(&t, 0, 5)],
                &format!("{kind}: in the transaction"),
                "t1-0=NONE",
            )
            .await?;
            if kind == "group" {
                cx.delete_groups("group deleted", &[&g], "g1=NONE").await?;
            } else {
                cx.delete_offsets("offset deleted", &g, &[(&t, 0)], "top=NONE t1-0=NONE")
                    .await?;
            }
            txn.end(3, true, &format!("{kind}: end")).await?;
            cx.sleep(500).await;
            cx.fetch(&g, &[(&t, 0)])
                .send(
                    &format!("{kind}: nothing comes of it"),
                    "top=NONE t1-0=-1,e-1,\"\"",
                )
                .await?;
        }
    });

    case!(book, [338], "two-producers-on-one-partition", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        let (mut a, mut b) = (Txn::open(&cx).await?, Txn::open(&cx).await?);
        a.add(&g, "A adds", "NONE").await?;
        b.add(&g, "B adds", "NONE").await?;
        a.commit(3, &g, NOBODY, &[part(&t, 0, 5)], "A's offset", "t1-0=NONE")
            .await?;
        b.commit(3, &g, NOBODY, &[part(&t, 0, 6)], "B's offset", "t1-0=NONE")
            .await?;
        b.end(3, true, "B ends").await?;
        cx.sleep(300).await;
        cx.fetch(&g, &[(&t, 0)])
            .stable()
            .send(
                "A is still open",
                "UNSTABLE_OFFSET_COMMIT|t1-0=-1,e-1,\"\",UNSTABLE_OFFSET_COMMIT",
            )
            .await?;
        a.end(3, true, "A ends").await?;
        fetch_until(
            &cx,
            &g,
            &[(&t, 0)],
            "the later record stays",
            "top=NONE t1-0=6,e-1,\"\"",
        )
        .await?;
    });
}
