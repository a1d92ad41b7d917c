//! What groups and offsets take of the memory, in a process of their own.

use std::process::Command;

use serde_json::Value;

use super::Size;
use super::row::{Goal, Row};
use crate::failure::Failure;

/// Bytes of the names and the metadata of a group of one member, and of an offset.
const GROUP_BYTES: f64 = 180.0;
const OFFSET_BYTES: f64 = 8.0;

pub(super) fn rows(size: &Size) -> Result<Vec<Row>, Failure> {
    let (groups, offsets) = (size.members, 10 * size.members);
    Ok(vec![
        Row {
            floor: Some(GROUP_BYTES),
            ..Row::alone(
                "memory of an idle group of one member / its bare fields",
                bytes_of("a group at rest", groups, 100)?,
                "B",
                Goal::AtMost(400.0),
            )
        },
        Row {
            floor: Some(OFFSET_BYTES),
            ..Row::alone(
                "memory of an offset / its bare number",
                bytes_of("an offset just committed", 1, offsets)?,
                "B",
                Goal::AtMost(20.0),
            )
        },
    ])
}

/// That figure of a process of its own: what one kind has given back, the other would fill.
fn bytes_of(figure: &str, groups: usize, offsets: usize) -> Result<f64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["memory", "--json", "--groups", &groups.to_string()]);
    command.args(["--offsets", &offsets.to_string()]);
    let output = command.output()?;
    let figures: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| Failure::new(String::from_utf8_lossy(&output.stderr).into_owned()))?;
    let bytes = figures["figures"][figure]["figure"].as_f64();
    bytes.ok_or_else(|| Failure::new(format!("{figure}: not told")))
}
