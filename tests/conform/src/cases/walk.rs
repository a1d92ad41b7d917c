//! Random walks: sequences of requests drawn from a seed, the same ones every time. There is no
//! expectation: they are for comparison with the reference.

use anyhow::Result;
use kafka_protocol::messages::{JoinGroupRequest, SyncGroupRequest};

use crate::case::Book;
use crate::cx::Cx;
use crate::dice::Dice;
use crate::member::Member;
use crate::modern::Modern;
use crate::offsets::part;
use crate::parked::Parked;
use crate::show::show_sync;

enum Wait {
    Join(Parked<JoinGroupRequest>),
    Sync(Parked<SyncGroupRequest>),
}

impl Wait {
    async fn settled(&self, ms: u64) -> bool {
        let limit = std::time::Duration::from_millis(ms);
        match self {
            Self::Join(p) => p.settled(limit).await,
            Self::Sync(p) => p.settled(limit).await,
        }
    }

    async fn answer(self, m: &mut Member) -> String {
        match self {
            Self::Join(p) => {
                let out = p.out().await;
                m.absorb(&out)
            }
            Self::Sync(p) => {
                let out = p.out().await;
                show_sync(&m.cx, &out, m.sv)
            }
        }
    }
}

/// Two members of a classic group. Each step is one request; then whatever was parked and has
/// been released.
async fn classic(cx: Cx, seed: u64, statics: bool) -> Result<()> {
    let mut dice = Dice::new(seed);
    let (t, _) = cx.topic(1).await?;
    let g = cx.group();
    let mut ms = vec![cx.member(&g, "A"), cx.member(&g, "B")];
    for m in &mut ms {
        m.session = 60_000;
        // What is parked stays so until released, or the end.
        m.limit = std::time::Duration::from_mins(1);
    }
    if statics {
        ms[0].instance = Some("ia".into());
        if seed.is_multiple_of(2) {
            ms[1].instance = Some("ib".into());
        }
    }
    let mut parked: Vec<(usize, String, Wait)> = Vec::new();
    for n in 0..24 {
        let who = dice.roll(2) as usize;
        let other = ms[1 - who].id.clone();
        let m = &mut ms[who];
        let name = m.name.clone();
        let (what, wait) = match dice.roll(16) {
            0..5 => ("join", Some(Wait::Join(m.join_start().await?))),
            5..8 => {
                let mut plan = vec![(m.id.clone(), bytes::Bytes::from(format!("asg{n}-{name}")))];
                if m.leader == m.id {
                    plan.push((other, bytes::Bytes::from(format!("asg{n}-other"))));
                }
                ("sync", Some(Wait::Sync(m.sync_start(plan).await?)))
            }
            8..10 => {
                m.hb(&format!("{n} {name} beats"), "").await?;
                ("", None)
            }
            10 => {
                cx.commit(&g, &[part(&t, 0, n)])
                    .of(m)
                    .send(&format!("{n} {name} commits"), "")
                    .await?;
                ("", None)
            }
            11 => {
                m.leave(&format!("{n} {name} leaves"), "").await?;
                ("", None)
            }
            12 => {
                m.id.clear();
                (
                    "joins without its id",
                    Some(Wait::Join(m.join_start().await?)),
                )
            }
            13 => {
                m.offer(&["range"], &format!("{n}"));
                (
                    "joins with new metadata",
                    Some(Wait::Join(m.join_start().await?)),
                )
            }
            14 => {
                m.hb_gen(
                    m.generation - 1,
                    &format!("{n} {name} beats in the past"),
                    "",
                )
                .await?;
                ("", None)
            }
            _ => {
                cx.list(&format!("{n} list")).send("").await?;
                ("", None)
            }
        };
        if let Some(wait) = wait {
            let label = format!("{n} {name} {what}");
            if wait.settled(cx.env.park.as_millis() as u64).await {
                let seen = wait.answer(&mut ms[who]).await;
                cx.note(label, seen, "");
            } else {
                cx.note(label.clone(), "parked", "");
                parked.push((who, label, wait));
            }
        }
        let mut still = Vec::new();
        for (who, label, wait) in parked {
            if wait.settled(60).await {
                let seen = wait.answer(&mut ms[who]).await;
                cx.note(format!("{n} releases: {label}"), seen, "");
            } else {
                still.push((who, label, wait));
            }
        }
        // Where a member has sent the same again, the older request will never be answered.
        for i in (0..still.len()).rev() {
            let (who, wait) = (still[i].0, std::mem::discriminant(&still[i].2));
            let newer = still[i + 1..]
                .iter()
                .any(|s| s.0 == who && std::mem::discriminant(&s.2) == wait);
            if newer {
                still.remove(i);
            }
        }
        parked = still;
    }
    let left: Vec<_> = parked
        .iter()
        .map(|(_, label, _)| label.replace(' ', "_"))
        .collect();
    cx.note("still parked", format!("[{}]", left.join(",")), "");
    cx.describe("describe", 5, &[&g], "").await?;
    cx.fetch(&g, &[(&t, 0)]).send("fetch", "").await
}

async fn dynamic(cx: Cx, seed: u64) -> Result<()> {
    classic(cx, seed, false).await
}

async fn statics(cx: Cx, seed: u64) -> Result<()> {
    classic(cx, seed, true).await
}

/// Two members of a consumer group, without regard for which has which partition.
async fn modern(cx: Cx, seed: u64) -> Result<()> {
    let mut dice = Dice::new(seed);
    let ((t, _), (u, _)) = (cx.topic(2).await?, cx.topic(2).await?);
    let g = cx.group();
    let mut ms: Vec<Modern> = ["A", "B"].map(|n| cx.modern(&g, n, &[&t]).loose()).into();
    if seed.is_multiple_of(2) {
        ms[0].instance = Some("ia".into());
    }
    for n in 0..30 {
        let who = dice.roll(2) as usize;
        let m = &mut ms[who];
        let name = m.name.clone();
        let label = |what: &str| format!("{n} {name} {what}");
        match dice.roll(14) {
            0..2 => m.join(&label("joins"), "").await?,
            2..4 => m.beat(&label("beats"), "").await?,
            4..8 => m.own(&label("acknowledges"), "").await?,
            8 => m.full(&label("says all"), "").await?,
            9 => m.leave(&label("leaves"), "").await?,
            10 => {
                let both = dice.roll(2) == 0;
                m.topics = Some(if both {
                    vec![t.clone(), u.clone()]
                } else {
                    vec![t.clone()]
                });
                m.full(&label("subscribes"), "").await?;
            }
            11 if m.instance.is_some() => {
                m.pause(&label("steps down"), "").await?;
                *m = m.restarted();
                m.join(&label("restarts"), "").await?;
            }
            11 | 12 => {
                m.commit(&[part(&t, 0, n)])
                    .send(&label("commits"), "")
                    .await?;
            }
            _ => cx.list(&format!("{n} list")).send("").await?,
        }
    }
    let sizes = cx.spread(&ms);
    cx.note("in the end", sizes, "");
    Ok(())
}

macro_rules! walks {
    ($book:expr, $run:ident, $($name:literal = $seed:literal),*) => {
        $($book.add(&[], $name, |cx| Box::pin($run(cx, $seed)));)*
    };
}

pub fn add(book: &mut Book) {
    book.group("walk");
    walks!(
        book,
        dynamic,
        "dynamic-1" = 1,
        "dynamic-2" = 2,
        "dynamic-3" = 3,
        "dynamic-4" = 4,
        "dynamic-5" = 5,
        "dynamic-6" = 6,
        "dynamic-7" = 7,
        "dynamic-8" = 8,
        "dynamic-9" = 9,
        "dynamic-10" = 10,
        "dynamic-11" = 11,
        "dynamic-12" = 12
    );
    walks!(
        book,
        statics,
        "static-1" = 21,
        "static-2" = 22,
        "static-3" = 23,
        "static-4" = 24,
        "static-5" = 25,
        "static-6" = 26,
        "static-7" = 27,
        "static-8" = 28,
        "static-9" = 29,
        "static-10" = 30,
        "static-11" = 31,
        "static-12" = 32
    );
    walks!(
        book,
        modern,
        "consumer-1" = 41,
        "consumer-2" = 42,
        "consumer-3" = 43,
        "consumer-4" = 44,
        "consumer-5" = 45,
        "consumer-6" = 46,
        "consumer-7" = 47,
        "consumer-8" = 48
    );
}
