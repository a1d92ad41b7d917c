//! The few verbs by which the journal and the topics touch a disk, so that tests can own the bytes
//! that survive.

mod real;
#[cfg(test)]
pub(crate) mod simulated;

pub(crate) use real::{Disk, DiskFile, RealDisk, names_in, read_full, read_whole, write_all};
