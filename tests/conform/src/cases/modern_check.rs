//! ConsumerGroupHeartbeat: validation (6.13), offsets (6.9, 6.10), describe (6.15).

use crate::case;
use crate::case::Book;
use crate::cx::text;
use crate::offsets::part;

pub fn add(book: &mut Book) {
    book.group("consumer-protocol");

    case!(book, [248], "blank-strings", |cx| {
        let (t, _) = cx.topic(1).await?;
        for group in ["", "  "] {
            let mut a = cx.modern(group, "A", &[&t]);
            a.join(
                &format!("group '{group}'"),
                "INVALID_REQUEST epoch=0 me=null hb=0 assign=null message=yes",
            )
            .await?;
        }
        let g = cx.group();
        for blank in ["", " "] {
            let mut a = cx.modern(&g, "A", &[&t]).with_instance(blank);
            a.join(&format!("instance '{blank}'"), "INVALID_REQUEST")
                .await?;
            let mut a = cx.modern(&g, "A", &[&t]);
            a.rack = Some(blank.into());
            a.join(&format!("rack '{blank}'"), "INVALID_REQUEST")
                .await?;
            let mut a = cx.modern(&g, "A", &[&t]);
            a.id = blank.into();
            a.join(&format!("member '{blank}' epoch 0"), "INVALID_REQUEST")
                .await?;
        }
        cx.list("list").send("g1=absent").await?;
    });

    case!(book, [256], "assignor", |cx| {
        let (t, _) = cx.topic(1).await?;
        for name in ["foo", "", "UNIFORM", "Range"] {
            let mut a = cx.modern(&cx.group(), "A", &[&t]).with_assignor(name);
            a.join(
                &format!("assignor '{name}'"),
                if name == "foo" {
                    "UNSUPPORTED_ASSIGNOR message=yes"
                } else {
                    ""
                },
            )
            .await?;
        }
        for name in ["uniform", "range"] {
            let mut a = cx.modern(&cx.group(), "A", &[&t]).with_assignor(name);
            a.join(&format!("assignor '{name}'"), "NONE epoch=2 assign={t1:0}")
                .await?;
        }
    });

    case!(book, [257], "version-0", |cx| {
        cx.need::<crate::modern::Beat>(0)?;
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.modern(&cx.group(), "A", &[&t]);
        (a.v, a.id) = (0, String::new());
        a.join("member \"\" in v0", "NONE epoch=2 me=A' assign={t1:0}")
            .await?;
        cx.note("length of the id", a.id.len().to_string(), "");
        a.beat("heartbeat", "NONE epoch=2 assign=null").await?;
        let mut b = cx.modern(&cx.group(), "B", &[&t]);
        b.v = 0;
        b.join("own member id in v0", "NONE epoch=2 me=B").await?;
    });

    case!(book, [262], "absent-or-unknown", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.modern(&cx.group(), "A", &[&t]);
        a.beat_at(
            5,
            "epoch 5 in an absent group",
            "GROUP_ID_NOT_FOUND epoch=0 me=null hb=0 assign=null message=yes",
        )
        .await?;
        a.beat_at(-1, "leave of an absent group", "GROUP_ID_NOT_FOUND")
            .await?;
        a.join("join", "NONE epoch=2").await?;
        let mut b = cx.modern(&a.group, "B", &[&t]);
        b.beat_at(5, "unknown member, epoch 5", "UNKNOWN_MEMBER_ID")
            .await?;
        b.beat_at(-1, "unknown member leaves", "UNKNOWN_MEMBER_ID")
            .await?;
        a.beat("A is unaffected", "NONE epoch=2 assign=null")
            .await?;
    });

    case!(book, [187], "commits-when-empty", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.settled(&cx.group(), &["A"], &[&t]).await?;
        ms[0].leave_quietly().await?;
        let g = ms[0].group.clone();
        for v in [2, 8, 9] {
            if cx.offers(8, v) {
                cx.commit(&g, &[part(&t, 0, 3)])
                    .v(v)
                    .send(&format!("v{v} epoch -1"), "t1-0=NONE")
                    .await?;
            }
        }
        cx.commit(&g, &[part(&t, 0, 4)])
            .as_member(&ms[0].id, 2)
            .send("the old member", "t1-0=UNKNOWN_MEMBER_ID")
            .await?;
        cx.fetch(&g, &[(&t, 0)])
            .send("fetch", "top=NONE t1-0=3,e-1,\"\"")
            .await?;
        cx.delete_offsets("delete", &g, &[(&t, 0)], "top=NONE t1-0=NONE")
            .await?;
    });

    case!(book, [218], "offset-delete", |cx| {
        let (t, _) = cx.topic(1).await?;
        let (u, _) = cx.topic(1).await?;
        let ms = cx.settled(&cx.group(), &["A"], &[&t]).await?;
        ms[0]
            .commit(&[part(&t, 0, 5), part(&u, 0, 6)])
            .send("commit", "t1-0=NONE t2-0=NONE")
            .await?;
        cx.delete_offsets(
            "both",
            &ms[0].group,
            &[(&t, 0), (&u, 0)],
            "top=NONE t1-0=GROUP_SUBSCRIBED_TO_TOPIC t2-0=NONE",
        )
        .await?;
        cx.fetch_all(&ms[0].group)
            .send("fetch all", "top=NONE t1-0=5,e-1,\"\"")
            .await?;
    });

    case!(book, [287], "group-configs", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        let (hb, session) = (
            "consumer.heartbeat.interval.ms",
            "consumer.session.timeout.ms",
        );
        cx.group_config(
            "not below the session timeout",
            &g,
            &[(hb, Some("10000")), (session, Some("10000"))],
            "INVALID_CONFIG",
        )
        .await?;
        cx.group_config(
            "of a group that isn't there",
            &g,
            &[(hb, Some("10000")), (session, Some("30000"))],
            "NONE",
        )
        .await?;
        // Coordinators learn of it a little after the answer.
        cx.sleep(1000).await;
        let mut a = cx.modern(&g, "A", &[&t]);
        a.join("join", "NONE hb=10000").await?;
        cx.group_config("9000", &g, &[(hb, Some("9000"))], "NONE")
            .await?;
        a.until(3000, "next heartbeat", "NONE hb=9000").await?;
        cx.group_config(
            "below the minimum",
            &g,
            &[(hb, Some("1"))],
            "INVALID_CONFIG",
        )
        .await?;
        cx.group_config(
            "above the maximum",
            &g,
            &[(hb, Some("99999999"))],
            "INVALID_CONFIG",
        )
        .await?;
        cx.group_config("no number", &g, &[(hb, Some("soon"))], "INVALID_CONFIG")
            .await?;
        cx.group_config(
            "unknown key",
            &g,
            &[("consumer.foo", Some("1"))],
            "INVALID_CONFIG",
        )
        .await?;
        cx.group_config("group \"\"", "", &[(hb, Some("10000"))], "")
            .await?;
        cx.group_config("deleted", &g, &[(hb, None), (session, None)], "NONE")
            .await?;
        a.until(3000, "the default again", "NONE hb=5000").await?;
    });

    case!(book, [289], "same-id-in-two-groups", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.modern(&cx.group(), "A", &[&t]);
        let mut b = cx.modern(&cx.group(), "B", &[&t]);
        b.id = a.id.clone();
        a.join("in g1", "NONE epoch=2 assign={t1:0}").await?;
        b.join("in g2", "NONE epoch=2 assign={t1:0}").await?;
        a.leave("leaves g1", "NONE epoch=-1").await?;
        b.beat("is still in g2", "NONE epoch=2 assign=null").await?;
    });

    case!(book, [284], "member-id-that-is-no-uuid", |cx| {
        let (t, _) = cx.topic(1).await?;
        for id in ["plain", " padded ", &*"m".repeat(300)] {
            let mut a = cx.modern(&cx.group(), "A", &[&t]);
            a.id = id.into();
            cx.call_it(id, "A");
            a.join(&format!("id of {} characters", id.len()), "NONE epoch=2")
                .await?;
            let request = a.beat_request().with_member_id(text(id));
            a.send(request, "heartbeat", "NONE epoch=2").await?;
        }
    });
}
