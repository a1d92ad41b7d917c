//! The process of one who disturbs: ready, then told to go and to rest, line by line.
//!
//! ```text
//!   input          output
//!                  ready
//!   go
//!   rest           rested 17      so many steps in all so far
//! ```
//!
//! It ends with its input.

use std::io::Write as _;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::timeout_at;

use super::args::{DisturbArgs, Disturbance};
use crate::clock;
use crate::failure::Failure;
use crate::wire::Kind;
use crate::wire::loads::{Deaf, Flood, Load, Rebalances, Scrape, Seen};

pub(super) const READY: &str = "ready";
pub(super) const GO: &str = "go";
pub(super) const REST: &str = "rest";
pub(super) const RESTED: &str = "rested ";

/// Disturbs until the input ends.
pub(crate) fn run(args: &DisturbArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address = args.bootstrap.as_str();
    LocalSet::new().block_on(&runtime, async {
        match args.disturbance {
            Disturbance::Crowd => {
                let crowd = Rebalances::prepare(address, args.size).await?;
                drive(crowd, Duration::ZERO).await
            }
            Disturbance::Deaf => drive(Deaf::prepare(address).await?, Duration::ZERO).await,
            Disturbance::Flood => {
                drive(
                    Flood::prepare(address, Kind::Commits, 1).await?,
                    Duration::ZERO,
                )
                .await
            }
            Disturbance::Scrape => {
                let scrape = Scrape::prepare(address, Some(&args.admin), args.size);
                drive(scrape.await?, Duration::from_secs(1)).await
            }
        }
    })
}

/// A step follows the other when it is done, but not before `every` is over.
async fn drive<L: Load>(mut load: L, every: Duration) -> Result<(), Failure> {
    let mut goes = listen();
    say(READY)?;
    let (mut steps, mut seen) = (0_u64, Seen::default());
    while goes.wait_for(|goes| *goes).await.is_ok() {
        while *goes.borrow() {
            let next = clock::now() + every;
            load.step(&mut seen).await?;
            steps += 1;
            // Either the time is over, or there is no next step.
            let _ = timeout_at(next.into(), goes.wait_for(|goes| !*goes)).await;
        }
        load.rest();
        say(&format!("{RESTED}{steps}"))?;
    }
    Ok(())
}

/// Whether it is to go, as the input says.
fn listen() -> watch::Receiver<bool> {
    let (sender, goes) = watch::channel(false);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            sender.send_replace(line == GO);
        }
        sender.send_replace(false);
    });
    goes
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
