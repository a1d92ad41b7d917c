//! OffsetFetch (6.10) and OffsetDelete (6.11), in classic and simple groups.

use bytes::Bytes;

use crate::case;
use crate::case::Book;
use crate::offsets::part;

pub fn add(book: &mut Book) {
    book.group("offset-fetch");

    case!(book, [197], "several-groups", |cx| {
        let (t, _) = cx.topic(1).await?;
        let (g1, g2, g3) = (cx.group(), cx.group(), cx.group());
        cx.commit(&g1, &[part(&t, 0, 1)])
            .send("g1 commits", "t1-0=NONE")
            .await?;
        cx.commit(&g3, &[part(&t, 0, 3)])
            .send("g3 commits", "t1-0=NONE")
            .await?;
        cx.fetch(&g1, &[(&t, 0)])
            .and(&g2)
            .and(&g3)
            .send(
                "three groups",
                "g1=NONE t1-0=1,e-1,\"\" g2=NONE t1-0=-1,e-1,\"\" g3=NONE t1-0=3,e-1,\"\"",
            )
            .await?;
        cx.fetch_all(&g3)
            .and(&g2)
            .and(&g1)
            .send("all of each", "g1=NONE g2=NONE g3=NONE no-rows")
            .await?;
        cx.fetch(&g1, &[(&t, 0)])
            .and(&g1)
            .send("a group twice", "")
            .await?;
        let mut none = cx.fetch_all(&g1);
        none.groups.clear();
        none.send("no group", "no-groups").await?;
    });

    case!(book, [199], "classic-group-ignores-members", |cx| {
        let (t, _) = cx.topic(1).await?;
        let ms = cx.stable(&cx.group(), &["A"]).await?;
        let g = ms[0].group.clone();
        cx.commit(&g, &[part(&t, 0, 5)])
            .of(&ms[0])
            .send("commit", "t1-0=NONE")
            .await?;
        cx.fetch(&g, &[(&t, 0)])
            .as_member(Some("x"), 77)
            .send("bogus member", "top=NONE t1-0=5,e-1,\"\"")
            .await?;
        cx.fetch(&g, &[(&t, 0)])
            .as_member(Some(""), 0)
            .send("member \"\"", "top=NONE t1-0=5,e-1,\"\"")
            .await?;
        cx.fetch(&cx.group(), &[(&t, 0)])
            .as_member(Some("x"), 5)
            .send("absent group", "top=NONE t1-0=-1,e-1,\"\"")
            .await?;
    });

    case!(book, [194], "during-rebalances", |cx| {
        let (t, _) = cx.topic(1).await?;
        let g = cx.group();
        let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B")];
        cx.form(&mut ms).await?;
        cx.fetch(&g, &[(&t, 0)])
            .send("while completing", "top=NONE t1-0=-1,e-1,\"\"")
            .await?;
        cx.sync_all(&mut ms).await?;
        let join = ms[0].join_start().await?;
        ms[1].await_rebalance().await?;
        cx.fetch(&g, &[(&t, 0)])
            .stable()
            .send("while preparing", "top=NONE t1-0=-1,e-1,\"\"")
            .await?;
        ms[1].join("B joins", "NONE gen=3").await?;
        ms[0].joined(join, "A is released", "NONE gen=3").await;
    });

    case!(book, [194], "survives-the-members", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let g = ms[0].group.clone();
        cx.commit(&g, &[part(&t, 0, 5)])
            .of(&ms[0])
            .send("commit", "t1-0=NONE")
            .await?;
        ms[0].leave_quietly().await?;
        cx.fetch_all(&g)
            .send("after the last one left", "top=NONE t1-0=5,e-1,\"\"")
            .await?;
    });

    book.group("offset-delete");

    case!(book, [214], "stable-of-another-type", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.member(&cx.group(), "A");
        a.ptype = "connect".into();
        let mut ms = vec![a];
        cx.form(&mut ms).await?;
        let g = ms[0].group.clone();
        cx.delete_offsets(
            "while completing",
            &g,
            &[(&t, 0)],
            "top=NON_EMPTY_GROUP !t1-0=NONE",
        )
        .await?;
        cx.sync_all(&mut ms).await?;
        cx.delete_offsets("stable", &g, &[(&t, 0)], "top=NON_EMPTY_GROUP !t1-0=NONE")
            .await?;
        ms[0].leave_quietly().await?;
        cx.delete_offsets("empty", &g, &[(&t, 0)], "top=NONE t1-0=NONE")
            .await?;
    });

    case!(book, [215], "unparsable-metadata", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.member(&cx.group(), "A");
        a.protocols = vec![("range".into(), Bytes::from_static(b"x"))];
        let mut ms = vec![a];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        cx.delete_offsets(
            "any topic",
            &ms[0].group,
            &[(&t, 0)],
            "top=NONE t1-0=GROUP_SUBSCRIBED_TO_TOPIC",
        )
        .await?;
    });

    case!(book, [212], "emptied-consumers", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let g = ms[0].group.clone();
        cx.commit(&g, &[part(&t, 0, 1)])
            .of(&ms[0])
            .send("commit", "t1-0=NONE")
            .await?;
        ms[0].leave_quietly().await?;
        cx.delete_offsets("delete", &g, &[(&t, 0)], "top=NONE t1-0=NONE")
            .await?;
        cx.fetch_all(&g)
            .send("fetch all", "top=NONE no-rows")
            .await?;
    });

    case!(book, [215], "member-without-topics", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.member(&cx.group(), "A");
        a.protocols = vec![("range".into(), cx.metadata("none", &[]))];
        let mut ms = vec![a];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        cx.delete_offsets(
            "subscribed to nothing",
            &ms[0].group,
            &[(&t, 0)],
            "top=NONE t1-0=NONE",
        )
        .await?;
    });
}
