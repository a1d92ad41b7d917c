//! What a case works with: the broker, the labels that replace everything random, and the
//! transcript of what was observed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use conform_wire::{Conn, Options, Versions, WireError, error_name};
use kafka_protocol::protocol::{Request, StrBytes};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

pub fn text(s: impl AsRef<str>) -> StrBytes {
    StrBytes::from_string(s.as_ref().to_owned())
}

pub fn err(code: i16) -> String {
    error_name(code)
}

/// One observation, and what the specification says of it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Step {
    pub label: String,
    /// Space separated tokens, everything random replaced by labels.
    pub seen: String,
    /// Tokens that must be among those seen: `a|b` either, `!a` not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// Not compared: messages, raw values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether `seen` is as `spec` wants it.
pub fn matches(spec: &str, seen: &str) -> bool {
    spec.split_whitespace().all(|want| {
        want.split('|').any(|token| match token.strip_prefix('!') {
            Some(not) => !seen.split_whitespace().any(|s| s == not),
            None => seen.split_whitespace().any(|s| s == token),
        })
    })
}

/// The broker under test.
#[derive(Clone)]
pub struct Env {
    pub addr: String,
    pub options: Arc<Options>,
    pub versions: Versions,
    /// The longest wait for an answer.
    pub wait: Duration,
    /// The session timeout of classic members, in milliseconds.
    pub session: i32,
    /// How long a request must go unanswered to be seen as parked.
    pub park: Duration,
}

#[derive(Default)]
struct Inner {
    steps: Vec<Step>,
    names: HashMap<String, String>,
    blobs: HashMap<Bytes, String>,
    topics: HashMap<Uuid, String>,
    groups: Vec<String>,
    taken: HashSet<(String, String)>,
    topic_count: usize,
    stuck: bool,
}

#[derive(Clone)]
pub struct Cx {
    pub env: Arc<Env>,
    pub salt: String,
    inner: Arc<Mutex<Inner>>,
}

/// What came of a request.
#[derive(Debug, Clone)]
pub enum Out<T> {
    Got(T),
    /// Why there is no answer: a token for the transcript.
    Not(String),
}

impl<T> Out<T> {
    pub fn as_ref(&self) -> Option<&T> {
        match self {
            Self::Got(t) => Some(t),
            Self::Not(_) => None,
        }
    }

    pub fn show(&self, f: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Got(t) => f(t),
            Self::Not(why) => why.clone(),
        }
    }
}

impl Cx {
    pub fn new(env: Arc<Env>) -> Self {
        let salt = Uuid::new_v4().simple().to_string()[..10].to_owned();
        Self {
            env,
            salt,
            inner: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }

    // --- Transcript ----------------------------------------------------------------------

    /// Records what was seen, and what should have been unless `spec` is empty.
    pub fn note(&self, label: impl Into<String>, seen: impl Into<String>, spec: &str) {
        self.note_with(label, seen, spec, None);
    }

    pub fn note_with(
        &self,
        label: impl Into<String>,
        seen: impl Into<String>,
        spec: &str,
        detail: Option<String>,
    ) {
        let seen = seen.into();
        let mut inner = self.lock();
        inner.stuck |=
            seen.split_whitespace().any(|t| t == "no-reply") && !spec.contains("no-reply");
        let (spec, ok) = match spec {
            "" => (None, None),
            spec => (Some(spec.to_owned()), Some(matches(spec, &seen))),
        };
        inner.steps.push(Step {
            label: label.into(),
            seen,
            spec,
            ok,
            detail,
        });
    }

    /// Records a step of preparation, but only if it went wrong.
    pub fn setup(&self, label: impl Into<String>, seen: impl Into<String>, spec: &str) {
        let seen = seen.into();
        if !matches(spec, &seen) {
            self.note(format!("setup: {}", label.into()), seen, spec);
        }
    }

    pub fn steps(&self) -> (Vec<Step>, bool) {
        let inner = self.lock();
        (inner.steps.clone(), inner.stuck)
    }

    // --- Labels --------------------------------------------------------------------------

    /// A fresh group id.
    pub fn group(&self) -> String {
        let mut inner = self.lock();
        let label = format!("g{}", inner.groups.len() + 1);
        let id = format!("cf-{}-{label}", self.salt);
        inner.names.insert(id.clone(), label);
        inner.groups.push(id.clone());
        id
    }

    /// A fresh topic name, of a topic that isn't there.
    pub fn topic_name(&self) -> String {
        let mut inner = self.lock();
        inner.topic_count += 1;
        let label = format!("t{}", inner.topic_count);
        let name = format!("cf-{}-{label}", self.salt);
        inner.names.insert(name.clone(), label);
        name
    }

    pub fn call_it(&self, id: &str, label: &str) {
        self.lock().names.insert(id.to_owned(), label.to_owned());
    }

    pub fn call_topic(&self, id: Uuid, name: &str) {
        let mut inner = self.lock();
        let label = inner
            .names
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned());
        inner.topics.insert(id, label);
    }

    /// Bytes that will be shown as `label`.
    pub fn blob(&self, label: &str, bytes: Bytes) -> Bytes {
        self.lock().blobs.insert(bytes.clone(), label.to_owned());
        bytes
    }

    pub fn show(&self, s: &str) -> String {
        if s.is_empty() {
            return "\"\"".into();
        }
        let inner = self.lock();
        inner
            .names
            .get(s)
            .cloned()
            .unwrap_or_else(|| s.replace(char::is_whitespace, "_"))
    }

    pub fn show_opt(&self, s: Option<&StrBytes>) -> String {
        s.map_or_else(|| "null".into(), |s| self.show(s))
    }

    /// A member id: its label, `""`, or `?`.
    pub fn who(&self, id: &str) -> String {
        if id.is_empty() {
            return "\"\"".into();
        }
        self.lock()
            .names
            .get(id)
            .cloned()
            .unwrap_or_else(|| "?".into())
    }

    /// A member id just handed to `name`: named after it, with a dash for every earlier one
    /// of the same name in that group.
    pub fn name_id(&self, id: &str, name: &str, group: &str) -> String {
        if id.is_empty() {
            return "\"\"".into();
        }
        let mut inner = self.lock();
        if let Some(known) = inner.names.get(id) {
            return known.clone();
        }
        let mut label = name.to_owned();
        while !inner.taken.insert((group.to_owned(), label.clone())) {
            label.push('\'');
        }
        inner.names.insert(id.to_owned(), label.clone());
        label
    }

    pub fn show_bytes(&self, bytes: &Bytes) -> String {
        if bytes.is_empty() {
            return "empty".into();
        }
        if let Some(label) = self.lock().blobs.get(bytes) {
            return label.clone();
        }
        if let Some(assignment) = crate::blobs::assignment_text(self, bytes) {
            return assignment;
        }
        match std::str::from_utf8(bytes) {
            Ok(s) if s.chars().all(|c| c.is_ascii_graphic()) => s.to_owned(),
            _ => format!("bytes#{}", bytes.len()),
        }
    }

    /// Whose metadata this is, by its label `m<name>-...`.
    pub fn owner_of(&self, bytes: &Bytes) -> Option<String> {
        let inner = self.lock();
        let rest = inner.blobs.get(bytes)?.strip_prefix('m')?;
        rest.starts_with(char::is_uppercase)
            .then(|| rest[..1].to_owned())
    }

    pub fn show_topic(&self, id: Uuid) -> String {
        self.lock()
            .topics
            .get(&id)
            .cloned()
            .unwrap_or_else(|| "t?".into())
    }

    pub fn groups(&self) -> Vec<String> {
        self.lock().groups.clone()
    }

    // --- Calls ---------------------------------------------------------------------------

    pub async fn connect(&self) -> Result<Arc<Conn>> {
        Ok(Arc::new(
            Conn::connect(&self.env.addr, self.env.options.clone()).await?,
        ))
    }

    pub fn offers(&self, key: i16, version: i16) -> bool {
        self.env
            .versions
            .offered()
            .any(|(k, range)| k == key && range.min <= version && version <= range.max)
    }

    /// Ends the case as unsupported if the broker doesn't offer `version` of the API.
    pub fn need<R: Request>(&self, version: i16) -> Result<i16> {
        if self.offers(R::KEY, version) {
            return Ok(version);
        }
        let what = format!("{} v{version}", conform_wire::api_name(R::KEY));
        Err(WireError::Unsupported { what }.into())
    }

    /// `version`, or the broker's highest if that is lower.
    pub fn at_most<R: Request>(&self, version: i16) -> Result<i16> {
        let offered = self.env.versions.offered().find(|(k, _)| *k == R::KEY);
        let max = offered.map_or(version, |(_, range)| range.max.min(version));
        self.need::<R>(max)
    }

    pub async fn call<R: Request>(&self, conn: &Conn, request: &R, v: i16) -> Out<R::Response> {
        self.call_within(conn, request, v, self.env.wait).await
    }

    pub async fn call_within<R: Request>(
        &self,
        conn: &Conn,
        request: &R,
        v: i16,
        limit: Duration,
    ) -> Out<R::Response> {
        match conn.call_within(request, v, limit).await {
            Ok(response) => Out::Got(response),
            Err(e) => Out::Not(not(&e)),
        }
    }

    /// Calls on a connection of its own.
    pub async fn ask<R: Request>(&self, request: &R, v: i16) -> Result<Out<R::Response>> {
        self.need::<R>(v)?;
        let conn = self.connect().await?;
        Ok(self.call(&conn, request, v).await)
    }

    pub async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    pub fn deadline(&self, ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }
}

pub fn not(e: &WireError) -> String {
    match e {
        WireError::Timeout { .. } => "no-reply".into(),
        WireError::Closed { .. } => "connection-closed".into(),
        WireError::Connect { .. } => "cant-connect".into(),
        WireError::Decode { .. } => "undecodable-reply".into(),
        WireError::Encode { .. } => "cant-encode".into(),
        other => other.name(),
    }
}

#[cfg(test)]
impl Cx {
    pub fn for_tests() -> Self {
        Self::new(Arc::new(Env {
            addr: "127.0.0.1:1".into(),
            options: Arc::default(),
            versions: Versions::default(),
            wait: Duration::from_millis(10),
            session: 10_000,
            park: Duration::from_millis(10),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_match_tokens() {
        assert!(matches("NONE gen=2|gen=3", "NONE gen=3 me=A"));
        assert!(!matches("NONE gen=2", "NONE gen=3"));
        assert!(matches("!A=NONE top=NONE", "top=NONE B=NONE"));
        assert!(!matches("!A=NONE", "top=NONE A=NONE"));
    }

    #[test]
    fn ids_are_named_after_their_member_in_each_group() {
        let cx = Cx::for_tests();
        assert_eq!(cx.name_id("x", "A", "g"), "A");
        assert_eq!(cx.name_id("y", "A", "g"), "A'");
        assert_eq!(cx.name_id("x", "A", "g"), "A");
        assert_eq!(cx.name_id("z", "A", "h"), "A");
        assert_eq!(
            (cx.who("y"), cx.who(""), cx.who("w")),
            ("A'".into(), "\"\"".into(), "?".into())
        );
    }

    #[test]
    fn only_specified_steps_are_judged() {
        let cx = Cx::for_tests();
        cx.note("a", "NONE", "");
        cx.note("b", "no-reply", "NONE");
        cx.setup("c", "NONE", "NONE");
        let (steps, stuck) = cx.steps();
        assert_eq!(
            (steps.len(), steps[0].ok, steps[1].ok, stuck),
            (2, None, Some(false), true)
        );
    }
}
