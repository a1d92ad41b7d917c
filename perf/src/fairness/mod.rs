//! What others feel of one who disturbs: heartbeats and commits of small groups, at a rate that is
//! fixed before, while nobody disturbs and while somebody does.
//!
//! ```text
//!   a round:  quiet | elsewhere | here | quiet | elsewhere | here | ...
//!
//!   victims   ------------------------------------> server
//!   disturbance, when it is its turn "here" ------> the same server
//!   disturbance, when it is its turn "elsewhere" -> another server on this machine
//! ```
//!
//! Victims, disturbances and both servers share the machine, so a part of what is felt is no
//! matter of the server: with the processors taken, everybody waits for one. That part is what is
//! felt of the same disturbance *elsewhere*, of a second server that the victims have nothing to
//! do with. Those who disturb are processes of their own with the lowest priority, so that they
//! take from the victims' generator as little as one on another machine would.
//!
//! The goal is that of the whole: the p99 *here* is at most twice that of quiet. A figure is the
//! median of all turns of its kind.

mod args;
mod disturb;
mod disturber;
mod table;
mod trial;

use crate::failure::Failure;
use crate::machine::Machine;

pub(crate) use args::{DisturbArgs, FairnessArgs};
pub(crate) use disturb::run as disturb;
use table::Table;
use trial::Trial;

/// Tries the disturbances one after the other.
pub(crate) fn run(args: &FairnessArgs) -> Result<Table, Failure> {
    let machine = Machine::look();
    let mut tried = Vec::new();
    for disturbance in args.disturbances() {
        tried.push(Trial::new(args, disturbance).run()?);
    }
    Ok(Table {
        machine,
        asked: args.asked(),
        tried,
    })
}
