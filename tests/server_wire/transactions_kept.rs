//! Transactions over restarts of the server.

use crate::node::Node;
use crate::records::create;
use crate::transactions::{
    Writer, committed, describe, end, fetch, init, init_as, request, stage, write,
};

const NONE: i16 = 0;
const INVALID_PRODUCER_EPOCH: i16 = 47;

/// A data directory that is not there yet.
fn fresh_dir(name: &str) -> String {
    let dir = format!("{}/transactions-{name}", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

#[test]
fn a_transaction_outlives_a_server_that_is_killed() {
    let dir = fresh_dir("outlives");
    let node = Node::start(&["--data-dir", &dir]);
    let mut client = node.connect();
    let topic = create(&mut client, "outlives", 1);
    let first = init(&mut client, "long");
    assert_eq!(write(&mut client, 12, &topic, first, 0), NONE);
    let (code, second) = end(&mut client, 5, first, false);
    assert_eq!(code, NONE);
    assert_eq!(write(&mut client, 12, &topic, second, 0), NONE);
    assert_eq!(stage(&mut client, 5, &topic, second, 7), NONE);
    // By SIGKILL.
    drop(node);
    let node = Node::start(&["--data-dir", &dir]);
    let mut client = node.connect();
    let (code, state, topics) = describe(&mut client, "long");
    assert_eq!((code, state.as_str()), (NONE, "Ongoing"));
    assert_eq!(topics, [("outlives".to_owned(), vec![0])]);
    let aborted = vec![(first.producer.0, 0)];
    let seen = fetch(&mut client, &topic, true);
    assert_eq!((seen.0, seen.2), (2, aborted.clone()));
    assert_eq!(committed(&mut client, &topic), (88, -1));
    let stale = write(&mut client, 12, &topic, first, 1);
    assert_eq!(stale, INVALID_PRODUCER_EPOCH);
    assert_eq!(write(&mut client, 12, &topic, second, 1), NONE);
    let (code, third) = end(&mut client, 5, second, true);
    assert_eq!((code, third.producer.1), (NONE, 2));
    assert_eq!(committed(&mut client, &topic), (NONE, 7));
    let seen = fetch(&mut client, &topic, true);
    assert_eq!((seen.0, seen.2), (5, aborted));
    drop(node);
    let node = Node::start(&["--data-dir", &dir]);
    let mut client = node.connect();
    assert_eq!(fetch(&mut client, &topic, true).0, 5);
    assert_eq!(end(&mut client, 5, second, true), (NONE, third));
    let given = init(&mut client, "another").producer.0;
    assert_ne!(given, first.producer.0);
}

#[test]
fn a_transaction_that_hangs_over_a_restart_is_aborted_by_its_timeout() {
    let dir = fresh_dir("hangs");
    let node = Node::start(&["--data-dir", &dir]);
    let mut client = node.connect();
    let topic = create(&mut client, "hangs", 1);
    let mut short = request("short");
    short.transaction_timeout_ms = 2_000;
    let (code, producer) = init_as(&mut client, 5, &short);
    assert_eq!(code, NONE);
    let by = Writer {
        id: "short",
        producer,
    };
    assert_eq!(write(&mut client, 12, &topic, by, 0), NONE);
    drop(node);
    let node = Node::start(&["--data-dir", &dir]);
    let mut client = node.connect();
    while describe(&mut client, "short").1 != "CompleteAbort" {
        std::thread::yield_now();
    }
    let (stable, _, aborted) = fetch(&mut client, &topic, true);
    assert_eq!((stable, aborted), (2, vec![(producer.0, 0)]));
}

#[test]
fn a_damaged_log_of_transactions_is_refused_with_a_sentence() {
    let dir = fresh_dir("damaged");
    let node = Node::start(&["--data-dir", &dir]);
    let mut client = node.connect();
    init(&mut client, "one");
    init(&mut client, "two");
    drop(node);
    let log = format!("{dir}/transactions/transactions.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let start = |args: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_takhin-coordinator"))
            .args(["--listen", "127.0.0.1:0", "--data-dir", &dir])
            .args(args)
            .output()
            .unwrap()
    };
    let refused = start(&[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("transactions.log' is damaged at byte 20"),
        "{said}"
    );
    assert_eq!(std::fs::read(&log).unwrap(), bytes);
    Node::start(&["--data-dir", &dir, "--repair", "quarantine"]).stop();
    Node::start(&["--data-dir", &dir]).stop();
}
