//! Commits at moments that are fixed before, and how late their answers are.

use std::time::Duration;

use takhin_coordinator::engine::{CommitRequest, Engine};

use crate::clock;
use crate::failure::Failure;
use crate::report::{as_f64, latencies, record};

/// Groups that commit in turn.
const GROUPS: usize = 64;
/// A commit is due that often.
const INTERVAL: Duration = Duration::from_micros(200);

/// Commits for that long; the 99th percentile, in microseconds, of the time from the moment at
/// which a commit was due to its answer.
pub(super) fn p99_us(engine: &Engine, lasting: Duration) -> Result<f64, Failure> {
    let groups: Vec<String> = (0..GROUPS)
        .map(|n| format!("orders-paced-{n:02}"))
        .collect();
    let mut latency = latencies();
    let mut due = clock::now();
    let end = due + lasting;
    for (group, offset) in groups.iter().cycle().zip(0..) {
        if due >= end {
            break;
        }
        while let left = due.saturating_duration_since(clock::now())
            && !left.is_zero()
        {
            std::thread::park_timeout(left);
        }
        let request = CommitRequest::new(group.as_str()).offset("orders", 0, offset);
        let committed = engine.commit(request).wait();
        committed.map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
        record(&mut latency, clock::now().saturating_duration_since(due));
        due += INTERVAL;
    }
    Ok(as_f64(latency.value_at_percentile(99.0)) / 1e3)
}
