//! A wheel full of session timeouts, and numbers that look random.

use takhin_coordinator::time::{Tick, Wheel, WheelConfig};

/// As the shard's timers: a key, and the sequence number that tells whether it is stale.
pub(crate) type Payload = (u32, u32, u64);

/// A small generator of numbers that look random; the seed makes runs alike.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A session timeout, uniform between 10 and 45 s.
    pub(crate) fn timeout_ms(&mut self) -> u64 {
        10_000 + self.next() % 35_000
    }

    pub(crate) fn member(&mut self, members: u32) -> u32 {
        u32::try_from(self.next() % u64::from(members)).expect("it is below u32::MAX")
    }
}

/// That many members, each with a deadline within the longest timeout.
pub(crate) fn full_wheel(numbers: &mut Numbers, members: u32) -> Wheel<Payload> {
    let mut wheel = Wheel::new(WheelConfig::default(), Tick(0));
    for member in 0..members {
        let deadline = Tick(numbers.timeout_ms());
        wheel
            .insert(deadline, (member, 0, 0))
            .expect("there is room");
    }
    wheel
}
