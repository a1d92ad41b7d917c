//! OffsetCommit (6.9), in classic and simple groups.

use crate::case;
use crate::case::Book;
use crate::offsets::{Part, part};

pub fn add(book: &mut Book) {
    book.group("offset-commit");

    case!(book, [157, 229], "simple-group", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        for v in 2..=9 {
            if !cx.offers(8, v) {
                cx.note(format!("v{v}"), "not-offered", "");
                continue;
            }
            cx.commit(&g, &[part(&t, 0, i64::from(v))])
                .v(v)
                .send(&format!("v{v}"), "t1-0=NONE")
                .await?;
            cx.fetch(&g, &[(&t, 0)])
                .send(&format!("v{v} fetched"), &format!("t1-0={v},e-1,\"\""))
                .await?;
        }
        cx.list("list").send("g1=Empty/classic/\"\"").await?;
        cx.describe("describe", 5, &[&g], "g1=NONE/Empty/\"\"/\"\" members=[]")
            .await?;
    });

    case!(book, [158], "absent-group-with-generation", |cx| {
        let (t, _) = cx.topic(1).await?;
        for v in 2..=9 {
            if !cx.offers(8, v) {
                continue;
            }
            let spec = if v >= 9 {
                "t1-0=GROUP_ID_NOT_FOUND"
            } else {
                "t1-0=ILLEGAL_GENERATION"
            };
            let commit = cx.commit(&cx.group(), &[part(&t, 0, 1)]);
            commit
                .v(v)
                .as_member("x", 0)
                .send(&format!("v{v} generation 0"), spec)
                .await?;
        }
        cx.commit(&cx.group(), &[part(&t, 0, 1)])
            .as_member("", 3)
            .send("generation 3, member \"\"", "t1-0=GROUP_ID_NOT_FOUND")
            .await?;
        cx.commit(&cx.group(), &[part(&t, 0, 1)])
            .as_member("x", -1)
            .send("generation -1, member x", "t1-0=NONE")
            .await?;
        cx.commit(&cx.group(), &[part(&t, 0, 1)])
            .as_member("", -7)
            .send("generation -7", "")
            .await?;
    });

    case!(book, [166, 167], "empty-group", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        ms[0].leave_quietly().await?;
        let (g, id) = (ms[0].group.clone(), ms[0].id.clone());
        cx.commit(&g, &[part(&t, 0, 1)])
            .send("generation -1", "t1-0=NONE")
            .await?;
        cx.commit(&g, &[part(&t, 0, 2)])
            .as_member("x", -1)
            .send("generation -1 and a member id", "t1-0=NONE")
            .await?;
        cx.commit(&g, &[part(&t, 0, 3)])
            .as_member("", -1)
            .instance("i")
            .send("generation -1 and an instance", "t1-0=NONE")
            .await?;
        cx.commit(&g, &[part(&t, 0, 4)])
            .as_member(&id, 1)
            .send("the old generation", "t1-0=UNKNOWN_MEMBER_ID")
            .await?;
        cx.commit(&g, &[part(&t, 0, 5)])
            .as_member("", 2)
            .send("the generation of Empty", "t1-0=UNKNOWN_MEMBER_ID")
            .await?;
        cx.fetch(&g, &[(&t, 0)])
            .send("fetch", "t1-0=3,e-1,\"\"")
            .await?;
    });

    case!(book, [169], "preparing", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        let join = ms[0].join_start().await?;
        ms[1].await_rebalance().await?;
        let g = ms[0].group.clone();
        cx.commit(&g, &[part(&t, 0, 4)])
            .of(&ms[1])
            .send("by one not yet joined", "t1-0=NONE")
            .await?;
        cx.commit(&g, &[part(&t, 0, 5)])
            .of(&ms[0])
            .send("by one whose join is parked", "t1-0=NONE")
            .await?;
        ms[1].join("B joins", "NONE gen=3").await?;
        ms[0].joined(join, "A is released", "NONE gen=3").await;
        cx.commit(&g, &[part(&t, 0, 6)])
            .as_member(&ms[0].id, 2)
            .send("the old generation afterwards", "t1-0=ILLEGAL_GENERATION")
            .await?;
        cx.fetch(&g, &[(&t, 0)])
            .send("fetch", "t1-0=5,e-1,\"\"")
            .await?;
    });

    case!(book, [170], "static", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let (first, second) = (ms[0].id.clone(), ms[1].id.clone());
        let parts = [part(&t, 0, 1)];
        cx.commit(&g, &parts)
            .as_member(&first, 2)
            .instance("ia")
            .send("right", "t1-0=NONE")
            .await?;
        cx.commit(&g, &parts)
            .as_member(&first, 2)
            .send("no instance", "t1-0=NONE")
            .await?;
        cx.commit(&g, &parts)
            .as_member(&second, 2)
            .instance("ia")
            .send("another's id", "t1-0=FENCED_INSTANCE_ID")
            .await?;
        cx.commit(&g, &parts)
            .as_member("", -1)
            .instance("ia")
            .send("instance only", "t1-0=FENCED_INSTANCE_ID")
            .await?;
        cx.commit(&g, &parts)
            .as_member(&first, 2)
            .instance("nowhere")
            .send("unknown instance", "t1-0=UNKNOWN_MEMBER_ID")
            .await?;
        cx.commit(&g, &parts)
            .as_member("x", 9)
            .instance("ia")
            .send("fenced and wrong generation", "t1-0=FENCED_INSTANCE_ID")
            .await?;
    });

    case!(book, [101, 161], "pending-member", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut b = cx.member(&cx.group(), "B");
        b.take_id().await?;
        let g = b.group.clone();
        cx.commit(&g, &[part(&t, 0, 1)])
            .as_member(&b.id, 0)
            .send("pending, generation 0", "t1-0=UNKNOWN_MEMBER_ID")
            .await?;
        cx.commit(&g, &[part(&t, 0, 1)])
            .as_member(&b.id, -1)
            .send("pending, generation -1", "t1-0=NONE")
            .await?;
    });

    case!(book, [157], "simple-group-becomes-a-real-one", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        cx.commit(&g, &[part(&t, 0, 9)])
            .send("commit", "t1-0=NONE")
            .await?;
        let mut a = cx.member(&g, "A");
        a.take_id().await?;
        a.join("A joins", "NONE gen=1 leader=A").await?;
        cx.list("list")
            .send("g1=CompletingRebalance/classic/consumer")
            .await?;
        cx.fetch(&g, &[(&t, 0)])
            .send("offsets are kept", "t1-0=9,e-1,\"\"")
            .await?;
    });

    case!(book, [172], "metadata-too-large", |cx| {
        let (t, _) = cx.topic(4).await?;
        let g = cx.group();
        let with = |partition, meta: String| Part {
            meta: Some(meta),
            ..part(&t, partition, 1)
        };
        let parts = [
            with(0, "x".repeat(4096)),
            with(1, "x".repeat(4097)),
            // 4096 UTF-16 units, 12288 bytes; and 4098 units in 2049 characters
            with(2, "\u{20ac}".repeat(4096)),
            with(3, "\u{1f600}".repeat(2049)),
        ];
        cx.commit(&g, &parts)
            .send(
                "limit 4096",
                "t1-0=NONE t1-1=OFFSET_METADATA_TOO_LARGE t1-2=NONE t1-3=OFFSET_METADATA_TOO_LARGE",
            )
            .await?;
        let seen = cx
            .fetch(&g, &[(&t, 0), (&t, 1), (&t, 2), (&t, 3)])
            .seen()
            .await?;
        let short: Vec<_> = seen
            .split(' ')
            .map(|s| s.split(',').next().unwrap_or(""))
            .collect();
        cx.note("offsets", short.join(" "), "t1-0=1 t1-1=-1 t1-2=1 t1-3=-1");
    });

    case!(book, [173], "metadata-null", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let parts = [
            Part {
                meta: None,
                ..part(&t, 0, 1)
            },
            Part {
                meta: Some("m".into()),
                ..part(&t, 1, 2)
            },
        ];
        for v in [2, 5, 8, 9] {
            if cx.offers(8, v) {
                cx.commit(&g, &parts)
                    .v(v)
                    .send(&format!("v{v}"), "t1-0=NONE t1-1=NONE")
                    .await?;
            }
        }
        for v in [1, 5, 6, 9] {
            if cx.offers(9, v) {
                cx.fetch(&g, &[(&t, 0), (&t, 1)])
                    .v(v)
                    .send(&format!("fetch v{v}"), "t1-0=1,e-1,\"\" t1-1=2,e-1,m")
                    .await?;
            }
        }
    });

    case!(book, [175], "nothing-to-commit", |cx| {
        let g = cx.group();
        cx.commit(&g, &[]).send("no topics", "no-rows").await?;
        cx.list("list").send("").await?;
        cx.commit(&g, &[])
            .as_member("x", 5)
            .send("no topics, bogus member", "no-rows")
            .await?;
    });

    case!(book, [176], "leader-epoch", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let parts = [
            Part {
                epoch: 0,
                ..part(&t, 0, 1)
            },
            Part {
                epoch: 7,
                ..part(&t, 1, 1)
            },
        ];
        cx.commit(&g, &parts)
            .v(6)
            .send("v6", "t1-0=NONE t1-1=NONE")
            .await?;
        cx.fetch(&g, &[(&t, 0), (&t, 1)])
            .send("fetch", "t1-0=1,e0,\"\" t1-1=1,e7,\"\"")
            .await?;
        cx.commit(&g, &parts)
            .v(5)
            .send("v5", "t1-0=NONE t1-1=NONE")
            .await?;
        cx.fetch(&g, &[(&t, 0), (&t, 1)])
            .send("fetch", "t1-0=1,e-1,\"\" t1-1=1,e-1,\"\"")
            .await?;
    });

    case!(book, [181], "topic-named-twice", |cx| {
        let (t, _) = cx.topic(2).await?;
        let (u, _) = cx.topic(1).await?;
        let g = cx.group();
        let parts = [
            part(&t, 0, 1),
            part(&u, 0, 2),
            part(&t, 1, 3),
            part(&t, 0, 4),
        ];
        cx.commit(&g, &parts)
            .send("rows of t1 around t2", "t1-0=NONE t1-1=NONE t2-0=NONE")
            .await?;
        cx.fetch_all(&g)
            .send(
                "fetch all",
                "t1-0=4,e-1,\"\" t1-1=3,e-1,\"\" t2-0=2,e-1,\"\"",
            )
            .await?;
    });

    case!(book, [160], "by-members-of-other-types", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.member(&cx.group(), "A").offering(&["v0"]);
        a.ptype = "connect".into();
        a.take_id().await?;
        a.join("type connect joins", "NONE gen=1").await?;
        let plan = vec![(a.id.clone(), bytes::Bytes::from_static(b"work"))];
        a.sync("syncs", "NONE bytes=work", plan).await?;
        cx.commit(&a.group, &[part(&t, 0, 3)])
            .of(&a)
            .send("commits", "t1-0=NONE")
            .await?;
        cx.fetch(&a.group, &[(&t, 0)])
            .send("fetch", "t1-0=3,e-1,\"\"")
            .await?;
    });

    case!(book, [170], "version-9-after-restart-of-a-group", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        let g = ms[0].group.clone();
        ms[1].leave_quietly().await?;
        cx.commit(&g, &[part(&t, 0, 3)])
            .of(&ms[1])
            .send("by the one that left", "t1-0=UNKNOWN_MEMBER_ID")
            .await?;
        cx.commit(&g, &[part(&t, 0, 4)])
            .of(&ms[0])
            .send("by the one that stayed", "t1-0=NONE")
            .await?;
    });
}
