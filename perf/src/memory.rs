//! What groups and offsets take, as the operating system counts it.

use std::fs;

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{CommitRequest, Engine};

use crate::args::MemoryArgs;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::in_process::form;
use crate::report::as_f64;

/// Partitions of a group that commits.
const PARTITIONS: i32 = 100;

/// Makes idle groups of one member and then groups that only hold offsets, in the journal that
/// keeps nothing, and looks at the resident memory in between.
pub(crate) fn run(args: &MemoryArgs) -> Result<Figures, Failure> {
    let mut figures = Figures::new("resident memory of idle groups and of offsets");
    let config = Config::builder()
        .group_initial_rebalance_delay_ms(100)
        .takhin_groups_max(u32::MAX)
        .takhin_members_max(u32::MAX)
        .takhin_offsets_max(u64::MAX)
        .build();
    let config = config.map_err(|error| Failure::new(error.to_string()))?;
    let engine = Engine::open(config).map_err(|error| Failure::new(error.to_string()))?;
    let empty = resident()?;
    let members = form(&engine, args.groups, 1)?;
    drop(members);
    let with_groups = resident()?;
    commit(&engine, args.offsets)?;
    let with_offsets = resident()?;
    let each = |bytes: u64, count: u64| as_f64(bytes) / as_f64(count.max(1));
    figures.row("one-member groups", as_f64(args.groups), "");
    let groups = with_groups.saturating_sub(empty);
    figures.row(
        "a group with its member",
        each(groups, args.groups),
        "bytes",
    );
    figures.row("offsets", as_f64(args.offsets), "");
    let offsets = with_offsets.saturating_sub(with_groups);
    figures.row("an offset", each(offsets, args.offsets), "bytes");
    Ok(figures)
}

/// That many offsets, a hundred a group.
fn commit(engine: &Engine, offsets: u64) -> Result<(), Failure> {
    let partitions = u64::from(PARTITIONS.unsigned_abs());
    for group in 0..offsets.div_ceil(partitions) {
        let mut request = CommitRequest::new(format!("orders-history-{group:06}"));
        for partition in 0..PARTITIONS {
            request = request.offset("orders", partition, 1_000_000);
        }
        let committed = engine.commit(request).wait();
        committed.map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
    }
    Ok(())
}

/// Bytes of the process that are in memory.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| Failure::new("/proc/self/status does not tell the resident memory"))
}
