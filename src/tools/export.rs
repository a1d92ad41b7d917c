//! All groups and offsets of a journal as JSON lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;
use std::path::Path;

use super::counts::Counts;
use super::error::ToolError;
use super::lines;
use super::place;
use crate::group::{Groups, Record, Rules};
use crate::ids::GroupId;
use crate::journal::{Loaded, schema};
use crate::store::{Examined, Logged, OpenError, Repair};
use crate::time::Now;

/// What [`export`] has written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exported {
    /// What was written.
    pub counts: Counts,
    /// Records of a type that is not known, which are left out.
    pub unknown: u64,
    /// Damaged places that were skipped.
    pub damages: u64,
    /// Groups that are left out as a whole, because a record of theirs cannot be read.
    pub left_out: Vec<String>,
}

/// Writes all groups and offsets, sorted by group, topic and partition, one a line.
///
/// Keeps every other process out of the directory meanwhile, and changes nothing in it. What a
/// write that was not finished left behind is not part of it.
///
/// # Errors
///
/// [`ToolError::Refused`] where there is no journal, one of another version, or a process that has
/// it open; [`ToolError::Damaged`] where the journal is damaged, unless `repair` says to skip what
/// is, and to leave out groups of which a record cannot be read; [`ToolError::Io`] where reading or
/// writing fails.
pub fn export(dir: &Path, repair: Repair, out: &mut dyn Write) -> Result<Exported, ToolError> {
    let place = place::journal_in(dir)?;
    let facts = facts(&place, repair)?;
    let mut exported = Exported {
        unknown: facts.unknown,
        damages: facts.damages,
        left_out: facts.left_out.iter().map(GroupId::to_string).collect(),
        ..Exported::default()
    };
    let mut say = |line: String| writeln!(out, "{line}").map_err(ToolError::io("writing"));
    say(lines::begin())?;
    for record in &facts.records {
        exported.counts.count(record);
        say(lines::write(record).end())?;
    }
    say(lines::end(exported.counts))?;
    out.flush().map_err(ToolError::io("writing"))?;
    Ok(exported)
}

/// What a journal holds.
#[derive(Debug)]
pub(super) struct JournalFacts {
    pub(super) shards: u32,
    pub(super) records: Vec<Record>,
    unknown: u64,
    damages: u64,
    left_out: BTreeSet<GroupId>,
}

/// Replays a journal by the one rule that there is.
pub(super) fn facts(place: &Path, repair: Repair) -> Result<JournalFacts, ToolError> {
    let refuse = ToolError::open(place);
    let examined = Examined::look_alone(place).map_err(&refuse)?;
    let examined = examined.ok_or_else(|| {
        ToolError::Refused(format!("there is no journal in '{}'", place.display()))
    })?;
    if let Some(first) = examined.damage().first()
        && repair == Repair::Refuse
    {
        return Err(refuse(OpenError::Corrupt(first.damage.clone())));
    }
    let mut replay = Replay::new();
    let read = examined.records(|record| replay.record(&record));
    read.map_err(&refuse)?;
    if let Some(first) = replay.first_reason()
        && repair == Repair::Refuse
    {
        let place = place.display();
        return Err(ToolError::Damaged(format!("in '{place}', {first}")));
    }
    let left_out: BTreeSet<GroupId> = replay.unreadable.into_keys().collect();
    let mut records = replay.groups.snapshot();
    records.retain(|record| !left_out.contains(record.group()));
    Ok(JournalFacts {
        shards: examined.shards(),
        records,
        unknown: replay.unknown,
        damages: examined.damage().len() as u64 + replay.lost,
        left_out,
    })
}

/// A journal being replayed, as a shard does it.
struct Replay {
    groups: Groups,
    unknown: u64,
    /// By group and key: where a record that cannot be read is, and why it cannot. A later record
    /// of the same key makes up for it, and the removal of the group for all of them.
    unreadable: BTreeMap<GroupId, BTreeMap<Vec<u8>, String>>,
    /// Records of which not even the group can be told, and the first of them.
    lost: u64,
    first_lost: Option<String>,
}

impl Replay {
    fn new() -> Self {
        Self {
            groups: Groups::new(Rules::default()),
            unknown: 0,
            unreadable: BTreeMap::new(),
            lost: 0,
            first_lost: None,
        }
    }

    fn record(&mut self, record: &Logged<'_>) {
        let at = |reason: &dyn fmt::Display| {
            format!("{} at byte {}: {reason}", record.file, record.offset)
        };
        match schema::loaded(record.key, record.value) {
            Ok(Some(Loaded::Record(decoded))) => {
                self.make_up_for(&decoded, record.key);
                self.groups.apply(&decoded, Now::default());
            }
            Ok(Some(Loaded::Unreadable { group, key, reason })) => {
                let of_group = self.unreadable.entry(group).or_default();
                of_group.insert(key, at(&reason));
            }
            // Heartbeats are no records.
            Ok(None | Some(Loaded::Heard(_))) => self.unknown += 1,
            Err(error) => {
                self.lost += 1;
                self.first_lost.get_or_insert_with(|| at(&error));
            }
        }
    }

    fn make_up_for(&mut self, decoded: &Record, key: &[u8]) {
        let Some(keys) = self.unreadable.get_mut(decoded.group()) else {
            return;
        };
        keys.remove(key);
        if keys.is_empty() || matches!(decoded, Record::Group { value: None, .. }) {
            self.unreadable.remove(decoded.group());
        }
    }

    fn first_reason(&self) -> Option<&String> {
        let of_groups = self.unreadable.values().flat_map(BTreeMap::values);
        self.first_lost.iter().chain(of_groups).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;
    use crate::journal::schema::Encoded;
    use crate::time::WallMs;

    fn logged<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Logged<'a> {
        Logged {
            file: "log-00000001",
            offset: 512,
            sequence: 1,
            shard: ShardId(0),
            key,
            value,
            is_carried: false,
        }
    }

    fn offset(group: &str, partition: i32) -> Encoded {
        let value = crate::group::OffsetValue {
            offset: 1,
            leader_epoch: -1,
            metadata: "".into(),
            committed_at: WallMs(1),
            expires_at: None,
            topic_id: crate::ids::TopicId::ZERO,
        };
        let record = Record::Offset {
            group: group.into(),
            topic: "t".into(),
            partition,
            value: Some(value),
        };
        schema::encode(&record).unwrap()
    }

    #[test]
    fn a_record_that_cannot_be_read_taints_its_group_until_a_later_one_makes_up_for_it() {
        let mut replay = Replay::new();
        let (bad, good) = (offset("bad", 0), offset("good", 0));
        replay.record(&logged(&bad.key, bad.value.as_deref()));
        replay.record(&logged(&good.key, Some(b"\x7f\xff")));
        assert!(
            replay
                .first_reason()
                .unwrap()
                .starts_with("log-00000001 at byte 512: ")
        );
        replay.record(&logged(&good.key, good.value.as_deref()));
        assert_eq!(replay.first_reason(), None);
        replay.record(&logged(&bad.key, Some(b"\x7f\xff")));
        // Another partition of the group makes up for nothing.
        let other = offset("bad", 1);
        replay.record(&logged(&other.key, other.value.as_deref()));
        let tainted: Vec<_> = replay.unreadable.keys().map(GroupId::as_str).collect();
        assert_eq!(tainted, ["bad"]);
        // The removal of the group does.
        let gone = Record::Group {
            group: "bad".into(),
            value: None,
        };
        replay.record(&logged(&schema::encode(&gone).unwrap().key, None));
        assert_eq!(replay.first_reason(), None);
        replay.record(&logged(b"\0", None));
        assert_eq!((replay.lost, replay.unknown), (1, 0));
        assert!(replay.first_reason().is_some());
    }
}
