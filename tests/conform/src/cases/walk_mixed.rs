//! Random walks of a classic group's members through all of its life: all versions mixed,
//! static and dynamic members, commits, administrators, requests that are wrong, and now and then
//! a rebalance carried through, so that walks don't end in a group that waits for a ghost.
//!
//! Kafka's choice of the next leader among several members is not part of the contract: in walks
//! of more than two the first member, who leads, never goes.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use kafka_protocol::messages::{JoinGroupRequest, SyncGroupRequest};

use crate::case::{Book, Profile};
use crate::cx::Cx;
use crate::dice::Dice;
use crate::member::Member;
use crate::offsets::part;
use crate::parked::Parked;
use crate::show::show_sync;

enum Wait {
    Join(Parked<JoinGroupRequest>),
    Sync(Parked<SyncGroupRequest>),
}

/// A request that was not answered at once.
struct Waiting {
    who: usize,
    label: String,
    /// The version asked in, which says what the answer shows.
    v: i16,
    wait: Wait,
}

struct Walk {
    cx: Cx,
    dice: Dice,
    topic: String,
    group: String,
    ms: Vec<Member>,
    /// Which of them are static.
    statics: Vec<bool>,
    waiting: Vec<Waiting>,
    /// Member ids that their owners gave up: (owner, id).
    ghosts: Vec<(usize, String)>,
    /// How each one's last join was answered.
    heard: Vec<String>,
    step: usize,
}

impl Walk {
    /// A walk of so many members; which of them are static depends on the seed.
    async fn new(cx: Cx, seed: u64, size: usize) -> Result<Self> {
        let (topic, _) = cx.topic(1).await?;
        let group = cx.group();
        let names = &["A", "B", "C", "D", "E"][..size];
        let statics = match seed % 3 {
            0 => vec![false; size],
            1 => (0..size).map(|who| who % 2 == 0).collect(),
            _ => vec![true; size],
        };
        let member = |(name, is_static): (&&str, &bool)| {
            let mut m = cx.member(&group, name);
            m.session = 60_000;
            // What is parked stays so until released, or the end.
            m.limit = Duration::from_secs(90);
            m.instance = is_static.then(|| format!("i{}", name.to_lowercase()));
            m
        };
        Ok(Self {
            ms: names.iter().zip(&statics).map(member).collect(),
            cx: cx.clone(),
            dice: Dice::new(seed),
            topic,
            group: group.clone(),
            statics,
            waiting: Vec::new(),
            ghosts: Vec::new(),
            heard: vec![String::new(); size],
            step: 0,
        })
    }

    /// Whether this member must stay what it is, the leader.
    fn stays(&self, who: usize) -> bool {
        who == 0 && self.ms.len() > 2
    }

    /// Draws the versions of the member's next requests. A static member keeps to those that
    /// can say so in a join.
    fn draw_versions(&mut self, who: usize) {
        let lowest = if self.statics[who] { 5 } else { 0 };
        let m = &mut self.ms[who];
        m.jv = lowest + self.dice.roll(10 - lowest as u64) as i16;
        m.sv = self.dice.roll(6) as i16;
        m.hv = self.dice.roll(5) as i16;
        m.lv = self.dice.roll(6) as i16;
    }

    fn label(&self, who: usize, what: &str) -> String {
        format!("{} {} {what}", self.step, self.ms[who].name)
    }

    /// Whether a join (or a sync) of this member is parked.
    fn waits(&self, who: usize) -> bool {
        self.waiting.iter().any(|w| w.who == who)
    }

    async fn join(&mut self, who: usize, what: &str) -> Result<()> {
        let m = &mut self.ms[who];
        let v = m.jv;
        let parked = m.join_start().await?;
        let label = self.label(who, &format!("{what} v{v}"));
        self.take(Waiting {
            who,
            label,
            v,
            wait: Wait::Join(parked),
        })
        .await;
        Ok(())
    }

    async fn sync(&mut self, who: usize) -> Result<()> {
        let others: Vec<_> = self
            .ms
            .iter()
            .map(|m| (m.name.clone(), m.id.clone()))
            .collect();
        let (step, pair) = (self.step, self.ms.len() == 2);
        let m = &mut self.ms[who];
        let mut plan = vec![(m.id.clone(), Bytes::from(format!("asg{step}-{}", m.name)))];
        if m.leader == m.id {
            for (name, id) in others.into_iter().filter(|(name, _)| *name != m.name) {
                let name = if pair { "other".into() } else { name };
                plan.push((id, Bytes::from(format!("asg{step}-{name}"))));
            }
        }
        let v = m.sv;
        let parked = m.sync_start(plan).await?;
        let label = self.label(who, &format!("syncs v{v}"));
        self.take(Waiting {
            who,
            label,
            v,
            wait: Wait::Sync(parked),
        })
        .await;
        Ok(())
    }

    /// Writes the answer down, or keeps the request if it is parked.
    async fn take(&mut self, w: Waiting) {
        if self.settled(&w, self.cx.env.park).await {
            let label = w.label.clone();
            let seen = self.answer(w).await;
            self.cx.note(label, seen, "");
        } else {
            self.cx.note(w.label.clone(), "parked", "");
            // The older of two alike is never answered: nobody waits for it any longer.
            let alike = std::mem::discriminant(&w.wait);
            self.waiting
                .retain(|o| o.who != w.who || std::mem::discriminant(&o.wait) != alike);
            self.waiting.push(w);
        }
    }

    async fn settled(&self, w: &Waiting, limit: Duration) -> bool {
        match &w.wait {
            Wait::Join(p) => p.settled(limit).await,
            Wait::Sync(p) => p.settled(limit).await,
        }
    }

    async fn answer(&mut self, w: Waiting) -> String {
        let m = &mut self.ms[w.who];
        match w.wait {
            Wait::Join(p) => {
                let out = p.out().await;
                // What is shown depends on the version that was asked, not on the next one.
                let next = std::mem::replace(&mut m.jv, w.v);
                let seen = m.absorb(&out);
                m.jv = next;
                let error = seen.split_whitespace().next().unwrap_or_default();
                if matches!(error, "UNKNOWN_MEMBER_ID" | "FENCED_INSTANCE_ID") {
                    m.id.clear();
                }
                self.heard[w.who] = error.into();
                seen
            }
            Wait::Sync(p) => show_sync(&self.cx, &p.out().await, w.v),
        }
    }

    /// What the last request released.
    async fn releases(&mut self) {
        let grace = self.cx.env.park / 4;
        for w in std::mem::take(&mut self.waiting) {
            if self.settled(&w, grace).await {
                let label = format!("{} releases: {}", self.step, w.label);
                let seen = self.answer(w).await;
                self.cx.note(label, seen, "");
            } else {
                self.waiting.push(w);
            }
        }
    }

    /// All that is needed for a Stable group: ghosts leave, everyone joins and syncs.
    async fn settle(&mut self) -> Result<()> {
        self.heard.fill(String::new());
        for (owner, id) in std::mem::take(&mut self.ghosts) {
            let kept = std::mem::replace(&mut self.ms[owner].id, id);
            let instance = self.ms[owner].instance.take();
            let label = self.label(owner, "is a ghost that leaves");
            let left = self.ms[owner].leave(&label, "").await;
            (self.ms[owner].id, self.ms[owner].instance) = (kept, instance);
            left?;
            self.releases().await;
        }
        // As clients do: an id that is refused is given up, one that is handed out is used.
        for who in (0..self.ms.len()).rev() {
            for _ in 0..3 {
                let id = self.ms[who].id.clone();
                if self.waits(who) || (!id.is_empty() && self.heard[who] == "NONE") {
                    break;
                }
                self.join(who, "joins to settle").await?;
                self.releases().await;
            }
        }
        for who in 0..self.ms.len() {
            if self.waiting.iter().any(|w| matches!(w.wait, Wait::Join(_))) && !self.waits(who) {
                self.join(who, "joins after the other").await?;
                self.releases().await;
            }
        }
        for who in 0..self.ms.len() {
            if !self.waits(who) {
                self.sync(who).await?;
                self.releases().await;
            }
        }
        Ok(())
    }

    async fn commit(&mut self, who: usize) -> Result<()> {
        let v = 2 + self.dice.roll(8) as i16;
        let m = &self.ms[who];
        let parts = [part(&self.topic, 0, self.step as i64)];
        let mut commit = self.cx.commit(&self.group, &parts).v(v);
        commit = match self.dice.roll(5) {
            0 => commit,
            1 => commit.of(m).as_member(&m.id, m.generation - 1),
            2 => commit.as_member(&m.id, -1),
            _ => commit.of(m),
        };
        let label = self.label(who, &format!("commits v{v}"));
        commit.send(&label, "").await
    }

    /// A member gives its id up. A dynamic one that others take for the leader keeps it, since
    /// Kafka's choice of the next leader among several is not part of the contract.
    async fn forget(&mut self, who: usize) -> Result<()> {
        let id = self.ms[who].id.clone();
        let leads = self.ms.iter().any(|m| m.leader == id);
        if !id.is_empty() && (self.statics[who] || !leads && !self.stays(who)) {
            if !self.statics[who] {
                self.ghosts.push((who, id));
            }
            self.ms[who].id.clear();
        }
        self.join(who, "joins, maybe without its id,").await
    }

    /// A join with something wrong, on behalf of the member.
    async fn wrong_join(&mut self, who: usize) -> Result<()> {
        let flaw = self.dice.roll(5);
        let mut m = self.ms[who].twin();
        match flaw {
            0 => m.ptype = "connect".into(),
            1 => m.protocols.clear(),
            2 => m.session = 5,
            3 => m.id = "nobody".into(),
            _ => m.offer(&["unheard-of"], ""),
        }
        // With the id that it has, so that no other member comes of it.
        if m.id.is_empty() {
            m.id = "nobody".into();
        }
        let label = self.label(who, &format!("joins in a wrong way {flaw} v{}", m.jv));
        let parked = m.join_start().await?;
        if parked.settled(self.cx.env.park).await {
            let seen = m.absorb(&parked.out().await);
            self.cx.note(label, seen, "");
        } else {
            self.cx.note(label, "parked", "");
        }
        Ok(())
    }

    async fn administer(&mut self, who: usize) -> Result<()> {
        let (cx, group) = (self.cx.clone(), self.group.clone());
        let label = |what: &str| format!("{} {what}", self.step);
        match self.dice.roll(6) {
            0 => cx.list(&label("list")).send("").await,
            1 => {
                let v = self.dice.roll(7) as i16;
                cx.describe(&label(&format!("describe v{v}")), v, &[&group], "")
                    .await
            }
            2 => {
                cx.delete_groups(&label("delete the group"), &[&group], "")
                    .await
            }
            3 => {
                let topic = self.topic.clone();
                cx.delete_offsets(&label("delete the offset"), &group, &[(&topic, 0)], "")
                    .await
            }
            4 => {
                cx.fetch(&group, &[(&self.topic, 0)])
                    .send(&label("fetch"), "")
                    .await
            }
            _ => {
                let label = label("an administrator removes");
                let instance = self.ms[who].instance.clone().filter(|_| !self.stays(who));
                let mut admin = cx.member(&group, "Z");
                admin.lv = 3 + self.dice.roll(3) as i16;
                admin
                    .leave_as(&[("", instance.as_deref())], &label, "")
                    .await
            }
        }
    }

    async fn one_step(&mut self) -> Result<()> {
        let who = self.dice.roll(self.ms.len() as u64) as usize;
        self.draw_versions(who);
        match self.dice.roll(24) {
            0..5 => self.join(who, "joins").await?,
            5..8 => self.sync(who).await?,
            8..10 => {
                let label = self.label(who, "beats");
                self.ms[who].hb(&label, "").await?;
            }
            10 => {
                let (label, m) = (self.label(who, "beats in the past"), &mut self.ms[who]);
                m.hb_gen(m.generation - 1, &label, "").await?;
            }
            11..14 => self.commit(who).await?,
            14 if !self.stays(who) => {
                let label = self.label(who, "leaves");
                self.ms[who].leave(&label, "").await?;
            }
            15 => self.forget(who).await?,
            16 => {
                let tag = self.step.to_string();
                let names = self.dice.one_of(&[&["range"][..], &["range", "sticky"]]);
                self.ms[who].offer(names, &tag);
                self.join(who, "joins with other metadata").await?;
            }
            17 => self.wrong_join(who).await?,
            18..21 => self.administer(who).await?,
            _ => self.settle().await?,
        }
        self.releases().await;
        Ok(())
    }
}

async fn walk(cx: Cx, seed: u64, size: usize) -> Result<()> {
    let mut walk = Walk::new(cx.clone(), seed, size).await?;
    if size > 2 {
        for _ in 0..2 {
            if walk.heard[0] != "NONE" {
                walk.join(0, "joins first").await?;
            }
        }
        walk.sync(0).await?;
    }
    // Large groups park more than they answer.
    for step in 0..if size > 3 { 24 } else { 40 } {
        walk.step = step;
        walk.one_step().await?;
    }
    let left: Vec<_> = walk
        .waiting
        .iter()
        .map(|w| w.label.replace(' ', "_"))
        .collect();
    cx.note("still parked", format!("[{}]", left.join(",")), "");
    cx.describe("describe", 5, &[&walk.group], "").await?;
    cx.fetch(&walk.group, &[(&walk.topic, 0)])
        .send("fetch", "")
        .await
}

macro_rules! walks {
    ($book:expr, $size:literal, $($name:literal = $seed:literal),* $(,)?) => {
        $($book.add(&[], $name, |cx| Box::pin(walk(cx, $seed, $size)));)*
    };
}

pub fn add(book: &mut Book) {
    book.group("walk");
    // Seed 304 hangs on which of several members leads next: not part of the contract.
    walks!(
        book,
        2,
        "mixed-1" = 301,
        "mixed-2" = 302,
        "mixed-3" = 303,
        "mixed-5" = 305,
        "mixed-6" = 306,
        "mixed-7" = 307,
        "mixed-8" = 308,
        "mixed-9" = 309,
        "mixed-10" = 310,
        "mixed-11" = 311,
        "mixed-12" = 312,
        "mixed-13" = 313,
        "mixed-14" = 314,
        "mixed-15" = 315,
        "mixed-16" = 316,
        "mixed-17" = 317,
        "mixed-18" = 318,
        "mixed-19" = 319,
        "mixed-20" = 320,
        "mixed-21" = 321,
        "mixed-22" = 322,
        "mixed-23" = 323,
        "mixed-24" = 324,
        "mixed-25" = 325,
        "mixed-26" = 326,
        "mixed-27" = 327,
        "mixed-28" = 328,
    );
    walks!(
        book,
        3,
        "trio-1" = 401,
        "trio-2" = 402,
        "trio-3" = 403,
        "trio-4" = 404,
        "trio-5" = 405,
        "trio-6" = 406,
        "trio-7" = 407,
        "trio-8" = 408,
        "trio-9" = 409,
        "trio-10" = 410,
        "trio-11" = 411,
        "trio-12" = 412,
        "trio-13" = 413,
        "trio-14" = 414,
        "trio-15" = 415,
        "trio-16" = 416,
        "trio-17" = 417,
        "trio-18" = 418,
    );
    book.group("small-group");
    book.profile = Profile::SmallGroup;
    // Seeds in which Kafka never has to choose a leader: who is refused is removed, A included.
    walks!(
        book,
        5,
        "walk-2" = 502,
        "walk-7" = 507,
        "walk-11" = 511,
        "walk-12" = 512,
    );
}
