//! The binary as a child of the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use crate::client::Client;

/// A running server; killed with the test.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    log: Option<JoinHandle<String>>,
}

impl Node {
    /// Starts a server with more arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", args)
    }

    /// The same at an address.
    pub(crate) fn start_at(listen: &str, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_takhin-coordinator"))
            .args(["--listen", listen, "--admin", "127.0.0.1:0"])
            .args(args)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let address = address_after(&mut stdout, "listening on ", &mut String::new());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        let admin = address_after(&mut stderr, "admin on http://", &mut log);
        // The log is read all the time, so that the server never waits for a reader.
        let log = std::thread::spawn(move || {
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let node = Self {
            child,
            address,
            admin,
            log: Some(log),
        };
        // It listens while its shards still load, and would say so to what the test asks first.
        while node.get("/readyz").contains("loading") {
            std::thread::yield_now();
        }
        node
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// The figure of that name, as the admin endpoint tells it.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .trim()
            .parse()
            .unwrap()
    }

    /// What the admin endpoint answers.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Asks for a figure until it is as wanted.
    pub(crate) fn await_metric(&self, name: &str, wanted: u64) {
        while self.metric(name) != wanted {
            std::thread::yield_now();
        }
    }

    /// Memory of the process, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.trim().parse().unwrap()
    }

    /// Ends it by SIGTERM; the exit code and what it logged.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        let log = self.log.take().unwrap().join().unwrap();
        (code, log)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address behind a mark; the lines before it are kept.
fn address_after(lines: &mut impl BufRead, mark: &str, skipped: &mut String) -> SocketAddr {
    loop {
        let mut line = String::new();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "no line with {mark}"
        );
        if let Some((_, address)) = line.split_once(mark) {
            return address.trim_end().parse().unwrap();
        }
        skipped.push_str(&line);
    }
}
