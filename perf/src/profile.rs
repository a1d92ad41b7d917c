//! A sampling profiler around a load, where that is compiled in.

use clap::Args as Flags;

use crate::failure::Failure;

/// What is asked of the profiler.
#[derive(Flags, Debug)]
pub(crate) struct ProfileArgs {
    /// Draws where the time went.
    #[cfg(feature = "flamegraph")]
    #[arg(long, value_name = "FILE.svg")]
    flamegraph: Option<std::path::PathBuf>,
}

impl ProfileArgs {
    /// Runs the load and draws where its time went, if a file is named.
    #[cfg(feature = "flamegraph")]
    pub(crate) fn during<T>(&self, load: impl FnOnce() -> T) -> Result<T, Failure> {
        let Some(file) = &self.flamegraph else {
            return Ok(load());
        };
        let sampler = crate::flame::Sampler::start();
        let sampler = sampler.map_err(|error| Failure::new(format!("the profiler: {error}")))?;
        let outcome = load();
        let drawn = sampler.draw_to(file);
        drawn.map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        Ok(outcome)
    }

    /// Runs the load.
    #[cfg(not(feature = "flamegraph"))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "with the feature the profiler may fail"
    )]
    pub(crate) fn during<T>(&self, load: impl FnOnce() -> T) -> Result<T, Failure> {
        Ok(load())
    }
}

#[cfg(all(test, feature = "flamegraph"))]
mod tests {
    use crate::flame::{Bar, draw, name_that_fits};

    #[test]
    fn a_bar_is_as_wide_as_its_share_of_the_samples() {
        let mut root = Bar::default();
        let calls = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        root.add(calls(&["a", "b"]).into_iter(), 3);
        root.add(calls(&["a", "c<T>"]).into_iter(), 1);
        let svg = draw(&root);
        assert!(svg.contains("<title>a: 100.00%, 4 samples"));
        assert!(svg.contains("<title>b: 75.00%, 3 samples"));
        assert!(svg.contains("<title>c&lt;T&gt;: 25.00%, 1 samples"));
        assert!(svg.contains("x=\"1200.0\" y=\"0\" width=\"400.0\""));
    }

    #[test]
    fn a_name_is_cut_between_letters_and_never_within_an_escape() {
        assert_eq!(name_that_fits("ab&lt;c", 6.0 + 6.8 * 3.0), "ab&lt;");
        assert_eq!(name_that_fits("ab&lt;c", 6.0 + 6.8 * 2.0), "ab");
    }
}
