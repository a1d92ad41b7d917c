//! Heartbeat (6.6), as far as it needs no waiting.

use crate::case;
use crate::case::Book;

pub fn add(book: &mut Book) {
    book.group("heartbeat");

    case!(book, [97, 98], "no-group", |cx| {
        for v in 0..=4 {
            if !cx.offers(12, v) {
                cx.note(format!("v{v}"), "not-offered", "");
                continue;
            }
            let mut a = cx.member("", "A");
            (a.hv, a.id, a.generation) = (v, "x".into(), 1);
            a.hb(&format!("v{v} group \"\""), "INVALID_GROUP_ID")
                .await?;
            a.group = cx.group();
            a.hb(&format!("v{v} absent group"), "UNKNOWN_MEMBER_ID")
                .await?;
        }
    });

    case!(book, [101], "pending-member", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        b.generation = 1;
        b.hb("pending member", "UNKNOWN_MEMBER_ID").await?;
        ms[0].hb("member", "NONE").await?;
    });

    case!(book, [103], "completing", |cx| {
        let g = cx.group();
        let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B")];
        cx.form(&mut ms).await?;
        ms[0].hb("leader, nobody synced", "NONE").await?;
        ms[1].hb("follower, nobody synced", "NONE").await?;
        let mut sync = ms[1].sync_start(vec![]).await?;
        sync.check(&cx, "follower syncs", "parked").await;
        ms[1].hb("follower with a parked sync", "NONE").await?;
        ms[1]
            .hb_gen(1, "old generation", "ILLEGAL_GENERATION")
            .await?;
        let plan = cx.plan(&ms);
        ms[0].sync("leader syncs", "NONE", plan).await?;
        ms[1].synced(sync, "follower is released", "NONE").await;
    });

    case!(book, [106, 107, 115], "static", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let (id_a, id_b) = (ms[0].id.clone(), ms[1].id.clone());
        ms[0].hb("id and instance", "NONE").await?;
        ms[0]
            .hb_as(&id_b, 2, "instance with another's id", "FENCED_INSTANCE_ID")
            .await?;
        ms[0]
            .hb_as(
                "nobody",
                2,
                "instance with an unknown id",
                "FENCED_INSTANCE_ID",
            )
            .await?;
        ms[0]
            .hb_as("", 2, "instance with id \"\"", "FENCED_INSTANCE_ID")
            .await?;
        ms[0]
            .hb_as("nobody", 9, "and a wrong generation", "FENCED_INSTANCE_ID")
            .await?;
        ms[0].instance = Some("nowhere".into());
        ms[0].hb("unknown instance", "UNKNOWN_MEMBER_ID").await?;
        ms[0].instance = Some(String::new());
        ms[0].hb("instance \"\"", "UNKNOWN_MEMBER_ID").await?;
        ms[0].instance = None;
        ms[0].hb("no instance", "NONE").await?;
        ms[0]
            .hb_as(
                &id_a,
                1,
                "no instance, old generation",
                "ILLEGAL_GENERATION",
            )
            .await?;
    });

    case!(book, [104], "after-eviction-of-all", |cx| {
        let mut ms = cx.stable(&cx.group(), &["A", "B"]).await?;
        ms[0].leave_quietly().await?;
        ms[1]
            .hb("the one that stayed", "REBALANCE_IN_PROGRESS")
            .await?;
        ms[0].hb("the one that left", "UNKNOWN_MEMBER_ID").await?;
        ms[1]
            .join("it joins again", "NONE gen=3 leader=B members=[B:mB-range]")
            .await?;
    });
}
