//! Heartbeats, and those who come and go, among more and more members.

use super::{Growth, Scale};
use crate::failure::Failure;
use crate::ratios::Members;

pub(super) fn growth(scale: Scale) -> Result<Growth, Failure> {
    let make = |size| Ok(Members::new(size));
    Growth::measure("members", scale, make, |of| {
        Ok(vec![
            ("a store to a random padded word", of.store()),
            ("heartbeat by handle", of.by_handle()),
            ("heartbeat by names", of.by_names()),
            ("heartbeat by names, 16 together", of.by_names_together()),
            ("a member joins and leaves", of.passing(scale.steps / 10)),
        ])
    })
}
