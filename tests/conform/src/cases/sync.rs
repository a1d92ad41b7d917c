//! SyncGroup (6.5).

use bytes::Bytes;

use crate::case;
use crate::case::Book;

pub fn add(book: &mut Book) {
    book.group("sync");

    case!(book, [70, 71], "no-group", |cx| {
        for v in 0..=5 {
            if !cx.offers(14, v) {
                cx.note(format!("v{v}"), "not-offered", "");
                continue;
            }
            let mut a = cx.member("", "A");
            (a.sv, a.id, a.generation) = (v, "x".into(), 1);
            a.sync(&format!("v{v} group \"\""), "INVALID_GROUP_ID", vec![])
                .await?;
            a.group = cx.group();
            a.sync(
                &format!("v{v} absent group"),
                "UNKNOWN_MEMBER_ID bytes=empty",
                vec![],
            )
            .await?;
        }
    });

    case!(book, [73, 74], "wrong-member-or-generation", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let a = &mut ms[0];
        let id = std::mem::replace(&mut a.id, "nobody".into());
        a.sync("unknown member", "UNKNOWN_MEMBER_ID bytes=empty", vec![])
            .await?;
        a.id = String::new();
        a.sync("member \"\"", "UNKNOWN_MEMBER_ID", vec![]).await?;
        a.id = id;
        for generation in [-1, 0, 2] {
            a.generation = generation;
            a.sync(
                &format!("generation {generation} of 1"),
                "ILLEGAL_GENERATION bytes=empty",
                vec![],
            )
            .await?;
        }
        a.generation = 1;
        a.sync("right", "NONE bytes=asg-A", vec![]).await?;
    });

    case!(book, [80], "preparing", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        let join = ms[0].join_start().await?;
        ms[1].await_rebalance().await?;
        ms[1]
            .sync(
                "sync while preparing",
                "REBALANCE_IN_PROGRESS bytes=empty",
                vec![],
            )
            .await?;
        ms[1].generation = 1;
        ms[1]
            .sync("and with an old generation", "ILLEGAL_GENERATION", vec![])
            .await?;
        ms[1].join("B joins", "NONE gen=3").await?;
        ms[0].joined(join, "A is released", "NONE gen=3").await;
    });

    case!(book, [82, 86], "leader-first", |cx| {
        let g = cx.group();
        let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B")];
        cx.form(&mut ms).await?;
        let plan = cx.plan(&ms);
        ms[0].sync("leader syncs", "NONE bytes=asg-A", plan).await?;
        ms[1]
            .sync("follower syncs", "NONE bytes=asg-B", vec![])
            .await?;
        ms[1]
            .sync("follower again", "NONE bytes=asg-B", vec![])
            .await?;
        let other = vec![(ms[0].id.clone(), Bytes::from_static(b"other"))];
        ms[0]
            .sync("leader again, other assignment", "NONE bytes=asg-A", other)
            .await?;
    });

    case!(book, [83], "large-assignment", |cx| {
        let mut ms = vec![cx.member(&cx.group(), "A")];
        cx.form(&mut ms).await?;
        let big = cx.blob("200k", vec![b'z'; 200_000].into());
        let id = ms[0].id.clone();
        ms[0]
            .sync("200 kB", "NONE bytes=200k", vec![(id, big)])
            .await?;
    });

    case!(book, [95], "static-leader-replaced-while-parked", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        cx.form(&mut ms).await?;
        let mut sync = ms[1].sync_start(vec![]).await?;
        sync.check(&cx, "B syncs", "parked").await;
        let mut again = ms[1].restarted();
        let mut join = again.join_start().await?;
        join.check(&cx, "B restarts", "parked").await;
        ms[1]
            .synced(sync, "the old B's sync", "FENCED_INSTANCE_ID bytes=empty")
            .await;
        ms[0].hb("A is told", "REBALANCE_IN_PROGRESS").await?;
        ms[0].join("A joins", "NONE gen=3").await?;
        again.joined(join, "the new B", "NONE gen=3 me=B'").await;
    });

    case!(book, [95], "static-leader-replaced-before-it-syncs", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        cx.form(&mut ms).await?;
        let mut again = ms[0].restarted();
        let mut join = again.join_start().await?;
        join.check(&cx, "the leader restarts", "parked").await;
        ms[0]
            .sync("the old leader syncs", "FENCED_INSTANCE_ID", vec![])
            .await?;
        let join_b = ms[1].join_start().await?;
        again
            .joined(
                join,
                "the new A",
                "NONE gen=3 leader=A' me=A' members=[A'/ia:mA-range,B/ib:mB-range]",
            )
            .await;
        ms[1]
            .joined(join_b, "B joins", "NONE gen=3 leader=A'")
            .await;
    });

    case!(book, [92], "leader-leaves-while-parked", |cx| {
        let g = cx.group();
        let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B")];
        cx.form(&mut ms).await?;
        let mut sync = ms[1].sync_start(vec![]).await?;
        sync.check(&cx, "B syncs", "parked").await;
        ms[0].leave("the leader leaves", "top=NONE A=NONE").await?;
        ms[1]
            .synced(sync, "B is answered", "REBALANCE_IN_PROGRESS")
            .await;
        ms[1]
            .join("B joins alone", "NONE gen=3 leader=B members=[B:mB-range]")
            .await?;
    });
}
