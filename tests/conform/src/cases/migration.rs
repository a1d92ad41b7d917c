//! Migration between the protocols (6.16), with the policy "bidirectional".

use anyhow::Result;
use bytes::Bytes;

use crate::blobs::{assignment, assignment_text, subscription};
use crate::case;
use crate::case::Book;
use crate::cx::{Cx, err};
use crate::member::Member;
use crate::offsets::part;

/// A Stable classic group whose only member owns both partitions of t1.
async fn owner(cx: &Cx, t: &str) -> Result<Member> {
    let mut ms = vec![cx.member(&cx.group(), "A")];
    cx.form(&mut ms).await?;
    let plan = vec![(ms[0].id.clone(), assignment(&[(t, &[0, 1])]))];
    ms[0]
        .sync("A owns both", "NONE bytes=v1{t1:0,1}", plan)
        .await?;
    Ok(ms.remove(0))
}

/// Syncs and shows how many partitions came.
async fn sync_count(m: &mut Member, label: &str, spec: &str) -> Result<()> {
    let out = m.sync_out(vec![]).await?;
    let cx = m.cx.clone();
    let seen = out.show(|r| {
        let listed = assignment_text(&cx, &r.assignment);
        let count = listed.map_or_else(
            || {
                if r.assignment.is_empty() {
                    "empty".into()
                } else {
                    "garbage".into()
                }
            },
            |s| {
                if s.contains(':') {
                    (s.matches(',').count() + 1).to_string()
                } else {
                    "0".into()
                }
            },
        );
        format!("{} partitions={count}", err(r.error_code))
    });
    m.cx.note(label, seen, spec);
    Ok(())
}

fn owning(m: &mut Member, t: &str, owned: &[i32]) {
    let bytes: Bytes = subscription(&[t], "coop", &[(t, owned)]);
    m.protocols = vec![("range".into(), bytes)];
}

pub fn add(book: &mut Book) {
    book.group("migration");

    case!(book, [307, 308], "empty-classic-to-consumer", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut ms = cx.stable(&cx.group(), &["A"]).await?;
        let (g1, g2) = (ms[0].group.clone(), cx.group());
        cx.commit(&g1, &[part(&t, 0, 5)])
            .of(&ms[0])
            .send("commit", "t1-0=NONE")
            .await?;
        ms[0].leave_quietly().await?;
        cx.commit(&g2, &[part(&t, 0, 6)])
            .send("simple group", "t1-0=NONE")
            .await?;
        for (g, n, offset) in [(&g1, 1, 5), (&g2, 2, 6)] {
            let mut m = cx.modern(g, "M", &[&t]);
            m.beat_at(1, &format!("g{n} epoch 1"), "GROUP_ID_NOT_FOUND")
                .await?;
            m.join(&format!("g{n} epoch 0"), "NONE epoch=2 assign={t1:0}")
                .await?;
            cx.fetch(g, &[(&t, 0)])
                .send(
                    &format!("g{n} offsets"),
                    &format!("top=NONE t1-0={offset},e-1,\"\""),
                )
                .await?;
        }
        cx.list("list")
            .send("g1=Stable/consumer/consumer g2=Stable/consumer/consumer")
            .await?;
    });

    case!(book, [314], "upgrade-cooperative", |cx| {
        let (t, _) = cx.topic(2).await?;
        let mut a = owner(&cx, &t).await?;
        let mut b = cx.modern(&a.group, "B", &[&t]).loose();
        b.join("B joins by heartbeat", "NONE epoch=2 assign={}")
            .await?;
        a.hb("A is told", "REBALANCE_IN_PROGRESS").await?;
        owning(&mut a, &t, &[0, 1]);
        a.join("A joins, owning both", "NONE gen=1 leader=\"\" members=[]")
            .await?;
        let out = a.sync_out(vec![]).await?;
        let kept = out
            .as_ref()
            .and_then(|r| assignment_text(&cx, &r.assignment))
            .unwrap_or_default();
        cx.note("A syncs", out.show(|r| err(r.error_code)), "NONE");
        let left: Vec<i32> = (0..2)
            .filter(|p| kept.contains(&format!(":{p}}}")))
            .collect();
        cx.note("A keeps", left.len().to_string(), "1");
        b.beat("B must wait", "NONE epoch=2 assign=null").await?;
        a.hb("A is told to join again", "REBALANCE_IN_PROGRESS")
            .await?;
        owning(&mut a, &t, &left);
        a.join("A joins, owning one", "NONE gen=2").await?;
        sync_count(&mut a, "A syncs", "NONE partitions=1").await?;
        b.until(3000, "B is given the other", "NONE epoch=2 assign=some")
            .await?;
        a.hb("A is left alone", "NONE").await?;
    });

    case!(book, [316], "other-types-stay", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.member(&cx.group(), "A");
        a.ptype = "connect".into();
        let mut ms = vec![a];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let mut b = cx.modern(&ms[0].group, "B", &[&t]);
        b.join(
            "heartbeat into type connect",
            "GROUP_ID_NOT_FOUND message=yes",
        )
        .await?;
        ms[0].hb("A is unaffected", "NONE").await?;
    });

    case!(book, [311], "metadata-that-cant-be-read", |cx| {
        let (t, _) = cx.topic(1).await?;
        let mut a = cx.member(&cx.group(), "A");
        a.protocols = vec![("range".into(), Bytes::from_static(b"x"))];
        let mut ms = vec![a];
        cx.form(&mut ms).await?;
        cx.sync_all(&mut ms).await?;
        let mut b = cx.modern(&ms[0].group, "B", &[&t]);
        b.join("heartbeat into it", "GROUP_ID_NOT_FOUND").await?;
        ms[0].hb("A is unaffected", "NONE").await?;
    });

    case!(
        book,
        [325],
        "downgrade-when-the-last-consumer-leaves",
        |cx| {
            let (t, _) = cx.topic(2).await?;
            let mut a = owner(&cx, &t).await?;
            let mut b = cx.modern(&a.group, "B", &[&t]).loose();
            b.join("B joins by heartbeat", "NONE epoch=2 assign={}")
                .await?;
            a.join("A joins", "NONE gen=2").await?;
            sync_count(&mut a, "A syncs", "NONE partitions=1").await?;
            b.until(3000, "B is given its share", "NONE epoch=2 assign=some")
                .await?;
            b.leave("B leaves", "NONE epoch=-1").await?;
            cx.list("list")
                .send("g1=PreparingRebalance/classic/consumer")
                .await?;
            a.hb("A is told", "REBALANCE_IN_PROGRESS").await?;
            b.beat_at(2, "B beats", "GROUP_ID_NOT_FOUND").await?;
            a.join("A joins", "NONE gen=3 leader=A members=[A:mA-range]")
                .await?;
            let plan = vec![(a.id.clone(), assignment(&[(&t, &[0, 1])]))];
            a.sync("A syncs", "NONE bytes=v1{t1:0,1}", plan).await?;
            let mut c = b.restarted().loose();
            c.join("upgraded again", "NONE epoch=4 assign={}").await?;
        }
    );

    case!(book, [328], "static-consumer-replaced-by-classic", |cx| {
        let (t, _) = cx.topic(2).await?;
        let g = cx.group();
        let mut m = cx.modern(&g, "M", &[&t]).with_instance("im");
        m.join("M joins", "NONE epoch=2 assign={t1:0,1}").await?;
        let mut a = cx.static_member(&g, "A", "im");
        a.join("A joins with its instance", "NONE me=A").await?;
        cx.list("list").send("g1=Stable/classic/consumer").await?;
        sync_count(&mut a, "A syncs", "NONE partitions=2").await?;
        a.hb("A beats", "NONE").await?;
        m.beat("M beats", "GROUP_ID_NOT_FOUND").await?;
    });
}
