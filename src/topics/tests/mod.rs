//! The data plane through its front.

mod sample;

mod produce;
