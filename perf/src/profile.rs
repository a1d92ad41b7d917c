//! A sampling profiler around a load, and the picture of what it saw.

use std::fs::File;
use std::path::Path;

use crate::failure::Failure;

/// Samples a second of each thread's CPU time; prime, so that it beats with nothing.
const SAMPLES_PER_SECOND: i32 = 997;

/// Runs the load and draws where its time went, if a file is named.
pub(crate) fn during<T>(file: Option<&Path>, load: impl FnOnce() -> T) -> Result<T, Failure> {
    let Some(file) = file else { return Ok(load()) };
    let refused = |error: pprof::Error| Failure::new(format!("the profiler: {error}"));
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(SAMPLES_PER_SECOND)
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()
        .map_err(refused)?;
    let outcome = load();
    let picture = guard.report().build().map_err(refused)?;
    picture.flamegraph(File::create(file)?).map_err(refused)?;
    Ok(outcome)
}
