//! ListGroups, DescribeGroups, DeleteGroups (6.12), in classic and simple groups.

use bytes::Buf;

use crate::case;
use crate::case::Book;
use crate::cx::err;
use crate::offsets::part;
use crate::raw::{Body, call, take_string};

pub fn add(book: &mut Book) {
    book.group("admin");

    case!(book, [226, 227], "list-filters", |cx| {
        let _stable = cx.stable(&cx.group(), &["A"]).await?;
        let mut emptied = cx.stable(&cx.group(), &["C"]).await?;
        emptied[0].leave_quietly().await?;
        for state in ["Stable", "stable", "STABLE", " Stable "] {
            cx.list(&format!("state '{state}'"))
                .states(&[state])
                .send("g1=Stable/classic/consumer g2=absent")
                .await?;
        }
        cx.list("state Foo")
            .states(&["Foo"])
            .send("top=NONE g1=absent g2=absent")
            .await?;
        cx.list("state \"\"").states(&[""]).send("").await?;
        cx.list("states Empty and Stable")
            .states(&["Empty", "Stable"])
            .send("g1=Stable/classic/consumer g2=Empty/classic/consumer")
            .await?;
        for t in ["classic", "Classic", "CLASSIC"] {
            cx.list(&format!("type {t}"))
                .types(&[t])
                .send("g1=Stable/classic/consumer g2=Empty/classic/consumer")
                .await?;
        }
        cx.list("type consumer")
            .types(&["consumer"])
            .send("g1=absent g2=absent")
            .await?;
        cx.list("type bogus")
            .types(&["bogus"])
            .send("top=NONE g1=absent g2=absent")
            .await?;
        cx.list("type ' classic'")
            .types(&[" classic"])
            .send("")
            .await?;
        cx.list("type classic, state Empty")
            .types(&["classic"])
            .states(&["Empty"])
            .send("g1=absent g2=Empty/classic/consumer")
            .await?;
        cx.list("type consumer, state Empty")
            .types(&["consumer"])
            .states(&["Empty"])
            .send("g1=absent g2=absent")
            .await?;
        cx.list("v4 state Empty")
            .v(4)
            .states(&["empty"])
            .send("g1=absent g2=Empty/consumer")
            .await?;
    });

    case!(book, [232, 233], "describe-through-the-states", |cx| {
        let g = cx.group();
        let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B")];
        cx.form(&mut ms).await?;
        cx.describe(
            "completing",
            5,
            &[&g],
            "g1=NONE/CompletingRebalance/consumer/\"\" \
             members=[A:cf-client:/127.0.0.1:empty:empty,\
             B:cf-client:/127.0.0.1:empty:empty]",
        )
        .await?;
        cx.sync_all(&mut ms).await?;
        cx.describe(
            "stable",
            5,
            &[&g],
            "g1=NONE/Stable/consumer/range \
             members=[A:cf-client:/127.0.0.1:mA-range:asg-A,\
             B:cf-client:/127.0.0.1:mB-range:asg-B] ops=-2147483648",
        )
        .await?;
        let join = ms[0].join_start().await?;
        ms[1].await_rebalance().await?;
        cx.describe(
            "preparing",
            5,
            &[&g],
            "g1=NONE/PreparingRebalance/consumer/\"\"",
        )
        .await?;
        ms[1].join("B joins", "NONE gen=3").await?;
        ms[0].joined(join, "A is released", "NONE gen=3").await;
        cx.describe(
            "completing anew",
            5,
            &[&g],
            "g1=NONE/CompletingRebalance/consumer/\"\"",
        )
        .await?;
        ms[0].leave_quietly().await?;
        ms[1].leave_quietly().await?;
        cx.describe("empty", 5, &[&g], "g1=NONE/Empty/consumer/\"\" members=[]")
            .await?;
    });

    case!(book, [236], "authorized-operations", |cx| {
        let ms = cx.stable(&cx.group(), &["A"]).await?;
        let g = ms[0].group.clone();
        cx.describe_ops("not asked for", 5, &[&g], false, "ops=-2147483648")
            .await?;
        cx.describe_ops("asked for", 5, &[&g], true, "ops=3400")
            .await?;
        cx.describe_ops("asked for, v3", 3, &[&g], true, "ops=3400")
            .await?;
        cx.describe_ops("asked for, absent group", 5, &[&cx.group()], true, "")
            .await?;
    });

    case!(book, [241], "delete-twice-in-one", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        cx.commit(&g, &[part(&t, 0, 1)])
            .send("commit", "t1-0=NONE")
            .await?;
        cx.delete_groups(
            "the same twice",
            &[&g, &g],
            "g1=NONE !g1=GROUP_ID_NOT_FOUND",
        )
        .await?;
    });

    case!(book, [244], "delete-simple", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        cx.commit(&g, &[part(&t, 0, 1)])
            .send("commit", "t1-0=NONE")
            .await?;
        cx.delete_groups("delete", &[&g], "g1=NONE").await?;
        cx.list("list").send("g1=absent").await?;
        cx.fetch_all(&g)
            .send("fetch all", "top=NONE no-rows")
            .await?;
    });

    case!(book, [239], "delete-with-a-pending-member", |cx| {
        let mut a = cx.member(&cx.group(), "A");
        a.take_id().await?;
        cx.delete_groups("delete", &[&a.group], "g1=NONE").await?;
        a.join("the pending id", "UNKNOWN_MEMBER_ID me=A").await?;
    });

    case!(book, [244], "group-ids-long-and-odd", |cx| {
        let long = "g".repeat(300);
        cx.call_it(&long, "long");
        let (t, _) = cx.topic(1).await?;
        cx.commit(&long, &[part(&t, 0, 1)])
            .send("commit for a long id", "t1-0=NONE")
            .await?;
        cx.delete_groups("delete the long one", &[&long], "long=NONE")
            .await?;
        let odd = format!("{} \u{e4}\u{1f600}\u{1}/", cx.group());
        cx.call_it(&odd, "odd");
        cx.commit(&odd, &[part(&t, 0, 2)])
            .send("commit for an odd id", "t1-0=NONE")
            .await?;
        cx.fetch(&odd, &[(&t, 0)])
            .send("fetch for an odd id", "t1-0=2,e-1,\"\"")
            .await?;
        cx.delete_groups("delete the odd one", &[&odd], "odd=NONE")
            .await?;
    });

    case!(book, [383], "delete-version-3", |cx| {
        let ms = cx.stable(&cx.group(), &["A"]).await?;
        let (t, _) = cx.topic(1).await?;
        let (absent, simple) = (cx.group(), cx.group());
        cx.commit(&simple, &[part(&t, 0, 1)])
            .send("simple group", "t1-0=NONE")
            .await?;
        for (label, group, spec) in [
            (
                "with a member",
                &ms[0].group,
                "NON_EMPTY_GROUP message=null",
            ),
            ("absent", &absent, "GROUP_ID_NOT_FOUND message=null"),
            ("empty", &simple, "NONE message=null"),
        ] {
            let body = Body::default().raw(&[2]).string(group).raw(&[0]);
            let seen = match call(&cx, 42, 3, body).await? {
                Err(why) => why,
                Ok(mut b) if b.remaining() > 8 => {
                    b.advance(5);
                    let id = take_string(&mut b)?;
                    let code = b.get_i16();
                    format!(
                        "{} {} message={}",
                        cx.show(&id),
                        err(code),
                        take_string(&mut b)?
                    )
                }
                Ok(b) => format!("short#{}", b.remaining()),
            };
            cx.note(label, seen, spec);
        }
    });

    case!(book, [242, 245], "delete-a-mixture", |cx| {
        let (t, _) = cx.topic(1).await?;
        let ms = cx.stable(&cx.group(), &["A"]).await?;
        let mut gone = cx.stable(&cx.group(), &["A"]).await?;
        let g = gone[0].group.clone();
        cx.commit(&g, &[part(&t, 0, 1)])
            .of(&gone[0])
            .send("commit", "t1-0=NONE")
            .await?;
        gone[0].leave_quietly().await?;
        let absent = cx.group();
        let groups: [&str; 4] = [&absent, &ms[0].group, &g, ""];
        for v in 0..=2 {
            let spec = "g1=NON_EMPTY_GROUP g3=GROUP_ID_NOT_FOUND";
            cx.delete_groups_v(&format!("delete v{v}"), v, &groups, spec)
                .await?;
        }
        cx.fetch_all(&g)
            .send("its offsets", "top=NONE no-rows")
            .await?;
        let late = &mut gone[0];
        for v in [2, 8, 9] {
            let commit = cx.commit(&g, &[part(&t, 0, 2)]).of(late).v(v);
            commit.send(&format!("commit v{v}"), "").await?;
        }
        late.hb("heartbeat", "UNKNOWN_MEMBER_ID").await?;
        late.sync("sync", "UNKNOWN_MEMBER_ID", Vec::new()).await?;
        late.leave("leave", "top=NONE A=UNKNOWN_MEMBER_ID").await?;
        late.join("join", "UNKNOWN_MEMBER_ID").await?;
        let mut again = late.restarted();
        again.take_id().await?;
        again
            .join("the generations begin again", "NONE gen=1")
            .await?;
    });

    case!(book, [211, 217, 235, 193], "ids-that-are-odd", |cx| {
        let (t, _) = cx.topic(1).await?;
        let absent = cx.group();
        for (label, group) in [("absent", absent.as_str()), ("empty", "")] {
            let parts = [(&*t, 0)];
            cx.delete_offsets(&format!("{label}: delete offsets"), group, &parts, "")
                .await?;
            for v in [0, 5, 6] {
                cx.describe(&format!("{label}: describe v{v}"), v, &[group], "")
                    .await?;
            }
            for v in [1, 2, 7, 9] {
                let label = format!("{label}: fetch v{v}");
                cx.fetch(group, &[(&t, 0), (&t, 9)])
                    .v(v)
                    .send(&label, "")
                    .await?;
            }
            for v in [2, 7, 9] {
                cx.fetch_all(group)
                    .v(v)
                    .send(&format!("{label}: fetch all v{v}"), "")
                    .await?;
            }
        }
        let simple = cx.group();
        cx.commit(&simple, &[part(&t, 0, 1)])
            .send("commit", "t1-0=NONE")
            .await?;
        let parts = [(&*t, 0), (&*t, 0), (&*t, 5)];
        cx.delete_offsets("delete twice in one", &simple, &parts, "")
            .await?;
        cx.delete_offsets("delete what is gone", &simple, &[(&t, 0)], "top=NONE")
            .await?;
        cx.delete_offsets("delete nothing", &simple, &[], "")
            .await?;
    });
}
