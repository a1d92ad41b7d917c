//! The `takhin-coordinator` binary: flags to configuration to engine to server.

fn main() {}
