//! Shows a journal as it lies there.

use std::io::Write;
use std::path::Path;

use super::error::ToolError;
use super::lines;
use super::object::Line;
use super::place;
use crate::journal::schema;
use crate::store::{Examined, Logged, OpenError};

/// What [`inspect`] has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inspected {
    /// Records that were shown.
    pub records: u64,
    /// Places that are damaged, records that cannot be decoded included.
    pub damages: u64,
}

/// Writes a line for the journal, for each of its files, for each damage, and for each record.
///
/// Nothing in the directory is changed, and no lock is taken: it works on a directory that is
/// damaged, that cannot be written, or that a server has open, of which it shows a moment.
///
/// # Errors
///
/// [`ToolError::Refused`] where there is no journal or one of another version;
/// [`ToolError::Io`] where reading or writing fails. Damage is no error.
pub fn inspect(dir: &Path, out: &mut dyn Write) -> Result<Inspected, ToolError> {
    let place = place::journal_in(dir)?;
    let mut seen = Inspected::default();
    let mut say = |line: Line| {
        let written = writeln!(out, "{}", line.end());
        written.map_err(ToolError::io("writing"))
    };
    let examined = match Examined::look(&place) {
        Ok(Some(examined)) => examined,
        Ok(None) => return Err(ToolError::Refused("the journal is gone".to_owned())),
        // Without its manifest nothing of a journal can be read.
        Err(OpenError::Corrupt(damage)) => {
            say(damage_line(&damage.file, damage.offset, &damage.reason))?;
            seen.damages = 1;
            return Ok(seen);
        }
        Err(error) => return Err(ToolError::open(&place)(error)),
    };
    say(Line::new("journal")
        .count("shards", u64::from(examined.shards()))
        .count("next", examined.next())
        .flag("is_torn", examined.is_torn()))?;
    for segment in examined.segments() {
        let first = segment.first.map(u64::cast_signed);
        say(Line::new("segment")
            .text("file", &segment.file)
            .count("bytes", segment.bytes)
            .number_or_null("first", first)
            .count("end", segment.end))?;
    }
    for damage in examined.damage() {
        let groups = damage.groups.iter();
        let groups = groups.map(|group| serde_json::Value::from(group.as_str()).to_string());
        let place = &damage.damage;
        say(damage_line(&place.file, place.offset, &place.reason)
            .count("missing", damage.records)
            .list("groups", groups))?;
        seen.damages += 1;
    }
    let mut outcome = Ok(());
    let read = examined.records(|record| {
        if outcome.is_ok() {
            let (line, is_sound) = record_line(&record);
            seen.records += 1;
            seen.damages += u64::from(!is_sound);
            outcome = say(line);
        }
    });
    outcome?;
    read.map_err(ToolError::open(&place))?;
    Ok(seen)
}

fn damage_line(file: &str, offset: u64, reason: &str) -> Line {
    Line::new("damage")
        .text("file", file)
        .count("at", offset)
        .text("reason", reason)
}

/// The record, and whether it can be decoded or is of a type that is merely not known.
fn record_line(record: &Logged<'_>) -> (Line, bool) {
    let raw = |line: Line| {
        let line = line.bytes("key", record.key);
        match record.value {
            Some(value) => line.bytes("value", value),
            None => line.flag("removed", true),
        }
    };
    let (line, is_sound) = match schema::decode(record.key, record.value) {
        Ok(decoded) => (lines::write(&decoded), true),
        Err(schema::SchemaError::UnknownType(number)) => {
            (raw(Line::new("unknown").number("type", number)), true)
        }
        Err(error) => {
            let line = damage_line(record.file, record.offset, &error.to_string());
            (raw(line), false)
        }
    };
    let line = line
        .count("sequence", record.sequence)
        .count("shard", u64::from(record.shard.0))
        .text("in", &format!("{}:{}", record.file, record.offset));
    let line = if record.is_carried {
        line.flag("is_carried", true)
    } else {
        line
    };
    (line, is_sound)
}
