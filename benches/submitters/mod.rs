//! A shard's loop that counts, and threads that all bring it events.

use takhin_coordinator::shard::{Batch, MailboxConfig, Ran, ShardLoop, Turn};

/// An event of a usual size: what it asks, and where the reply goes.
pub(crate) type Event = [u64; 4];

/// What the loop has done.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) sum: u64,
    pub(crate) events: u64,
    /// Turns that had any.
    pub(crate) turns: u64,
}

pub(crate) fn serve(served: &mut Served, batch: &mut Batch<'_, Event>) -> Turn {
    let before = served.events;
    for event in batch {
        served.sum = served.sum.wrapping_add(event[0]);
        served.events += 1;
    }
    served.turns += u64::from(served.events > before);
    Turn::default()
}

pub(crate) fn shard() -> ShardLoop<Served, Event> {
    let (shard, _driver) = ShardLoop::new(Served::default(), &MailboxConfig::default());
    // As a driver that sleeps without a limit.
    shard.drive(serve);
    shard
}

/// So many threads submit and run that many events each.
pub(crate) fn contend(shard: &ShardLoop<Served, Event>, threads: usize, each: u64) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for n in 0..each {
                    let mut event = [n; 4];
                    while let Err(back) = shard.submit(event) {
                        event = back.into_event();
                        shard.run(serve);
                    }
                    assert_ne!(shard.run(serve), Ran::Poisoned);
                }
            });
        }
    });
}
