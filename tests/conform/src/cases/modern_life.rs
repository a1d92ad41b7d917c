//! ConsumerGroupHeartbeat: life cycle (6.14), static members and regex (6.15).

use crate::case;
use crate::case::Book;
use crate::modern::{Modern, Parts};

pub fn add(book: &mut Book) {
    book.group("consumer-protocol");

    case!(book, [269], "uniform-sizes", |cx| {
        let (t, _) = cx.topic(3).await?;
        for (n, spec) in [(2, "sizes=2,1"), (3, "sizes=1,1,1"), (4, "sizes=1,1,1,0")] {
            let ms = cx
                .settled(&cx.group(), &["A", "B", "C", "D"][..n], &[&t])
                .await?;
            cx.note(
                format!("{n} members"),
                cx.spread(&ms),
                &format!("{spec} shared=0"),
            );
            let epochs: Vec<_> = ms.iter().map(|m| m.epoch.to_string()).collect();
            cx.note(
                format!("{n} members' epochs"),
                epochs.join(","),
                &vec![(n + 1).to_string(); n].join(","),
            );
        }
    });

    case!(book, [271], "stickiness", |cx| {
        let (t, _) = cx.topic(6).await?;
        let g = cx.group();
        let mut ms = cx.settled(&g, &["A", "B"], &[&t]).await?;
        let before: Vec<Parts> = ms.iter().map(|m| m.assigned.clone()).collect();
        let mut c = cx.modern(&g, "C", &[&t]);
        c.join_out().await?;
        ms.push(c);
        cx.settle(&mut ms).await?;
        let kept: usize = before
            .iter()
            .zip(&ms)
            .map(|(b, m)| {
                b.iter()
                    .map(|(t, ps)| {
                        m.assigned
                            .get(t)
                            .map_or(0, |now| ps.intersection(now).count())
                    })
                    .sum::<usize>()
            })
            .sum();
        cx.note(
            "kept of six",
            format!("{kept} {}", cx.spread(&ms)),
            "4 sizes=2,2,2 shared=0",
        );
    });

    case!(book, [272], "subscription-changes", |cx| {
        let ((t, _), (u, _)) = (cx.topic(1).await?, cx.topic(1).await?);
        let mut ms = cx.settled(&cx.group(), &["A"], &[&t]).await?;
        let a = &mut ms[0];
        a.topics = Some(vec![u.clone()]);
        a.full("now t2", "").await?;
        a.until(3000, "has t2", "").await?;
        cx.settle(&mut ms).await?;
        ms[0]
            .full("in the end", "NONE epoch=3 assign={t2:0}")
            .await?;
        ms[0].topics = Some(vec![]);
        ms[0].full("now nothing", "").await?;
        cx.settle(&mut ms).await?;
        ms[0]
            .full("in the end nothing", "NONE epoch=4 assign={}")
            .await?;
    });

    case!(book, [275], "assignor-by-majority", |cx| {
        let (t, _) = cx.topic(3).await?;
        let g = cx.group();
        for (name, assignor) in [("A", "uniform"), ("B", "range"), ("C", "range")] {
            let mut m = cx.modern(&g, name, &[&t]).with_assignor(assignor).loose();
            m.join(&format!("{name} wants {assignor}"), "NONE").await?;
        }
        cx.cg_describe("describe", &[&g], false, "assignor=range epoch=4")
            .await?;
    });

    case!(book, [290], "never-two-owners", |cx| {
        // Members come and go while nobody has settled.
        let (t, _) = cx.topic(7).await?;
        let g = cx.group();
        let mut ms: Vec<Modern> = Vec::new();
        let mut shared = 0;
        for (round, name) in ["A", "B", "C", "D", "E", "F"].iter().enumerate() {
            let mut m = cx.modern(&g, name, &[&t]);
            m.join_out().await?;
            ms.push(m);
            for _ in 0..round {
                for m in &mut ms {
                    m.own_out().await?;
                }
                shared += usize::from(!cx.spread(&ms).ends_with("shared=0"));
            }
            if round == 3 {
                ms.remove(1).leave_quietly().await?;
            }
        }
        cx.settle(&mut ms).await?;
        cx.note(
            "in the end",
            format!("{} conflicts={shared}", cx.spread(&ms)),
            "sizes=2,2,1,1,1 shared=0 conflicts=0",
        );
    });

    book.group("consumer-static");

    case!(book, [299], "replacement-with-other-topics", |cx| {
        let ((t, _), (u, _)) = (cx.topic(1).await?, cx.topic(1).await?);
        let mut a = cx.modern(&cx.group(), "A", &[&t]).with_instance("ia");
        a.join("join", "NONE epoch=2 assign={t1:0}").await?;
        a.pause("step down", "NONE epoch=-2").await?;
        let mut again = a.restarted();
        again.topics = Some(vec![u.clone()]);
        again.join("replacement for t2", "").await?;
        let mut ms = vec![again];
        cx.settle(&mut ms).await?;
        ms[0]
            .full("in the end", "NONE epoch=3 assign={t2:0}")
            .await?;
    });

    book.group("consumer-regex");

    case!(book, [302], "regex-cleared", |cx| {
        let (_t, _) = cx.topic(1).await?;
        let mut a = cx.modern(&cx.group(), "A", &[]);
        a.regex = Some(format!("cf-{}-t1", cx.salt));
        a.join("join", "NONE epoch=1").await?;
        a.until(15_000, "has it", "NONE assign={t1:0}").await?;
        a.regex = Some(String::new());
        a.full("regex \"\"", "").await?;
        let mut ms = vec![a];
        cx.settle(&mut ms).await?;
        ms[0].full("in the end", "NONE assign={}").await?;
    });
}
