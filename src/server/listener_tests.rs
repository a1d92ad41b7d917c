//! Servers on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::listener::Server;
use super::testing::{Script, ask, is_closed, request, response};
use crate::config::{Config, ConfigBuilder};
use crate::metrics::{CloseReason, Metrics};
use crate::time::SystemClock;

async fn start(config: ConfigBuilder) -> (Server<Script>, SocketAddr, Arc<Metrics>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new(1));
    let server = Server::start(
        Script::new(),
        vec![listener],
        &config.build().unwrap(),
        Arc::clone(&metrics),
        Arc::new(SystemClock::new()),
    );
    (server, address, metrics)
}

/// A connection that is certainly being served.
async fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut stream, b'e', "hello").await, "hello");
    stream
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_at_once_and_counted() {
    let (_server, address, metrics) = start(Config::builder().max_connections(2)).await;
    let first = connect(address).await;
    let mut second = connect(address).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut third).await);
    assert_eq!(metrics.server().connections_refused.value(), 1);
    assert_eq!(metrics.server().connections.value(), 2);
    assert_eq!(ask(&mut second, b'e', "alive").await, "alive");

    drop(first);
    while metrics.server().connections.value() > 1 {
        tokio::task::yield_now().await;
    }
    connect(address).await;
}

#[tokio::test]
async fn a_stop_answers_what_waits_and_closes_what_is_idle() {
    let (server, address, metrics) = start(Config::builder()).await;
    let mut idle = connect(address).await;
    let mut waiting = connect(address).await;
    waiting.write_all(&request(b'w', "released")).await.unwrap();
    while metrics.server().requests_parked.value() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(server.stop(LONG).await);
    assert_eq!(response(&mut waiting).await, "released");
    assert!(is_closed(&mut waiting).await);
    assert!(is_closed(&mut idle).await);
    assert_eq!(metrics.server().closed(CloseReason::Shutdown).value(), 2);
    assert_eq!(metrics.server().connections.value(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_cuts_off_what_does_not_end_in_its_time() {
    let (server, address, metrics) = start(Config::builder()).await;
    let mut stuck = connect(address).await;
    stuck.write_all(&request(b's', "")).await.unwrap();
    while metrics.server().requests_parked.value() == 0 {
        tokio::task::yield_now().await;
    }
    // From here on time passes as soon as nothing else happens.
    tokio::time::pause();
    assert!(!server.stop(LONG).await);
    assert!(is_closed(&mut stuck).await);
    while metrics.server().connections.value() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(metrics.server().requests_parked.value(), 0);
}
