//! What groups and offsets take, as the operating system counts it.

use std::fs;
use std::time::Duration;

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{CommitRequest, Engine};

use crate::args::MemoryArgs;
use crate::clock;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::in_process::{form_for, rest as wait_until};
use crate::report::as_f64;

/// Partitions of a group that commits.
const PARTITIONS: i32 = 100;

/// After so long, and a millisecond a group, it is given up that all come to rest. Half a minute
/// is what they need to be quiet for, and some microseconds each.
const REST_MS: u64 = 60_000;

/// Makes idle groups of one member and then groups that only hold offsets, in the journal that
/// keeps nothing, and looks at the resident memory in between: when they were just made, and when
/// all of them are at rest.
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
    // Their names are not kept, which would be no memory of the engine's.
    form_for(&engine, args.groups, 1, drop)?;
    let just_formed = resident()?;
    let at_rest_already = at_rest(&engine);
    let rested_ms = wait_for_rest(&engine, args.groups)?;
    let with_groups = resident()?;
    let groups_of_offsets = commit(&engine, args.offsets)?;
    let just_committed = resident()?;
    wait_for_rest(&engine, args.groups + groups_of_offsets)?;
    let with_offsets = resident()?;
    let each = |bytes: u64, before: u64, count: u64| {
        as_f64(bytes.saturating_sub(before)) / as_f64(count.max(1))
    };
    let group = |bytes| each(bytes, empty, args.groups);
    let offset = |bytes| each(bytes, with_groups, args.offsets);
    figures.row("one-member groups", as_f64(args.groups), "");
    figures.row(
        "at rest when the last was formed",
        as_f64(at_rest_already),
        "",
    );
    figures.row("a group then", group(just_formed), "bytes");
    figures.row("a group at rest", group(with_groups), "bytes");
    figures.row("all at rest after", as_f64(rested_ms), "ms");
    figures.row("offsets", as_f64(args.offsets), "");
    figures.row("an offset just committed", offset(just_committed), "bytes");
    figures.row("an offset at rest", offset(with_offsets), "bytes");
    Ok(figures)
}

/// Waits until that many groups are at rest; how long it took, in milliseconds.
fn wait_for_rest(engine: &Engine, groups: u64) -> Result<u64, Failure> {
    let begin = clock::now();
    let patience = Duration::from_millis(REST_MS + groups);
    loop {
        let at_rest = at_rest(engine);
        let waited = clock::now().duration_since(begin);
        if at_rest >= groups {
            // What the allocator has to give back it is asked for in the round after, and that of
            // the wheel in the one after that; a round takes seven and a half seconds.
            wait_until(clock::now() + Duration::from_secs(16));
            return Ok(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        }
        if waited > patience {
            let text = format!("of {groups} groups {at_rest} came to rest");
            return Err(Failure::new(text));
        }
        wait_until(clock::now() + Duration::from_millis(100));
    }
}

/// How many groups are at rest.
fn at_rest(engine: &Engine) -> u64 {
    let shards = 0..engine.shards().len();
    let of_shard = |shard| engine.metrics().shard(shard).groups_at_rest.value();
    shards.map(of_shard).sum::<i64>().unsigned_abs()
}

/// That many offsets, a hundred a group, of topics with up to a billion records; the groups.
fn commit(engine: &Engine, offsets: u64) -> Result<u64, Failure> {
    let partitions = u64::from(PARTITIONS.unsigned_abs());
    let groups = offsets.div_ceil(partitions);
    let mut chance = 1_u64;
    for group in 0..groups {
        let mut request = CommitRequest::new(format!("orders-history-{group:06}"));
        for partition in 0..PARTITIONS {
            // A linear congruence: numbers that do not follow from each other.
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            request = request.offset("orders", partition, (chance >> 34).cast_signed());
        }
        let committed = engine.commit(request).wait();
        committed.map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
    }
    Ok(groups)
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
