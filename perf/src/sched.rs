//! What the scheduler tells of a process.

use std::fs;

/// Time of all threads of a process that live, in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Sched {
    /// On a processor.
    pub(crate) ran: f64,
    /// Ready to run, and without a processor: others had them all.
    pub(crate) waited: f64,
}

impl Sched {
    /// Since the threads began; `None` where `/proc` does not tell.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let mut all = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            // A thread that has just ended tells nothing any more.
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).unwrap_or_default();
            let of_thread = Self::read(&text).unwrap_or_default();
            all.ran += of_thread.ran;
            all.waited += of_thread.waited;
        }
        Some(all)
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran - before.ran,
            waited: self.waited - before.waited,
        }
    }

    fn read(schedstat: &str) -> Option<Self> {
        let mut fields = schedstat.split_ascii_whitespace();
        let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / 1e9);
        Some(Self {
            ran: seconds()?,
            waited: seconds()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_told_in_seconds() {
        let read = Sched::read("1500000000 250000000 12\n").unwrap();
        let after = read.since(Sched {
            ran: 1.0,
            waited: 0.0,
        });
        assert!((after.ran - 0.5).abs() < 1e-9 && (after.waited - 0.25).abs() < 1e-9);
        assert_eq!(Sched::read(""), None);
    }

    #[test]
    fn a_process_knows_itself() {
        assert!(Sched::of(std::process::id()).unwrap().ran >= 0.0);
        assert_eq!(Sched::of(u32::MAX), None);
    }
}
