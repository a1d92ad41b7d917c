//! A segment's file while it is made: its zeros are written a piece at a time, so that no commit
//! has to wait for all of them.

use std::io;

use super::disk::{Disk, DiskFile, write_all};
use super::segment;

/// Bytes of zeros that are written at a time.
const ZEROS: usize = 256 << 10;

/// A file that is not part of the log yet.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) number: u64,
    /// Bytes of the file when it is whole.
    pub(super) len: u64,
    pub(super) file: Box<dyn DiskFile>,
    zeros: u64,
}

impl Making {
    pub(super) fn begin(disk: &dyn Disk, number: u64, len: u64) -> io::Result<Self> {
        Ok(Self {
            number,
            len,
            file: disk.create(&segment::name(number))?,
            zeros: 0,
        })
    }

    /// Writes about that many bytes more; whether all are there. Nothing is durable yet.
    pub(super) fn go_on(&mut self, bytes: u64) -> io::Result<bool> {
        let until = self.len.min(self.zeros.saturating_add(bytes));
        let rest = usize::try_from(until - self.zeros).unwrap_or(ZEROS);
        let zeros = vec![0; rest.min(ZEROS)];
        while self.zeros < until {
            let rest = usize::try_from(until - self.zeros).unwrap_or(ZEROS);
            let part = &zeros[..rest.min(ZEROS)];
            write_all(&*self.file, part, self.zeros)?;
            self.zeros += part.len() as u64;
        }
        Ok(self.zeros == self.len)
    }
}
