//! Cases with settings of their own: small groups (group.max.size=3,
//! group.consumer.max.size=2) and quick expiry of offsets.

use crate::case;
use crate::case::{Book, Profile};
use crate::offsets::part;

pub fn add(book: &mut Book) {
    book.group("small-group");
    book.profile = Profile::SmallGroup;

    case!(book, [64, 65], "dynamic-joins", |cx| {
        let g = cx.group();
        let mut ms: Vec<_> = ["A", "B", "C", "D"]
            .iter()
            .map(|n| cx.member(&g, n))
            .collect();
        for m in &mut ms {
            let name = m.name.clone();
            m.join(&format!("{name} takes an id"), "MEMBER_ID_REQUIRED")
                .await?;
        }
        let mut d = ms.pop().expect("four");
        ms[0]
            .join(
                "A: the others don't hold up the first generation",
                "NONE gen=1 leader=A members=[A:mA-range]",
            )
            .await?;
        let join_b = ms[1].join_start().await?;
        ms[0].await_rebalance().await?;
        let join_c = ms[2].join_start().await?;
        let mut join_a = ms[0].join_start().await?;
        join_a.check(&cx, "A waits for D", "parked").await;
        d.join(
            "D joins: three are waiting already",
            "GROUP_MAX_SIZE_REACHED me=\"\"",
        )
        .await?;
        join_a.check(&cx, "A waits still", "parked").await;
        let mut e = cx.member(&g, "E");
        e.join("a fifth's first step", "GROUP_MAX_SIZE_REACHED")
            .await?;
        ms[0] = ms[0].twin();
        ms[0]
            .join(
                "A sends its join again",
                "NONE gen=2 leader=A members=[A:mA-range,B:mB-range,C:mC-range]",
            )
            .await?;
        join_a.abandon();
        ms[1].joined(join_b, "B is released", "NONE gen=2").await;
        ms[2].joined(join_c, "C is released", "NONE gen=2").await;
        d.join(
            "D once more, while completing",
            "GROUP_MAX_SIZE_REACHED me=\"\"",
        )
        .await?;
        cx.sync_all(&mut ms).await?;
        e.join("a fifth, in stable", "GROUP_MAX_SIZE_REACHED")
            .await?;
    });

    case!(book, [65, 68], "members-of-a-full-group", |cx| {
        let g = cx.group();
        let mut ms: Vec<_> = ["A", "B", "C"]
            .iter()
            .map(|n| cx.static_member(&g, n, &format!("i{n}")))
            .collect();
        cx.form(&mut ms).await?;
        for m in &mut ms {
            let label = format!("{} joins again, completing", m.name);
            m.join(&label, "NONE gen=3").await?;
        }
        cx.sync_all(&mut ms).await?;
        ms[1]
            .join("a follower joins again, stable", "NONE gen=3")
            .await?;
        let full = "GROUP_MAX_SIZE_REACHED me=\"\"";
        ms[1].restarted().join("an instance restarts", full).await?;
        cx.static_member(&g, "D", "iD")
            .join("a new instance", full)
            .await?;
        for v in [0, 3, 4] {
            let mut d = cx.member(&g, "D");
            d.jv = v;
            d.join(&format!("a new member v{v}"), full).await?;
        }
        ms[2].leave_quietly().await?;
        let mut d = cx.member(&g, "D");
        d.join("a new member when one has left", "MEMBER_ID_REQUIRED")
            .await?;
        ms[0].hb("A is unaffected", "REBALANCE_IN_PROGRESS").await?;
    });

    case!(book, [283], "consumer-group", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let mut ms = cx.settled(&g, &["A", "B"], &[&t]).await?;
        let mut c = cx.modern(&g, "C", &[&t]);
        c.join("a third", "GROUP_MAX_SIZE_REACHED message=yes")
            .await?;
        ms[0].beat("A is unaffected", "NONE epoch=3").await?;
        let mut d = cx.member(&g, "D");
        d.join("a classic one", "GROUP_MAX_SIZE_REACHED me=\"\"")
            .await?;
    });

    case!(book, [384], "consumer-group-static-restart", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let mut ms: Vec<_> = ["A", "B"]
            .iter()
            .map(|n| cx.modern(&g, n, &[&t]).with_instance(&format!("i{n}")))
            .collect();
        for m in &mut ms {
            m.join_out().await?;
        }
        cx.settle(&mut ms).await?;
        ms[1]
            .restarted()
            .join("B's instance is in use", "UNRELEASED_INSTANCE_ID")
            .await?;
        ms[1].pause("B steps down", "NONE epoch=-2").await?;
        let mut c = cx.modern(&g, "C", &[&t]).with_instance("iC");
        c.join("a third", "GROUP_MAX_SIZE_REACHED").await?;
        ms[1]
            .restarted()
            .loose()
            .join("B comes back", "NONE epoch=3 me=B'' assign=some")
            .await?;
    });

    case!(book, [317], "too-large-to-upgrade", |cx| {
        let (t, _) = cx.topic(2).await?;
        let mut ms = cx.stable(&cx.group(), &["A", "B", "C"]).await?;
        let mut m = cx.modern(&ms[0].group, "M", &[&t]);
        m.join("heartbeat into three", "GROUP_ID_NOT_FOUND").await?;
        ms[0].hb("no rebalance", "NONE").await?;
    });

    book.group("expiry");
    book.profile = Profile::Expiry;

    case!(book, [179], "retention-in-the-request", |cx| {
        let (t, _) = cx.topic(2).await?;
        for v in [2, 4, 5] {
            if !cx.offers(8, v) {
                continue;
            }
            let g = cx.group();
            let mut commit = cx.commit(&g, &[part(&t, 0, 1)]).v(v);
            if v <= 4 {
                commit = commit.retention(500);
            }
            commit.send(&format!("v{v} commit"), "t1-0=NONE").await?;
            cx.sleep(2500).await;
            let spec = if v <= 4 {
                "t1-0=-1,e-1,\"\""
            } else {
                "t1-0=1,e-1,\"\""
            };
            cx.fetch(&g, &[(&t, 0)])
                .send(&format!("v{v} fetch"), spec)
                .await?;
        }
        cx.list("list")
            .send("g1=absent g2=absent g3=Empty/classic/\"\"")
            .await?;
    });

    case!(book, [344, 345, 346], "empty-groups", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut bare = cx.stable(&cx.group(), &["A"]).await?;
        let mut kept = cx.stable(&cx.group(), &["A"]).await?;
        let g = kept[0].group.clone();
        cx.commit(&g, &[part(&t, 0, 1)])
            .of(&kept[0])
            .send("commit", "t1-0=NONE")
            .await?;
        let mut alive = cx.stable(&cx.group(), &["A"]).await?;
        bare[0].leave_quietly().await?;
        kept[0].leave_quietly().await?;
        let mut pending = cx.member(&cx.group(), "P");
        pending.take_id().await?;
        let simple = cx.group();
        cx.commit(&simple, &[part(&t, 0, 1)])
            .send("commit simple", "t1-0=NONE")
            .await?;
        let spec = "g1=absent g2=Empty/classic/consumer g3=Stable/classic/consumer g4=absent";
        cx.list("only those without offsets go")
            .until(5000, spec)
            .await?;
        pending
            .join("the pending member's id", "UNKNOWN_MEMBER_ID")
            .await?;
        bare[0]
            .join("a former member's id", "UNKNOWN_MEMBER_ID")
            .await?;
        alive[0].hb("a member elsewhere", "NONE").await?;
        cx.delete_offsets("its offset is deleted", &g, &[(&t, 0)], "top=NONE")
            .await?;
        cx.delete_offsets("of the simple one too", &simple, &[(&t, 0)], "top=NONE")
            .await?;
        cx.list("then they go")
            .until(5000, "g2=absent g5=absent")
            .await?;
        cx.fetch_all(&g)
            .send("no offsets", "top=NONE no-rows")
            .await?;
    });

    case!(book, [179], "retention-counts-from-the-commit", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let parts = [part(&t, 0, 1)];
        cx.commit(&g, &parts)
            .v(3)
            .retention(700)
            .send("short", "t1-0=NONE")
            .await?;
        let parts = [part(&t, 1, 1)];
        cx.commit(&g, &parts)
            .v(4)
            .retention(3_600_000)
            .send("long", "t1-1=NONE")
            .await?;
        cx.sleep(2500).await;
        cx.fetch_all(&g)
            .send("the long one stays", "t1-1=1,e-1,\"\"")
            .await?;
        cx.list("the group too")
            .send("g1=Empty/classic/\"\"")
            .await?;
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let commit = cx
            .commit(&ms[0].group, &[part(&t, 0, 1)])
            .of(&ms[0])
            .v(2)
            .retention(500);
        commit.send("of a member", "t1-0=NONE").await?;
        cx.sleep(2500).await;
        cx.fetch_all(&ms[0].group)
            .send("while it is stable", "")
            .await?;
        ms[0].hb("the member", "NONE").await?;
    });

    book.group("no-migration");
    book.profile = Profile::NoMigration;

    case!(book, [310], "no-upgrade", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut m = cx.modern(&ms[0].group, "M", &[&t]);
        m.join(
            "heartbeat into a classic group",
            "GROUP_ID_NOT_FOUND message=yes",
        )
        .await?;
        ms[0].hb("A is unaffected", "NONE").await?;
        ms[0].leave_quietly().await?;
        m.join("when it is empty", "NONE epoch=2").await?;
    });

    book.group("classic-only");
    book.profile = Profile::ClassicOnly;

    case!(book, [247], "consumer-protocol-disabled", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut m = cx.modern(&cx.group(), "M", &[&t]);
        m.join("heartbeat", "UNSUPPORTED_VERSION message=no")
            .await?;
        m.beat_at(-9, "invalid heartbeat", "UNSUPPORTED_VERSION")
            .await?;
        cx.cg_describe("describe", &[&m.group], true, "g1=UNSUPPORTED_VERSION")
            .await?;
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        ms[0].hb("classic groups work", "NONE").await?;
    });
}
