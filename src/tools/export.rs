//! All groups and offsets of a journal as JSON lines.

use std::io::Write;
use std::path::Path;

use super::counts::Counts;
use super::error::ToolError;
use super::lines;
use super::place;
use crate::group::{Groups, Record, Rules};
use crate::journal::schema::{self, SchemaError};
use crate::store::{Examined, OpenError, Repair};
use crate::time::Now;

/// What [`export`] has written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exported {
    /// What was written.
    pub counts: Counts,
    /// Records of a type that is not known, which are left out.
    pub unknown: u64,
    /// Damaged places that were skipped.
    pub damages: u64,
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
/// is; [`ToolError::Io`] where reading or writing fails.
pub fn export(dir: &Path, repair: Repair, out: &mut dyn Write) -> Result<Exported, ToolError> {
    let place = place::journal_in(dir)?;
    let facts = facts(&place, repair)?;
    let mut exported = Exported {
        unknown: facts.unknown,
        damages: facts.damages,
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
    let mut groups = Groups::new(Rules::default());
    let mut damages = examined.damage().len() as u64;
    let mut unknown = 0;
    let mut first_damaged = None;
    let read = examined.records(|record| match schema::decode(record.key, record.value) {
        Ok(decoded) => groups.apply(&decoded, Now::default()),
        Err(SchemaError::UnknownType(_)) => unknown += 1,
        Err(error) => {
            damages += 1;
            first_damaged = first_damaged.take().or_else(|| {
                let (file, offset) = (record.file, record.offset);
                Some(format!("{file} at byte {offset}: {error}"))
            });
        }
    });
    read.map_err(&refuse)?;
    match first_damaged {
        Some(first) if repair == Repair::Refuse => Err(ToolError::Damaged(format!(
            "in '{}', {first}",
            place.display()
        ))),
        _ => Ok(JournalFacts {
            shards: examined.shards(),
            records: groups.snapshot(),
            unknown,
            damages,
        }),
    }
}
