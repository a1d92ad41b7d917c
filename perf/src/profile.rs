//! A sampling profiler around a load, where that is compiled in.
//!
//! A load in process is sampled where it runs. Of a load over the wire it is the server that is of
//! interest: this program starts itself once more, as the server with the profiler around it.

use std::process::Command;
#[cfg(feature = "flamegraph")]
use std::{path::Path, process::ExitCode};

use clap::Args as Flags;

use crate::failure::Failure;
use crate::server::binary;

/// What is asked of the profiler.
#[derive(Flags, Debug, Default)]
pub(crate) struct ProfileArgs {
    /// Draws where the time went; the server's, if it is a load over the wire that starts one.
    #[cfg(feature = "flamegraph")]
    #[arg(long, value_name = "FILE.svg")]
    flamegraph: Option<std::path::PathBuf>,
}

/// Makes this program a server that draws, when it stops, where its time went.
#[cfg(feature = "flamegraph")]
pub(crate) const SERVES: &str = "PERF_SERVES_AND_DRAWS";

impl ProfileArgs {
    /// Runs the load and draws where its time went, if a file is named.
    #[cfg(feature = "flamegraph")]
    pub(crate) fn during<T>(&self, load: impl FnOnce() -> T) -> Result<T, Failure> {
        match &self.flamegraph {
            Some(file) => sampled(file, load),
            None => Ok(load()),
        }
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

    /// What starts the server, still without flags.
    #[cfg_attr(
        not(feature = "flamegraph"),
        expect(clippy::unused_self, reason = "with the feature it may be sampled")
    )]
    pub(crate) fn server(&self) -> Result<Command, Failure> {
        #[cfg(feature = "flamegraph")]
        if let Some(file) = &self.flamegraph {
            let mut command = Command::new(std::env::current_exe()?);
            command.env(SERVES, std::path::absolute(file)?);
            return Ok(command);
        }
        Ok(Command::new(binary()?))
    }
}

/// Serves, as the command line has it, and draws into the file where the time went.
#[cfg(feature = "flamegraph")]
pub(crate) fn serve(file: &Path) -> Result<ExitCode, Failure> {
    sampled(file, takhin_coordinator::server::main)
}

#[cfg(feature = "flamegraph")]
fn sampled<T>(file: &Path, load: impl FnOnce() -> T) -> Result<T, Failure> {
    let sampler = crate::flame::Sampler::start();
    let sampler = sampler.map_err(|error| Failure::new(format!("the profiler: {error}")))?;
    let outcome = load();
    let drawn = sampler.draw_to(file);
    drawn.map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    Ok(outcome)
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
