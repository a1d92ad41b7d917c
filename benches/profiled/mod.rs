//! Criterion, with a profiler where that is compiled in.
//!
//! `RUSTFLAGS="--cfg flamegraph" cargo bench --bench wheel -- --profile-time 5` draws a flame graph
//! of each benchmark: `target/criterion/NAME/profile/flamegraph.svg`.

use criterion::Criterion;

#[cfg(flamegraph)]
#[path = "../flame/mod.rs"]
mod flame;

#[cfg(not(flamegraph))]
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
}

#[cfg(flamegraph)]
pub(crate) fn criterion() -> Criterion {
    Criterion::default().with_profiler(Flames(None))
}

/// The sampler of the benchmark that runs.
#[cfg(flamegraph)]
struct Flames(Option<flame::Sampler>);

#[cfg(flamegraph)]
impl criterion::profiler::Profiler for Flames {
    fn start_profiling(&mut self, _: &str, _: &std::path::Path) {
        self.0 = Some(flame::Sampler::start().expect("a signal and a timer"));
    }

    fn stop_profiling(&mut self, _: &str, folder: &std::path::Path) {
        if let Some(sampler) = self.0.take() {
            std::fs::create_dir_all(folder).expect("target can be written");
            let drawn = sampler.draw_to(&folder.join("flamegraph.svg"));
            drawn.expect("target can be written");
        }
    }
}
