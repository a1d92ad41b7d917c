//! JoinGroup of new members (6.2) and of members that exist (6.4).

use anyhow::Result;

use crate::case;
use crate::case::Book;
use crate::cx::Cx;
use crate::member::Member;

/// Whether an id is `prefix`, a dash and a UUID.
fn id_shape(id: &str, prefix: &str) -> String {
    match id
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
    {
        Some(rest) if uuid::Uuid::parse_str(rest).is_ok() => "prefix-and-uuid".into(),
        Some(_) => "prefix-and-other".into(),
        None if id.is_empty() => "empty".into(),
        None => "other".into(),
    }
}

/// A newcomer that offers `protocols` under `ptype`, up to its first answer that isn't 79.
fn newcomer(cx: &Cx, like: &Member, name: &str, ptype: &str, protocols: &[&str]) -> Member {
    let mut m = cx.member(&like.group, name).offering(protocols);
    m.ptype = ptype.into();
    m
}

/// Both steps of a join, without waiting for the end of the rebalance.
async fn offers_in_vain(mut m: Member, label: &str, spec: &str) -> Result<()> {
    m.join(label, spec).await
}

pub fn add(book: &mut Book) {
    book.group("join");

    case!(book, [11], "empty-group-id", |cx| {
        for v in [2, 4, 5, 6, 7, 9] {
            let mut a = cx.member("", "A");
            a.jv = v;
            a.join(
                &format!("group \"\" v{v}"),
                "INVALID_GROUP_ID gen=-1 me=\"\"",
            )
            .await?;
        }
        cx.call_it("somebody", "somebody");
        let mut a = cx.member("", "A");
        a.id = "somebody".into();
        a.join(
            "group \"\", member id given",
            "INVALID_GROUP_ID gen=-1 me=somebody",
        )
        .await?;
    });

    case!(book, [17], "static-id-shape", |cx| {
        for v in 5..=9 {
            if !cx.offers(11, v) {
                continue;
            }
            let mut a = cx.static_member(&cx.group(), "A", "i1");
            a.jv = v;
            a.join(
                &format!("v{v}"),
                "NONE gen=1 leader=A me=A members=[A/i1:mA-range]",
            )
            .await?;
            cx.note(
                format!("v{v} shape of the id"),
                id_shape(&a.id, "i1"),
                "prefix-and-uuid",
            );
        }
    });

    case!(book, [20], "pending-member-alone", |cx| {
        let mut a = cx.member(&cx.group(), "A");
        a.join("first step", "MEMBER_ID_REQUIRED").await?;
        cx.list("list").send("g1=Empty/classic/\"\"").await?;
        cx.describe(
            "describe",
            5,
            &[&a.group],
            "g1=NONE/Empty/\"\"/\"\" members=[]",
        )
        .await?;
        a.hb("heartbeat of the pending member", "UNKNOWN_MEMBER_ID")
            .await?;
        a.generation = 0;
        a.hb("heartbeat with generation 0", "UNKNOWN_MEMBER_ID")
            .await?;
    });

    case!(book, [25, 26], "no-common-protocol", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.member(&g, "A").offering(&["range", "roundrobin"]),
            cx.member(&g, "B"),
        ];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        offers_in_vain(
            newcomer(&cx, &ms[0], "C", "consumer", &["roundrobin"]),
            "only roundrobin",
            "INCONSISTENT_GROUP_PROTOCOL me=\"\"",
        )
        .await?;
        offers_in_vain(
            newcomer(&cx, &ms[0], "D", "consumer", &["roundrobin", "range"]),
            "both",
            "MEMBER_ID_REQUIRED",
        )
        .await?;
        ms[0].offer(&["roundrobin"], "");
        ms[0]
            .join(
                "known member drops range",
                "INCONSISTENT_GROUP_PROTOCOL me=A",
            )
            .await?;
        ms[1].hb("group is unaffected", "NONE").await?;
    });

    case!(book, [31, 32], "two-members", |cx| {
        let g = cx.group();
        let (mut a, mut b) = (cx.member(&g, "A"), cx.static_member(&g, "B", "ib"));
        a.take_id().await?;
        a.join("A alone", "NONE gen=1 leader=A members=[A:mA-range]")
            .await?;
        let parked = b.join_start().await?;
        a.await_rebalance().await?;
        a.join(
            "A again",
            "NONE gen=2 leader=A me=A members=[A:mA-range,B/ib:mB-range]",
        )
        .await?;
        b.joined(parked, "B", "NONE gen=2 leader=A me=B members=[]")
            .await;
    });

    case!(book, [31, 32], "two-newcomers-at-once", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let g = ms[0].group.clone();
        let (mut b, mut c) = (cx.member(&g, "B"), cx.member(&g, "C"));
        b.take_id().await?;
        c.take_id().await?;
        let mut join_b = b.join_start().await?;
        let mut join_c = c.join_start().await?;
        join_b.check(&cx, "B joins", "parked").await;
        join_c.check(&cx, "C joins", "parked").await;
        ms[0]
            .join(
                "A joins",
                "NONE gen=2 leader=A members=[A:mA-range,B:mB-range,C:mC-range]",
            )
            .await?;
        b.joined(
            join_b,
            "B is released",
            "NONE gen=2 leader=A me=B members=[]",
        )
        .await;
        c.joined(
            join_c,
            "C is released",
            "NONE gen=2 leader=A me=C members=[]",
        )
        .await;
    });

    case!(book, [34], "protocol-in-common", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.member(&g, "A").offering(&["p1", "p2"]),
            cx.member(&g, "B").offering(&["p2"]),
        ];
        cx.form(&mut ms).await?;
        ms[0]
            .join("leader", "proto=p2 members=[A:mA-p2,B:mB-p2]")
            .await?;
    });

    case!(book, [34], "protocol-without-a-name", |cx| {
        // The same name twice isn't compared: Kafka counts it twice, finds no protocol that all
        // support, and never answers.
        let mut b = cx.member(&cx.group(), "B").offering(&[""]);
        b.take_id().await?;
        b.join(
            "a protocol named \"\"",
            "NONE gen=1 leader=B members=[B:mB-]",
        )
        .await?;
    });

    case!(book, [56], "changed-while-completing", |cx| {
        let g = cx.group();
        let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B"), cx.member(&g, "C")];
        cx.form(&mut ms).await?;
        let mut sync = ms[2].sync_start(vec![]).await?;
        sync.check(&cx, "C's sync", "parked").await;
        ms[1].offer(&["range"], "x");
        let mut join = ms[1].join_start().await?;
        join.check(&cx, "B joins with other metadata", "parked")
            .await;
        ms[2]
            .synced(
                sync,
                "C's sync is answered",
                "REBALANCE_IN_PROGRESS bytes=empty",
            )
            .await;
        let mut join_c = ms[2].join_start().await?;
        join_c.check(&cx, "C joins", "parked").await;
        ms[0]
            .join(
                "A joins",
                "NONE gen=4 leader=A members=[A:mA-range,B:mBx-range,C:mC-range]",
            )
            .await?;
        ms[1]
            .joined(join, "B is released", "NONE gen=4 leader=A members=[]")
            .await;
        ms[2]
            .joined(join_c, "C is released", "NONE gen=4 leader=A members=[]")
            .await;
    });

    case!(book, [59], "follower-changed-in-stable", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        ms[1].offer(&["range"], "x");
        let mut join = ms[1].join_start().await?;
        join.check(&cx, "follower with other metadata", "parked")
            .await;
        ms[0].hb("leader is told", "REBALANCE_IN_PROGRESS").await?;
        ms[0]
            .join(
                "leader joins",
                "NONE gen=3 members=[A:mA-range,B:mBx-range]",
            )
            .await?;
        ms[1]
            .joined(join, "follower is released", "NONE gen=3")
            .await;
    });

    case!(book, [61], "unknown-id-in-stable", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        cx.call_it("x", "x");
        let mut b = cx.member(&ms[0].group, "B");
        b.id = "x".into();
        b.join("unknown id", "UNKNOWN_MEMBER_ID me=x gen=-1")
            .await?;
        ms[0].hb("no rebalance", "NONE").await?;
    });

    case!(book, [62, 41], "old-id-in-empty-group", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        ms[0].leave("A leaves", "top=NONE A=NONE").await?;
        cx.list("list").send("g1=Empty/classic/consumer").await?;
        ms[0]
            .join("the old id", "UNKNOWN_MEMBER_ID me=A gen=-1")
            .await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        b.join("a new member: generations go on", "NONE gen=3 leader=B")
            .await?;
    });

    case!(book, [23], "other-type-in-emptied-group", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        ms[0].leave_quietly().await?;
        let mut b = cx.member(&ms[0].group, "B").offering(&["other"]);
        b.ptype = "connect".into();
        b.take_id().await?;
        b.join("another type", "NONE gen=3 type=connect proto=other")
            .await?;
        cx.list("list")
            .send("g1=CompletingRebalance/classic/connect")
            .await?;
    });

    case!(book, [53], "join-sent-again", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        let mut twin = ms[0].twin();
        let mut first = ms[0].join_start().await?;
        first.check(&cx, "first join of A", "parked").await;
        let mut second = twin.join_start().await?;
        second
            .check(&cx, "A joins again on another connection", "parked")
            .await;
        ms[1].join("B joins", "NONE gen=3").await?;
        twin.joined(second, "the second is answered", "NONE gen=3 me=A")
            .await;
        let answered = if first.settled(cx.env.park).await {
            "answered"
        } else {
            "unanswered"
        };
        cx.note("the first", answered, "unanswered");
    });

    case!(book, [53], "connection-lost-while-joining", |cx| {
        // Its client goes away while its join is parked: the broker doesn't notice.
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        {
            let mut gone = b.twin();
            let parked = gone.join_start().await?;
            ms[0].await_rebalance().await?;
            parked.abandon();
            drop(gone);
            cx.sleep(100).await;
        }
        let mut parked = b.join_start().await?;
        parked.check(&cx, "B joins once more", "parked").await;
        ms[0]
            .join("A joins", "NONE gen=2 members=[A:mA-range,B:mB-range]")
            .await?;
        b.joined(parked, "B is released", "NONE gen=2").await;
    });

    case!(book, [104], "preparing-in-the-lists", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        let join = ms[0].join_start().await?;
        ms[1].await_rebalance().await?;
        cx.list("list")
            .send("g1=PreparingRebalance/classic/consumer")
            .await?;
        ms[1].join("B joins", "NONE gen=3").await?;
        ms[0].joined(join, "A is released", "NONE gen=3").await;
        cx.list("list, nobody synced")
            .send("g1=CompletingRebalance/classic/consumer")
            .await?;
    });

    case!(book, [61], "id-of-another-group", |cx| {
        let ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut other = cx.stable(&cx.group(), &["B"]).await?;
        let mut stray = cx.member(&other[0].group, "S");
        stray.id = ms[0].id.clone();
        stray
            .join("a member of another group", "UNKNOWN_MEMBER_ID me=A")
            .await?;
        stray.generation = 1;
        stray.hb("its heartbeat", "UNKNOWN_MEMBER_ID").await?;
        other[0].hb("no rebalance", "NONE").await?;
    });
}
