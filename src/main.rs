//! The `takhin-coordinator` binary: flags to configuration to engine to server.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    takhin_coordinator::server::main()
}
