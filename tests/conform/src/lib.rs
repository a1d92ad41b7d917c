//! Differential conformance of Kafka group coordinators: black-box cases, what Apache Kafka
//! itself answered to them, and the comparison. `README.md` is the manual.

pub mod admin;
pub mod blobs;
pub mod case;
pub mod cases;
pub mod check;
pub mod cx;
pub mod deviations;
pub mod dice;
pub mod member;
pub mod modern;
pub mod offsets;
pub mod parked;
pub mod print;
pub mod raw;
pub mod report;
pub mod run;
pub mod scene;
pub mod server;
pub mod show;
pub mod txn;
