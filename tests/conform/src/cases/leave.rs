//! LeaveGroup (6.7).

use crate::case;
use crate::case::Book;

pub fn add(book: &mut Book) {
    book.group("leave");

    case!(book, [131], "last-one-empties-the-group", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let g = ms[0].group.clone();
        ms[0].leave("A leaves", "top=NONE A=NONE").await?;
        cx.list("list").send("g1=Empty/classic/consumer").await?;
        cx.describe(
            "describe",
            5,
            &[&g],
            "g1=NONE/Empty/consumer/\"\" members=[]",
        )
        .await?;
        let mut b = cx.member(&g, "B");
        b.take_id().await?;
        b.join("generation of Empty counted", "NONE gen=3").await?;
    });

    case!(book, [118], "one-of-two", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        ms[0].leave("the leader leaves", "top=NONE A=NONE").await?;
        cx.list("list")
            .send("g1=PreparingRebalance/classic/consumer")
            .await?;
        ms[1].hb("B is told", "REBALANCE_IN_PROGRESS").await?;
        ms[1]
            .join("B joins", "NONE gen=3 leader=B members=[B:mB-range]")
            .await?;
    });

    case!(book, [121], "static-by-id-only", |cx| {
        let mut a = cx.static_member(&cx.group(), "A", "ia");
        a.join("joins", "NONE gen=1").await?;
        let id = a.id.clone();
        a.leave_as(&[(&id, None)], "id without the instance", "top=NONE A=NONE")
            .await?;
        a.hb("is gone", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [125], "batch-of-two", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
            cx.static_member(&g, "C", "ic"),
        ];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let mut admin = cx.member(&g, "X");
        admin
            .leave_as(
                &[("", Some("ia")), ("", Some("ib"))],
                "two at once",
                "top=NONE \"\"/ia=NONE \"\"/ib=NONE",
            )
            .await?;
        ms[2].hb("C is told", "REBALANCE_IN_PROGRESS").await?;
        ms[2]
            .join(
                "C joins: one rebalance",
                "NONE gen=4 leader=C members=[C/ic:mC-range]",
            )
            .await?;
    });

    case!(book, [128], "pending-member", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        b.leave("pending member leaves", "top=NONE B=NONE").await?;
        b.join("and uses its id", "UNKNOWN_MEMBER_ID me=B").await?;
        b.leave("and leaves again", "top=NONE B=UNKNOWN_MEMBER_ID")
            .await?;
        ms[0]
            .hb("its leaving began a rebalance", "REBALANCE_IN_PROGRESS")
            .await?;
        ms[0]
            .join("A joins", "NONE gen=2 leader=A members=[A:mA-range]")
            .await?;
    });

    case!(book, [128], "pending-member-with-instance", |cx| {
        let mut b = cx.member(&cx.group(), "B");
        b.take_id().await?;
        let id = b.id.clone();
        b.leave_as(
            &[(&id, Some("i9"))],
            "pending id with some instance",
            "top=NONE B/i9=NONE",
        )
        .await?;
    });

    case!(book, [46], "pending-member-joins-the-rebalance", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        let mut join = ms[0].join_start().await?;
        join.check(&cx, "A joins, B is pending", "parked").await;
        b.join("B joins", "NONE gen=2 leader=A members=[]").await?;
        ms[0]
            .joined(
                join,
                "A is released",
                "NONE gen=2 leader=A members=[A:mA-range,B:mB-range]",
            )
            .await;
    });

    case!(book, [130], "pending-member-was-waited-for", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        let mut join = ms[0].join_start().await?;
        join.check(&cx, "A waits for B", "parked").await;
        b.leave("B leaves", "top=NONE B=NONE").await?;
        let spec = "NONE gen=2 leader=A members=[A:mA-range]";
        ms[0].joined(join, "A is released", spec).await;
        b.join("B's id", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [133], "parked-joiner-is-removed", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let mut join = ms[0].join_start().await?;
        join.check(&cx, "A joins", "parked").await;
        let mut admin = cx.member(&g, "X");
        admin
            .leave_as(&[("", Some("ia"))], "A is removed", "top=NONE \"\"/ia=NONE")
            .await?;
        ms[0].joined(join, "A's join", "UNKNOWN_MEMBER_ID").await;
        ms[1]
            .join("B joins", "NONE gen=3 leader=B members=[B/ib:mB-range]")
            .await?;
    });

    case!(book, [133], "parked-syncer-is-removed", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        cx.form(&mut ms).await?;
        let mut sync = ms[1].sync_start(vec![]).await?;
        sync.check(&cx, "B syncs", "parked").await;
        let mut admin = cx.member(&g, "X");
        admin
            .leave_as(&[("", Some("ib"))], "B is removed", "top=NONE \"\"/ib=NONE")
            .await?;
        ms[0]
            .join("A joins", "NONE gen=3 leader=A members=[A/ia:mA-range]")
            .await?;
        if sync.settled(cx.env.park).await {
            ms[1].synced(sync, "B's sync", "").await;
        } else {
            cx.note("B's sync", "unanswered", "");
        }
    });

    case!(book, [136], "same-member-twice", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let id = ms[0].id.clone();
        ms[0]
            .leave_as(
                &[(&id, None), (&id, None)],
                "twice in a batch",
                "A=NONE A=UNKNOWN_MEMBER_ID",
            )
            .await?;
    });

    case!(book, [118], "all-at-once", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        let ids = (ms[0].id.clone(), ms[1].id.clone());
        ms[0]
            .leave_as(
                &[(&ids.0, None), (&ids.1, None)],
                "both",
                "top=NONE A=NONE B=NONE",
            )
            .await?;
        cx.list("list").send("g1=Empty/classic/consumer").await?;
        let mut c = cx.member(&ms[0].group, "C");
        c.take_id().await?;
        c.join("the next generation", "NONE gen=4").await?;
    });
}
