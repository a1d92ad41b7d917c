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
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["memory", "--json", "--groups", &groups.to_string()]);
    command.args(["--offsets", &offsets.to_string()]);
    let output = command.output()?;
    let figures: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| Failure::new(String::from_utf8_lossy(&output.stderr).into_owned()))?;
    let row = |path, figure: &str, floor, most| {
        let bytes = figures["figures"][figure]["figure"].as_f64();
        let bytes = bytes.ok_or_else(|| Failure::new(format!("{figure}: not told")))?;
        Ok::<_, Failure>(Row {
            floor: Some(floor),
            ..Row::alone(path, bytes, "B", Goal::AtMost(most))
        })
    };
    Ok(vec![
        row(
            "memory of an idle group of one member / its bare fields",
            "a group with its member",
            GROUP_BYTES,
            400.0,
        )?,
        row(
            "memory of an offset / its bare number",
            "an offset",
            OFFSET_BYTES,
            20.0,
        )?,
    ])
}
