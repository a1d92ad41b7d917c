//! Tests of topics on a disk that they own: what survives a crash is theirs to say.

mod crash;
mod damage;
mod life;
mod space;
mod stage;
