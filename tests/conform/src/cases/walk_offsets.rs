//! Random walks over offsets: commits, fetches, deletions and lists of two simple groups, in all
//! versions and with all that may be odd about them. Nothing parks, so these are long.

use anyhow::Result;

use crate::case::Book;
use crate::cx::Cx;
use crate::dice::Dice;
use crate::offsets::{Part, part};

/// What a walk draws from.
struct World {
    cx: Cx,
    dice: Dice,
    groups: Vec<String>,
    /// With 3 partitions, with 1, and one that is not there.
    topics: Vec<String>,
    /// Metadata: short, at the limit, and beyond it; in characters of one and of three bytes.
    metas: Vec<Option<String>>,
}

impl World {
    async fn new(cx: &Cx, seed: u64) -> Result<Self> {
        let topics = vec![cx.topic(3).await?.0, cx.topic(1).await?.0, cx.topic_name()];
        let mut metas = vec![None, None, Some(String::new()), Some("m".into())];
        for (label, text) in [
            ("x*4096", "x".repeat(4096)),
            ("x*4097", "x".repeat(4097)),
            ("euro*4096", "\u{20ac}".repeat(4096)),
            ("euro*4097", "\u{20ac}".repeat(4097)),
            // Two UTF-16 units each.
            ("clef*2048", "\u{1d11e}".repeat(2048)),
            ("clef*2049", "\u{1d11e}".repeat(2049)),
        ] {
            cx.call_it(&text, label);
            metas.push(Some(text));
        }
        let groups = vec![cx.group(), cx.group()];
        Ok(Self {
            cx: cx.clone(),
            dice: Dice::new(seed),
            groups,
            topics,
            metas,
        })
    }

    fn group(&mut self) -> String {
        self.dice.one_of(&self.groups)
    }

    /// Up to four partitions, some of which are not there.
    fn places(&mut self) -> Vec<(String, i32)> {
        let mut places = Vec::new();
        for _ in 0..=self.dice.roll(4) {
            // The topics that are there more often than the one that is not.
            let topic = self.topics[[0, 0, 0, 1, 1, 2][self.dice.roll(6) as usize]].clone();
            places.push((topic, [0, 0, 1, 2, 3][self.dice.roll(5) as usize]));
        }
        // Topics side by side: what is asked of a topic in two places is a matter of its own.
        places.sort_by(|a, b| a.0.cmp(&b.0));
        places
    }

    async fn commit(&mut self, label: &str) -> Result<()> {
        let mut parts: Vec<Part> = Vec::new();
        for (topic, partition) in self.places() {
            parts.push(Part {
                epoch: self.dice.one_of(&[-1, -1, 0, 7]),
                meta: self.dice.one_of(&self.metas),
                ..part(&topic, partition, self.dice.roll(1000) as i64)
            });
        }
        // A commit that is refused for its metadata alone makes a group that Kafka lists only
        // after the next write to its shard: one partition is always fine.
        let there = |p: &&mut Part| {
            p.topic == self.topics[0] && p.partition < 3
                || p.topic == self.topics[1] && p.partition == 0
        };
        if let Some(part) = parts.iter_mut().find(there) {
            part.meta = self.dice.one_of(&self.metas[..4]);
        }
        let v = 2 + self.dice.roll(8) as i16;
        let group = self.group();
        let mut commit = self.cx.commit(&group, &parts).v(v);
        if self.dice.roll(5) == 0 {
            let member = self.dice.one_of(&["", "nobody"]);
            commit = commit.as_member(member, self.dice.one_of(&[-2, -1, 0, 5]));
        }
        if v >= 7 && self.dice.roll(6) == 0 {
            commit = commit.instance("somewhere");
        }
        if v <= 4 && self.dice.roll(2) == 0 {
            commit = commit.retention(3_600_000);
        }
        commit.send(&format!("{label} commit v{v}"), "").await
    }

    async fn fetch(&mut self, label: &str) -> Result<()> {
        let v = 1 + self.dice.roll(9) as i16;
        let group = self.group();
        let places = self.places();
        let places: Vec<(&str, i32)> = places.iter().map(|(t, p)| (t.as_str(), *p)).collect();
        let all = v >= 2 && self.dice.roll(3) == 0;
        let mut fetch = if all {
            self.cx.fetch_all(&group)
        } else {
            self.cx.fetch(&group, &places)
        }
        .v(v);
        if v >= 7 && self.dice.roll(3) == 0 {
            fetch = fetch.stable();
        }
        if v >= 9 && self.dice.roll(3) == 0 {
            fetch = fetch.as_member(Some("nobody"), self.dice.one_of(&[-1, 0, 7]));
        }
        if v >= 8 && self.dice.roll(2) == 0 {
            let other = self.group();
            fetch = fetch.and(&other);
        }
        let what = if all { "fetch all" } else { "fetch" };
        fetch.send(&format!("{label} {what} v{v}"), "").await
    }

    async fn administer(&mut self, label: &str) -> Result<()> {
        let cx = self.cx.clone();
        let group = self.group();
        match self.dice.roll(8) {
            0..3 => {
                let places = self.places();
                let places: Vec<(&str, i32)> = places.iter().map(|(t, p)| (&**t, *p)).collect();
                cx.delete_offsets(&format!("{label} delete offsets"), &group, &places, "")
                    .await
            }
            3 => {
                let v = self.dice.roll(3) as i16;
                let groups: Vec<&str> = match self.dice.roll(3) {
                    0 => self.groups.iter().map(String::as_str).collect(),
                    1 => vec![&group, &group],
                    _ => vec![&group],
                };
                cx.delete_groups_v(&format!("{label} delete groups v{v}"), v, &groups, "")
                    .await
            }
            4..6 => {
                let v = self.dice.roll(7) as i16;
                let ops = self.dice.roll(2) == 0;
                let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
                cx.describe_ops(&format!("{label} describe v{v}"), v, &groups, ops, "")
                    .await
            }
            _ => {
                let v = self.dice.roll(6) as i16;
                let mut list = cx.list(&format!("{label} list v{v}")).v(v);
                if v >= 4 && self.dice.roll(2) == 0 {
                    list = list.states(&[self.dice.one_of(&["empty", "Empty", "Stable", "x", ""])]);
                }
                if v >= 5 && self.dice.roll(2) == 0 {
                    list = list.types(&[self.dice.one_of(&["classic", "CLASSIC", "share", "x"])]);
                }
                list.send("").await
            }
        }
    }
}

async fn walk(cx: Cx, seed: u64) -> Result<()> {
    let mut world = World::new(&cx, seed).await?;
    for n in 0..60 {
        let label = n.to_string();
        match world.dice.roll(10) {
            0..4 => world.commit(&label).await?,
            4..7 => world.fetch(&label).await?,
            _ => world.administer(&label).await?,
        }
    }
    let groups = world.groups.clone();
    cx.fetch_all(&groups[0])
        .and(&groups[1])
        .send("in the end", "")
        .await
}

macro_rules! walks {
    ($book:expr, $($name:literal = $seed:literal),* $(,)?) => {
        $($book.add(&[], $name, |cx| Box::pin(walk(cx, $seed)));)*
    };
}

pub fn add(book: &mut Book) {
    book.group("walk");
    walks!(
        book,
        "offsets-1" = 201,
        "offsets-2" = 202,
        "offsets-3" = 203,
        "offsets-4" = 204,
        "offsets-5" = 205,
        "offsets-6" = 206,
        "offsets-7" = 207,
        "offsets-8" = 208,
        "offsets-9" = 209,
        "offsets-10" = 210,
        "offsets-11" = 211,
        "offsets-12" = 212,
        "offsets-13" = 213,
        "offsets-14" = 214,
        "offsets-15" = 215,
        "offsets-16" = 216,
    );
}
