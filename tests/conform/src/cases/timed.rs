//! What only time brings about (6.3, 6.5, 6.6, 6.8), with session timeouts of a second or two:
//! the broker needs group.min.session.timeout.ms=100.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::case;
use crate::case::{Book, Profile};
use crate::cx::{Cx, err, matches};
use crate::member::Member;
use crate::offsets::part;

/// `early` before `from`, `late` after `to` (both in milliseconds), else `in-time`.
fn bucket(took: Duration, from: u64, to: u64) -> &'static str {
    let ms = took.as_millis() as u64;
    if ms < from {
        "early"
    } else if ms > to {
        "late"
    } else {
        "in-time"
    }
}

/// Heartbeats until the answer matches; records it and when it came.
async fn hb_until(
    m: &mut Member,
    since: Instant,
    window: (u64, u64),
    label: &str,
    spec: &str,
) -> Result<()> {
    let end = since + Duration::from_millis(window.1 + 2000);
    loop {
        let seen = m.hb_out().await?;
        if matches(spec, &seen) || Instant::now() >= end {
            let when = bucket(since.elapsed(), window.0, window.1);
            m.cx.note_with(
                label,
                format!("{seen} {when}"),
                &format!("{spec} in-time"),
                Some(format!("{:?}", since.elapsed())),
            );
            return Ok(());
        }
        m.cx.sleep(40).await;
    }
}

/// Keeps members alive by heartbeats for so long; returns their last answers.
async fn keep(ms: &mut [&mut Member], millis: u64) -> Result<Vec<String>> {
    let end = Instant::now() + Duration::from_millis(millis);
    let mut last = Vec::new();
    while Instant::now() < end {
        last.clear();
        for m in ms.iter_mut() {
            last.push(m.hb_out().await?);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(last)
}

/// Members of the given session and rebalance timeouts, joined but not synced.
async fn timed(cx: &Cx, names: &[(&str, i32, i32)]) -> Result<Vec<Member>> {
    let g = cx.group();
    let mut ms = Vec::new();
    for (name, session, rebalance) in names {
        let mut m = cx.member(&g, name);
        (m.session, m.rebalance) = (*session, *rebalance);
        ms.push(m);
    }
    cx.form(&mut ms).await?;
    Ok(ms)
}

pub fn add(book: &mut Book) {
    book.group("timed");

    case!(book, [110], "sole-member-expires", |cx| {
        let mut ms = timed(&cx, &[("A", 1000, 10_000)]).await?;
        cx.sync_all(&mut ms).await?;
        cx.list("list")
            .until(4000, "g1=Empty/classic/consumer")
            .await?;
        ms[0].hb("A", "UNKNOWN_MEMBER_ID").await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.take_id().await?;
        b.join("the generation counted on", "NONE gen=3").await?;
    });

    case!(book, [178], "commits-keep-a-session", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = timed(&cx, &[("A", 1500, 10_000)]).await?;
        cx.sync_all(&mut ms).await?;
        let g = ms[0].group.clone();
        let mut codes = Vec::new();
        for i in 0..8 {
            codes.push(cx.commit(&g, &[part(&t, 0, i)]).of(&ms[0]).seen().await?);
            cx.sleep(500).await;
        }
        let good = codes.iter().filter(|c| *c == "t1-0=NONE").count();
        cx.note("good commits of 8 over 4 s", good.to_string(), "8");
        ms[0].hb("heartbeat", "NONE").await?;
    });

    case!(book, [43], "silent-member-dropped", |cx| {
        let mut ms = timed(&cx, &[("A", 10_000, 2000), ("B", 10_000, 2000)]).await?;
        cx.sync_all(&mut ms).await?;
        let join = ms[0].join_start().await?;
        let last = keep(&mut [&mut ms[1]], 1000).await?;
        cx.note(
            "B beats, but doesn't join",
            last.join(","),
            "REBALANCE_IN_PROGRESS",
        );
        let (out, took) = join.timed().await;
        let seen = ms[0].absorb(&out);
        cx.note_with(
            "A is released",
            format!("{seen} {}", bucket(took, 1800, 3200)),
            "NONE gen=3 members=[A:mA-range] in-time",
            Some(format!("{took:?}")),
        );
        ms[1].hb("B", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [44], "longest-rebalance-timeout-counts", |cx| {
        let mut ms = timed(&cx, &[("A", 10_000, 1000), ("B", 10_000, 3500)]).await?;
        cx.sync_all(&mut ms).await?;
        let (out, took) = ms[0].join_start().await?.timed().await;
        let seen = ms[0].absorb(&out);
        cx.note_with(
            "A waits for B",
            format!("{seen} {}", bucket(took, 3200, 4800)),
            "NONE gen=3 members=[A:mA-range] in-time",
            Some(format!("{took:?}")),
        );
    });

    case!(book, [37], "version-0-has-no-rebalance-timeout", |cx| {
        cx.need::<kafka_protocol::messages::JoinGroupRequest>(0)?;
        let g = cx.group();
        let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B")];
        for m in &mut ms {
            (m.jv, m.session) = (0, 1500);
        }
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let (out, took) = ms[0].join_start().await?.timed().await;
        let seen = ms[0].absorb(&out);
        cx.note_with(
            "A waits for B",
            format!("{seen} {}", bucket(took, 1200, 2800)),
            "NONE gen=3 in-time",
            Some(format!("{took:?}")),
        );
    });

    case!(book, [52], "nobody-of-static-members-rejoins", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
            cx.static_member(&g, "C", "ic"),
        ];
        for m in &mut ms {
            (m.session, m.rebalance) = (10_000, 1000);
        }
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        ms[2].leave_quietly().await?;
        let (a, rest) = ms.split_at_mut(1);
        let last = keep(&mut [&mut a[0], &mut rest[0]], 2500).await?;
        cx.note(
            "after two rebalance timeouts",
            last.join(","),
            "REBALANCE_IN_PROGRESS,REBALANCE_IN_PROGRESS",
        );
        let join = ms[0].join_start().await?;
        let (out, took) = join.timed().await;
        let seen = ms[0].absorb(&out);
        cx.note(
            "A joins: released at the next turn",
            format!("{seen} {}", bucket(took, 0, 1800)),
            "NONE gen=4 leader=A members=[A/ia:mA-range,B/ib:mB-range] in-time",
        );
    });

    case!(book, [152], "silent-static-follower-kept", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        for m in &mut ms {
            (m.session, m.rebalance) = (10_000, 1500);
        }
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let (out, took) = ms[0].join_start().await?.timed().await;
        let seen = ms[0].absorb(&out);
        cx.note(
            "A is released",
            format!("{seen} {}", bucket(took, 1200, 2800)),
            "NONE gen=3 leader=A members=[A/ia:mA-range,B/ib:mB-range] in-time",
        );
    });

    case!(book, [151], "static-member-away-for-a-while", |cx| {
        let g = cx.group();
        let mut ms = vec![
            cx.static_member(&g, "A", "ia"),
            cx.static_member(&g, "B", "ib"),
        ];
        (ms[0].session, ms[1].session) = (10_000, 2000);
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        cx.sleep(1000).await;
        ms[0].hb("B away for 1 s of 2", "NONE").await?;
        let mut again = ms[1].restarted();
        again.join("B comes back", "NONE gen=2 me=B'").await?;
        let since = Instant::now();
        hb_until(
            &mut ms[0],
            since,
            (1700, 3200),
            "B away for 2 s",
            "REBALANCE_IN_PROGRESS",
        )
        .await?;
        again.hb("B", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [88], "nobody-syncs", |cx| {
        let mut ms = timed(&cx, &[("A", 10_000, 1500), ("B", 10_000, 1500)]).await?;
        cx.list("list")
            .until(5000, "g1=Empty/classic/consumer")
            .await?;
        ms[0].hb("A", "UNKNOWN_MEMBER_ID").await?;
        ms[1].hb("B", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [89], "follower-doesnt-sync", |cx| {
        let mut ms = timed(&cx, &[("A", 10_000, 1500), ("B", 10_000, 1500)]).await?;
        let since = Instant::now();
        let plan = cx.plan(&ms);
        ms[0].sync("leader syncs", "NONE bytes=asg-A", plan).await?;
        hb_until(
            &mut ms[0],
            since,
            (1000, 2800),
            "A is told",
            "REBALANCE_IN_PROGRESS",
        )
        .await?;
        ms[1].hb("B", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [91], "all-synced", |cx| {
        let mut ms = timed(&cx, &[("A", 10_000, 1000), ("B", 10_000, 1000)]).await?;
        cx.sync_all(&mut ms).await?;
        cx.sleep(2200).await;
        ms[0].hb("A", "NONE").await?;
        ms[1].hb("B", "NONE").await?;
    });

    case!(book, [92], "leader-expires-before-it-syncs", |cx| {
        let mut ms = timed(&cx, &[("A", 1000, 20_000), ("B", 10_000, 20_000)]).await?;
        let (out, took) = ms[1].sync_start(vec![]).await?.timed().await;
        cx.note(
            "B's sync",
            format!(
                "{} {}",
                out.show(|r| err(r.error_code)),
                bucket(took, 500, 2200)
            ),
            "REBALANCE_IN_PROGRESS in-time",
        );
        ms[1].join("B joins", "NONE gen=3 leader=B").await?;
    });

    case!(book, [47], "pending-member-expires", |cx| {
        let mut ms = timed(&cx, &[("A", 10_000, 20_000)]).await?;
        cx.sync_all(&mut ms).await?;
        let mut b = cx.member(&ms[0].group, "B");
        b.session = 1500;
        b.take_id().await?;
        let (out, took) = ms[0].join_start().await?.timed().await;
        let seen = format!("{} {}", ms[0].absorb(&out), bucket(took, 900, 3000));
        let spec = "NONE gen=2 leader=A members=[A:mA-range] in-time";
        cx.note_with("A is released", seen, spec, Some(format!("{took:?}")));
        b.join("B's id", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [109], "one-of-two-expires", |cx| {
        let mut ms = timed(&cx, &[("A", 1500, 20_000), ("B", 10_000, 20_000)]).await?;
        cx.sync_all(&mut ms).await?;
        let since = Instant::now();
        let window = (1000, 3000);
        hb_until(
            &mut ms[1],
            since,
            window,
            "B is told",
            "REBALANCE_IN_PROGRESS",
        )
        .await?;
        ms[0].hb("A", "UNKNOWN_MEMBER_ID").await?;
        ms[1]
            .join("B leads now", "NONE gen=3 leader=B members=[B:mB-range]")
            .await?;
    });

    case!(book, [112], "waiting-is-a-sign-of-life", |cx| {
        let mut ms = timed(&cx, &[("A", 1000, 20_000), ("B", 10_000, 20_000)]).await?;
        cx.sync_all(&mut ms).await?;
        let mut join = ms[0].join_start().await?;
        keep(&mut [&mut ms[1]], 2500).await?;
        join.check(&cx, "A waits for long", "parked").await;
        ms[1].join("B joins", "NONE gen=3 leader=A").await?;
        let spec = "NONE gen=3 leader=A members=[A:mA-range,B:mB-range]";
        ms[0].joined(join, "A is still there", spec).await;
        // The other way round: A waits in its sync, though nobody leads it out for long.
        let mut follower = timed(&cx, &[("C", 10_000, 20_000), ("D", 1000, 20_000)]).await?;
        let sync = follower[1].sync_start(Vec::new()).await?;
        keep(&mut [&mut follower[0]], 2500).await?;
        let plan = cx.plan(&follower);
        follower[0]
            .sync("C syncs", "NONE bytes=asg-C", plan)
            .await?;
        follower[1]
            .synced(sync, "D is still there", "NONE bytes=asg-D")
            .await;
        follower[1].hb("D", "NONE").await?;
    });

    case!(book, [109], "who-beats-lives", |cx| {
        let mut ms = timed(&cx, &[("A", 1500, 20_000), ("B", 1500, 20_000)]).await?;
        cx.sync_all(&mut ms).await?;
        let [a, b] = &mut ms[..] else {
            unreachable!("two members")
        };
        let last = keep(&mut [a, b], 4000).await?;
        cx.note("beats for 4 s", last.join(","), "NONE,NONE");
    });

    case!(book, [281, 295], "consumer-session", |cx| {
        // group.consumer.session.timeout.ms=5001.
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let mut ms = cx.settled(&g, &["A"], &[&t]).await?;
        let mut b = cx.modern(&g, "B", &[&t]).with_instance("ib");
        b.join_out().await?;
        ms.push(b);
        cx.settle(&mut ms).await?;
        cx.note("both", cx.spread(&ms), "sizes=1,1 shared=0");
        ms[1].pause("B steps down", "NONE epoch=-2").await?;
        let since = Instant::now();
        while ms[0].size() < 2 && since.elapsed() < Duration::from_secs(12) {
            ms[0].own_out().await?;
            cx.sleep(100).await;
        }
        cx.note_with(
            "A has both when B's session is over",
            bucket(since.elapsed(), 3500, 8500),
            "in-time",
            Some(format!("{:?}", since.elapsed())),
        );
        ms[0].own("A", "NONE epoch=4").await?;
        ms[1].beat("B", "UNKNOWN_MEMBER_ID").await?;
    });

    case!(book, [296], "consumer-static-silent", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = [cx.modern(&cx.group(), "A", &[&t]).with_instance("ia")];
        ms[0].join("A joins", "NONE epoch=2").await?;
        let mut again = ms[0].restarted();
        again.join("at once", "UNRELEASED_INSTANCE_ID").await?;
        cx.list("list")
            .until(12_000, "g1=Empty/consumer/consumer")
            .await?;
        again
            .join("when its session is over", "NONE epoch=4 assign={t1:0}")
            .await?;
    });

    case!(book, [323], "classic-member-inside-doesnt-rejoin", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let mut ms = cx.settled(&g, &["M"], &[&t]).await?;
        let mut a = cx.member(&g, "A");
        a.rebalance = 1500;
        a.take_id().await?;
        a.join("A joins", "NONE gen=3").await?;
        let _ = a.sync_out(vec![]).await?;
        cx.settle(&mut ms).await?;
        let mut n = cx.modern(&g, "N", &[&t]).loose();
        n.join("N joins", "NONE epoch=4").await?;
        let since = Instant::now();
        a.hb("A is told", "REBALANCE_IN_PROGRESS").await?;
        hb_until(
            &mut a,
            since,
            (1000, 3000),
            "A doesn't join again",
            "UNKNOWN_MEMBER_ID",
        )
        .await?;
    });

    case!(book, [323], "classic-member-inside-doesnt-sync", |cx| {
        let (t, _) = cx.topic(2).await?;
        let ms = cx.settled(&cx.group(), &["M"], &[&t]).await?;
        let mut a = cx.member(&ms[0].group, "A");
        a.rebalance = 1500;
        a.take_id().await?;
        a.join("A joins", "NONE gen=3").await?;
        let since = Instant::now();
        hb_until(
            &mut a,
            since,
            (1000, 3000),
            "A doesn't sync",
            "UNKNOWN_MEMBER_ID",
        )
        .await?;
    });

    book.group("delay");
    book.profile = Profile::Delay;

    case!(book, [38, 41], "one-member", |cx| {
        let mut a = cx.member(&cx.group(), "A");
        a.take_id().await?;
        for (label, generation) in [("first", 1), ("after it was empty", 3)] {
            let (out, took) = a.join_start().await?.timed().await;
            let seen = a.absorb(&out);
            cx.note_with(
                label,
                format!("{seen} {}", bucket(took, 950, 1600)),
                &format!("NONE gen={generation} in-time"),
                Some(format!("{took:?}")),
            );
            a.leave_quietly().await?;
            a = a.restarted();
            a.take_id().await?;
        }
    });

    case!(book, [39], "a-second-member-extends-it-once", |cx| {
        let g = cx.group();
        let mut ms: Vec<_> = ["A", "B"].map(|n| cx.member(&g, n)).into();
        for m in &mut ms {
            m.take_id().await?;
        }
        let first = ms[0].join_start().await?;
        cx.sleep(400).await;
        let second = ms[1].join_start().await?;
        let (out, took) = first.timed().await;
        let seen = format!("{} {}", ms[0].absorb(&out), bucket(took, 1900, 2800));
        let spec = "NONE gen=1 leader=A members=[A:mA-range,B:mB-range] in-time";
        cx.note_with("A", seen, spec, Some(format!("{took:?}")));
        ms[1].joined(second, "B", "NONE gen=1 leader=A").await;
    });

    case!(book, [38], "not-when-members-are-there", |cx| {
        let mut a = cx.member(&cx.group(), "A");
        a.take_id().await?;
        a.join("A", "NONE gen=1").await?;
        a.sync("A syncs", "NONE", Vec::new()).await?;
        let (out, took) = a.join_start().await?.timed().await;
        let seen = format!("{} {}", a.absorb(&out), bucket(took, 0, 700));
        cx.note_with(
            "A again",
            seen,
            "NONE gen=2 in-time",
            Some(format!("{took:?}")),
        );
    });

    case!(book, [40], "rebalance-timeout-bounds-it", |cx| {
        let g = cx.group();
        let mut ms: Vec<_> = ["A", "B", "C"].map(|n| cx.member(&g, n)).into();
        for m in &mut ms {
            m.rebalance = 2000;
            m.take_id().await?;
        }
        let first = ms[0].join_start().await?;
        let second = ms[1].join_start().await?;
        cx.sleep(1400).await;
        let third = ms[2].join_start().await?;
        let (out, took) = first.timed().await;
        ms[0].absorb(&out);
        cx.note_with(
            "A",
            bucket(took, 1900, 2700),
            "in-time",
            Some(format!("{took:?}")),
        );
        let outs = [second.out().await, third.out().await];
        for (m, out) in ms[1..].iter_mut().zip(&outs) {
            m.absorb(out);
        }
        let generations: Vec<_> = ms.iter().map(|m| m.generation.to_string()).collect();
        cx.note("generations", generations.join(","), "1,1,1");
    });
}
