//! Time as a value: ticks and wall time that are passed in, the one place that reads a clock,
//! and the wheel that fires deadlines.

mod clock;
mod stalls;
mod tidy;
mod wheel;

pub use clock::{Clock, ManualClock, Now, SystemClock, Tick, WallMs};
pub use stalls::Stalls;
pub use wheel::{Wheel, WheelConfig, WheelFull};
