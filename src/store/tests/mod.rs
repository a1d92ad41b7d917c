//! Tests of the store on a disk that they own: what survives a crash is theirs to say.

mod crash;
mod faults;
mod format;
mod loads;
mod replay;
mod rot;
mod space;
mod thread;
mod torn;
mod workload;

use crate::disk::simulated as disk;
