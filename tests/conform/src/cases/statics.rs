//! Static members of classic groups (6.8).

use anyhow::Result;

use crate::case;
use crate::case::Book;
use crate::cx::Cx;
use crate::member::Member;

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

pub fn add(book: &mut Book) {
    book.group("static");

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
