//! Cold starts: from files to an engine that answers, and what reading the same files takes.

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use takhin_coordinator::store::StoreConfig;

use super::commits::{fill, log_files, open};
use crate::args::StoreArgs;
use crate::clock;
use crate::failure::Failure;
use crate::figures::{Figures, median};
use crate::in_process::form;
use crate::report::as_f64;

/// Where a segment's frames begin, and the bytes before a record's key.
const HEADER: usize = 512;
const HEAD: usize = 19;

pub(super) fn start(args: &StoreArgs, dir: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let place = dir.join("cold");
    {
        let engine = open(&place, StoreConfig::default())?;
        fill(&engine, args.offsets)?;
    }
    let (mut floors, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first turn warms up.
    for turn in 0..=args.turns {
        let before = clock::now();
        let records = read_and_insert(&place)?;
        let floor = (clock::now() - before).as_secs_f64() * 1e3;
        let before = clock::now();
        let engine = open(&place, StoreConfig::default())?;
        let start = (clock::now() - before).as_secs_f64() * 1e3;
        drop(engine);
        if records < args.offsets {
            let sentence = format!("{records} records were read of {} offsets", args.offsets);
            return Err(Failure::new(sentence));
        }
        if turn > 0 {
            floors.push(floor);
            ours.push(start);
            ratios.push(start / floor);
        }
    }
    let name = |what: &str| format!("{} offsets: {what}", args.offsets);
    figures.row(name("read, check, insert"), median(floors), "ms");
    figures.row(name("cold start"), median(ours), "ms");
    figures.row(name("of the floor"), median(ratios), "x");
    members(args, dir, figures)
}

/// Groups of one member each, found again.
fn members(args: &StoreArgs, dir: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let place = dir.join("members");
    {
        let engine = open(&place, StoreConfig::default())?;
        form(&engine, args.groups, 1)?;
    }
    let before = clock::now();
    let engine = open(&place, StoreConfig::default())?;
    let start = (clock::now() - before).as_secs_f64() * 1e3;
    figures.row("groups of one member: cold start", start, "ms");
    figures.row("members restored", as_f64(engine.members() as u64), "");
    Ok(())
}

/// Reads every file, computes every record's checksum, and puts the last value of every key into
/// a map; how many records there were.
fn read_and_insert(dir: &Path) -> Result<u64, Failure> {
    let mut values: HashMap<Box<[u8]>, Box<[u8]>> = HashMap::new();
    let mut records = 0;
    for file in log_files(dir)? {
        let bytes = fs::read(file)?;
        let mut rest = bytes.get(HEADER..).unwrap_or_default();
        while let Some((head, _)) = rest.split_first_chunk::<HEAD>() {
            let [_, _, _, _, a, b, c, d, .., low, high] = *head;
            let len = (u32::from_le_bytes([a, b, c, d]) & 0x03ff_ffff) as usize;
            if len < HEAD || len > rest.len() {
                break;
            }
            let (frame, after) = rest.split_at(len);
            black_box(crc32c::crc32c(&frame[4..]));
            let key_len = usize::from(u16::from_le_bytes([low, high]));
            let (key, value) = frame[HEAD..].split_at(key_len);
            values.insert(key.into(), value.into());
            records += 1;
            rest = after;
        }
    }
    black_box(values);
    Ok(records)
}
