//! The binary from outside: flags, files, the ready line, signals, exit codes.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail it as the test itself"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A run of the binary that is ended with the test.
struct Run {
    child: Child,
    addresses: Vec<SocketAddr>,
}

impl Run {
    /// Starts the binary and reads that many ready lines.
    fn start(listeners: usize, args: &[&str]) -> Self {
        let mut child = binary(args).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut addresses = Vec::new();
        for _ in 0..listeners {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let address = line.trim_end().strip_prefix("listening on ");
            addresses.push(address.unwrap_or_else(|| panic!("{line}")).parse().unwrap());
        }
        Self { child, addresses }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// The exit code and what was logged.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    /// The address in the first line of the log that has `mark` before it.
    fn address_in_log(&mut self, mark: &str) -> SocketAddr {
        let mut log = BufReader::new(self.child.stderr.as_mut().unwrap());
        loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "no line with {mark}");
            if let Some((_, address)) = line.split_once(mark) {
                return address.trim_end().parse().unwrap();
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_takhin-coordinator"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end; for command lines that do not serve.
fn output(args: &[&str]) -> Output {
    binary(args).output().unwrap()
}

/// What is said about a command line that must be refused.
fn refusal(args: &[&str]) -> String {
    let output = output(args);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?} printed on stdout");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    text
}

/// A file of this test run.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn a_wrong_flag_is_refused_with_a_sentence() {
    for (args, part) in [
        (&["--lisen", "127.0.0.1:0"][..], "--listen"),
        (&["--listen", "127.0.0.1"], "expected HOST:PORT"),
        (
            &["--listen", "127.0.0.1:99999"],
            "the port must be a number",
        ),
        (&["--listen"], "a value is required"),
        (&["--advertise", "example.org:0"], "cannot be told port 0"),
        (&["--set", "group.max.size"], "expected PROPERTY=VALUE"),
        (&["--admin", ":1"], "expected HOST:PORT"),
        (&["frobnicate"], "serve"),
    ] {
        let text = refusal(args);
        assert!(text.contains(part), "{args:?}: {text}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_a_sentence() {
    for (set, sentence) in [
        (
            "group.max.sise=3",
            "error: unknown property 'group.max.sise', did you mean 'group.max.size'?\n",
        ),
        (
            "no.such.thing=3",
            "error: unknown property 'no.such.thing'\n",
        ),
        (
            "group.max.size=0",
            "error: invalid value '0' for 'group.max.size': must be between 1 and 2147483647\n",
        ),
        (
            "group.min.session.timeout.ms=2000000",
            "error: 'group.min.session.timeout.ms' and 'group.max.session.timeout.ms' contradict \
             each other: the minimum 2000000 is above the maximum 1800000\n",
        ),
    ] {
        assert_eq!(refusal(&["--set", set]), sentence);
    }
}

#[test]
fn a_wrong_file_is_refused_with_a_sentence() {
    let missing = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("no-such-file");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (path, part) in [
        (missing, "cannot read"),
        (folder, "cannot read"),
        (file("binary", &[0xff, 0xfe, 0x00]), "is not UTF-8 text"),
        (file("large", &vec![b'\n'; 1_048_577]), "is longer than"),
        (file("escape", b"a=1\nb=\\u00"), "line 2:"),
        (
            file("unknown", b"num.partitons=3\n"),
            "did you mean 'num.partitions'?",
        ),
        (file("value", b"num.partitions=many\n"), "whole number"),
    ] {
        let text = refusal(&["--config", path.to_str().unwrap()]);
        assert!(text.contains(part), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
}

#[test]
fn a_port_in_use_is_a_failure_and_not_a_wrong_value() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains(&format!("cannot listen on {address}")),
        "{text}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn every_listener_has_its_ready_line_with_its_real_port() {
    let two = ["--listen", "127.0.0.1:0", "--listen", "localhost:0"];
    let run = Run::start(2, &two);
    for address in &run.addresses {
        assert_ne!(address.port(), 0);
        TcpStream::connect(address).unwrap();
    }
}

#[test]
fn a_signal_ends_it_with_code_0() {
    for signal in ["-TERM", "-INT"] {
        let run = Run::start(1, &["serve", "--listen", "127.0.0.1:0"]);
        let _idle = TcpStream::connect(run.addresses[0]).unwrap();
        run.signal(signal);
        let (code, log) = run.end();
        assert_eq!(code, Some(0), "{signal}: {log}");
    }
}

#[test]
fn a_property_without_effect_is_taken_with_a_warning() {
    let path = file(
        "server.properties",
        b"# a broker's own file\nbroker.id=1\nlog.dirs = /nowhere\nnum.partitions: 3\n",
    );
    let run = Run::start(
        1,
        &[
            "--listen",
            "127.0.0.1:0",
            "--config",
            path.to_str().unwrap(),
            "--set",
            "offsets.topic.replication.factor=1",
        ],
    );
    run.signal("-TERM");
    let (code, log) = run.end();
    assert_eq!(code, Some(0));
    for key in ["broker.id", "log.dirs", "offsets.topic.replication.factor"] {
        let warning = format!("property '{key}' has no effect here");
        assert!(log.contains(&warning), "{log}");
    }
    assert!(!log.contains("num.partitions"), "{log}");
}

#[test]
fn the_admin_endpoint_answers_what_it_knows_and_refuses_the_rest() {
    let mut run = Run::start(1, &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let admin = run.address_in_log("admin on http://");
    for (head, status) in [
        ("GET /livez", "200"),
        ("GET /readyz", "200"),
        ("GET /metrics", "200"),
        ("HEAD /livez", "200"),
        ("GET /metrics?x=y", "200"),
        ("GET /", "404"),
        ("GET /metrics/", "404"),
        ("POST /nothing", "404"),
        ("POST /metrics", "405"),
        ("DELETE /livez", "405"),
    ] {
        let response = http(admin, &format!("{head} HTTP/1.1\r\nhost: here\r\n\r\n"));
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&expected), "{head}: {response}");
    }
    let metrics = http(admin, "GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n");
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("\ntakhin_connections 0\n"), "{metrics}");
    let garbage = http(admin, "\u{1}\u{2}\u{3}\r\n\r\n");
    assert!(
        garbage.is_empty() || garbage.starts_with("HTTP/1.1 400 "),
        "{garbage}"
    );
    let long = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(7_000));
    assert!(http(admin, &long).starts_with("HTTP/1.1 200 "));
    run.signal("-TERM");
    assert_eq!(run.end().0, Some(0));
}
