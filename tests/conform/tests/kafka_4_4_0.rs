//! The server, with the settings of each profile, answers as Apache Kafka 4.4.0 did: any
//! difference that is not in the tables of `src/deviations.rs` fails.

use std::path::PathBuf;
use std::sync::OnceLock;

use conform::case::Profile;
use conform::check::check_binary;
use conform::run::Options;
use conform::server;

/// How long no answer counts as parked, in milliseconds: `CONFORM_PARK_MS` on a slow machine.
fn options() -> Options {
    let park_ms = std::env::var("CONFORM_PARK_MS")
        .ok()
        .and_then(|ms| ms.parse().ok());
    let defaults = Options::default();
    Options {
        park_ms: park_ms.unwrap_or(defaults.park_ms),
        ..defaults
    }
}

/// Built once, however many profiles are tested.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| server::binary().expect("the server builds"))
}

async fn answers_as_kafka(profile: Profile) {
    let verdict = check_binary(binary(), profile, &options())
        .await
        .expect("the check runs");
    println!("{profile}: {}", verdict.summary());
    println!("{verdict}");
    assert!(
        verdict.is_good(),
        "{profile}: {}\n{verdict}",
        verdict.summary()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_default_settings() {
    answers_as_kafka(Profile::Default).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_initial_rebalance_delay() {
    answers_as_kafka(Profile::Delay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_small_groups() {
    answers_as_kafka(Profile::SmallGroup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_migration() {
    answers_as_kafka(Profile::NoMigration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_classic_protocol_only() {
    answers_as_kafka(Profile::ClassicOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_quick_expiry_of_offsets() {
    answers_as_kafka(Profile::Expiry).await;
}
