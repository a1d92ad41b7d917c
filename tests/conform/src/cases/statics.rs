//! Static members of classic groups (6.8).

use anyhow::Result;

use crate::case;
use crate::case::Book;
use crate::cx::Cx;
use crate::member::Member;
use crate::offsets::part;

/// A Stable group of two static members, led by A.
async fn pair(cx: &Cx, protocols: &[&str]) -> Result<Vec<Member>> {
    let g = cx.group();
    let mut ms = vec![
        cx.static_member(&g, "A", "ia").offering(protocols),
        cx.static_member(&g, "B", "ib").offering(protocols),
    ];
    cx.form(&mut ms).await?;
    cx.sync_all(&mut ms).await?;
    Ok(ms)
}

/// Restarts the leader and then the follower of a Stable group in a version of JoinGroup, and
/// has the ids of before and after do everything.
async fn restarts(cx: Cx, v: i16) -> Result<()> {
    let (t, _) = cx.topic(1).await?;
    let mut ms = pair(&cx, &["range"]).await?;
    let g = ms[0].group.clone();
    for who in [0, 1] {
        let name = ms[who].name.clone();
        let label = |what: &str| format!("{name} {what}");
        let mut again = ms[who].restarted();
        again.jv = v;
        again.join(&label("restarts"), "NONE gen=2").await?;
        again.sync(&label("syncs"), "NONE", Vec::new()).await?;
        ms[1 - who]
            .hb(&label("restarted: the other hears"), "NONE")
            .await?;
        let old = &mut ms[who];
        old.hb(&label("of old beats"), "FENCED_INSTANCE_ID").await?;
        old.sync(&label("of old syncs"), "FENCED_INSTANCE_ID", Vec::new())
            .await?;
        let parts = [part(&t, 0, 1)];
        cx.commit(&g, &parts)
            .of(old)
            .send(&label("of old commits"), "")
            .await?;
        old.leave(&label("of old leaves"), "").await?;
        old.join(&label("of old joins"), "FENCED_INSTANCE_ID")
            .await?;
        old.instance = None;
        old.hb(&label("of old beats without instance"), "UNKNOWN_MEMBER_ID")
            .await?;
        old.join(&label("of old joins without instance"), "UNKNOWN_MEMBER_ID")
            .await?;
        cx.commit(&g, &parts)
            .of(&again)
            .send(&label("of now commits"), "t1-0=NONE")
            .await?;
        again.hb(&label("of now beats"), "NONE").await?;
        ms[who] = again;
    }
    cx.describe("describe", 5, &[&g], "").await?;
    // With its known id the follower's join changes nothing, the leader's starts a rebalance.
    for m in &mut ms {
        m.jv = v;
    }
    ms[1].join("B joins with its id", "NONE gen=2").await?;
    let mut join = ms[0].join_start().await?;
    join.check(&cx, "A joins with its id", "parked").await;
    ms[1].join("B joins after A", "NONE gen=3").await?;
    ms[0].joined(join, "A is released", "NONE gen=3").await;
    Ok(())
}

macro_rules! restarts {
    ($book:expr, $($name:literal = $v:literal),* $(,)?) => {
        $($book.add(&[137, 139, 140, 148], $name, |cx| Box::pin(restarts(cx, $v)));)*
    };
}

pub fn add(book: &mut Book) {
    book.group("static");
    restarts!(
        book,
        "restart-v5" = 5,
        "restart-v6" = 6,
        "restart-v7" = 7,
        "restart-v8" = 8,
        "restart-v9" = 9,
    );

    case!(book, [142], "restart-that-changes-the-protocol", |cx| {
        let mut ms = pair(&cx, &["p1", "p2"]).await?;
        let mut again = ms[1].restarted().offering(&["p2"]);
        let mut join = again.join_start().await?;
        join.check(&cx, "B restarts with p2 only", "parked").await;
        ms[0].hb("A is told", "REBALANCE_IN_PROGRESS").await?;
        ms[0]
            .join(
                "A joins",
                "NONE gen=3 proto=p2 leader=A members=[A/ia:mA-p2,B'/ib:mB-p2]",
            )
            .await?;
        again
            .joined(join, "B is released", "NONE gen=3 proto=p2 me=B'")
            .await;
    });

    case!(book, [143], "restart-with-one-protocol-more", |cx| {
        let mut ms = pair(&cx, &["p1"]).await?;
        let mut again = ms[1].restarted().offering(&["p1", "p2"]);
        again
            .join("B restarts with p1 and p2", "NONE gen=2 proto=p1 me=B'")
            .await?;
        ms[0].hb("no rebalance", "NONE").await?;
    });

    case!(book, [142], "restart-with-incompatible-protocol", |cx| {
        let mut ms = pair(&cx, &["p1"]).await?;
        let mut again = ms[1].restarted().offering(&["p9"]);
        again
            .join("B restarts with p9", "INCONSISTENT_GROUP_PROTOCOL me=\"\"")
            .await?;
        ms[1].hb("the old B", "NONE").await?;
    });

    case!(book, [145], "restart-while-completing", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        cx.form(&mut ms).await?;
        let mut again = ms[1].restarted();
        let mut join = again.join_start().await?;
        join.check(&cx, "B restarts", "parked").await;
        ms[0].hb("A is told", "REBALANCE_IN_PROGRESS").await?;
        ms[1].hb("the old B", "FENCED_INSTANCE_ID").await?;
        ms[0]
            .join(
                "A joins",
                "NONE gen=3 leader=A members=[A/ia:mA-range,B'/ib:mB-range]",
            )
            .await?;
        again.joined(join, "B is released", "NONE gen=3").await;
    });

    case!(book, [146], "restart-while-its-join-is-parked", |cx| {
        let mut ms = pair(&cx, &["range"]).await?;
        // The leader's own rejoin makes the group prepare.
        let mut old = ms[0].join_start().await?;
        old.check(&cx, "A joins", "parked").await;
        let mut again = ms[0].restarted();
        let mut join = again.join_start().await?;
        join.check(&cx, "A restarts", "parked").await;
        ms[0]
            .joined(old, "the old A's join", "FENCED_INSTANCE_ID me=A")
            .await;
        let join_b = ms[1].join_start().await?;
        again
            .joined(
                join,
                "the new A",
                "NONE gen=3 me=A' leader=A' members=[A'/ia:mA-range,B/ib:mB-range]",
            )
            .await;
        ms[1]
            .joined(join_b, "B joins", "NONE gen=3 leader=A' members=[]")
            .await;
    });

    case!(book, [149], "known-id-with-wrong-instance", |cx| {
        let mut ms = pair(&cx, &["range"]).await?;
        ms[0].instance = Some("ib".into());
        ms[0]
            .join("another's instance", "FENCED_INSTANCE_ID me=A gen=-1")
            .await?;
        ms[0].instance = Some("nowhere".into());
        ms[0]
            .join("unknown instance", "UNKNOWN_MEMBER_ID me=A gen=-1")
            .await?;
        ms[0].instance = Some("ia".into());
        ms[1].hb("no rebalance", "NONE").await?;
    });

    case!(book, [149], "unknown-id-with-instance", |cx| {
        let mut ms = pair(&cx, &["range"]).await?;
        cx.call_it("x", "x");
        let mut x = ms[0].twin();
        x.id = "x".into();
        x.join("known instance", "FENCED_INSTANCE_ID me=x").await?;
        x.instance = Some("nowhere".into());
        x.join("unknown instance", "UNKNOWN_MEMBER_ID me=x").await?;
        x.group = cx.group();
        x.join("absent group", "UNKNOWN_MEMBER_ID me=x").await?;
        ms[0].hb("no rebalance", "NONE").await?;
    });

    case!(book, [154], "instances-in-the-description", |cx| {
        let ms = pair(&cx, &["range"]).await?;
        for v in 0..=6 {
            if !cx.offers(15, v) {
                continue;
            }
            let spec = if v >= 4 {
                "members=[A/ia:cf-client:/127.0.0.1:mA-range:asg-A,\
                 B/ib:cf-client:/127.0.0.1:mB-range:asg-B]"
            } else {
                "members=[A:cf-client:/127.0.0.1:mA-range:asg-A,\
                 B:cf-client:/127.0.0.1:mB-range:asg-B]"
            };
            cx.describe(&format!("v{v}"), v, &[&ms[0].group], spec)
                .await?;
        }
    });

    case!(book, [17, 121], "left-and-back", |cx| {
        let mut ms = pair(&cx, &["range"]).await?;
        ms[1].leave("B leaves", "top=NONE B/ib=NONE").await?;
        let mut again = ms[1].restarted();
        let mut join = again.join_start().await?;
        join.check(&cx, "B joins anew", "parked").await;
        ms[0]
            .join(
                "A joins",
                "NONE gen=3 members=[A/ia:mA-range,B'/ib:mB-range]",
            )
            .await?;
        again
            .joined(join, "B is released", "NONE gen=3 me=B'")
            .await;
    });

    case!(book, [17], "instance-ids-that-are-odd", |cx| {
        for (label, instance) in [("empty", ""), ("blank", " "), ("long", &*"i".repeat(300))] {
            let mut a = cx.static_member(&cx.group(), "A", instance);
            a.join(&format!("{label} instance id"), "").await?;
        }
    });
}
