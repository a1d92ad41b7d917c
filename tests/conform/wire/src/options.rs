//! Settings of a connection, what it counts, and what the server offers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::{Message, Request, StrBytes, VersionRange};

use crate::error::WireError;

/// Counted over all connections opened with the same [`Options`].
#[derive(Debug, Default)]
pub struct Anomalies {
    /// Replies whose correlation id matches no request that was sent.
    pub stray_replies: AtomicU64,
    /// Replies that came after their caller had given up: no breach, but telling.
    pub late_replies: AtomicU64,
    /// Replies that overtook the reply to an earlier request of the same connection.
    pub reordered_replies: AtomicU64,
    /// Replies with bytes left over after the last field.
    pub trailing_bytes: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug, Clone)]
pub struct Options {
    pub client_id: StrBytes,
    pub connect_timeout: Duration,
    /// The limit of a call that isn't given its own.
    pub call_timeout: Duration,
    /// A reply that announces more bytes than this breaks the connection.
    pub max_frame: usize,
    /// Highest version to use of an API, by API key, where the newest isn't wanted; a negative
    /// one hides the API.
    pub caps: BTreeMap<i16, i16>,
    pub anomalies: Arc<Anomalies>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: StrBytes::from_static_str("conform"),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            max_frame: 256 << 20,
            caps: BTreeMap::new(),
            anomalies: Arc::default(),
        }
    }
}

/// What the server said it offers, less the caps of [`Options`].
#[derive(Debug, Clone, Default)]
pub struct Versions {
    offered: BTreeMap<i16, VersionRange>,
}

impl Versions {
    pub(crate) fn new(response: &ApiVersionsResponse, caps: &BTreeMap<i16, i16>) -> Self {
        let offered = response.api_keys.iter().filter_map(|api| {
            let cap = caps.get(&api.api_key).copied().unwrap_or(i16::MAX);
            let range = VersionRange {
                min: api.min_version,
                max: api.max_version.min(cap),
            };
            (cap >= 0).then_some((api.api_key, range))
        });
        Self {
            offered: offered.collect(),
        }
    }

    /// API keys and version ranges as offered, in order of API key.
    pub fn offered(&self) -> impl Iterator<Item = (i16, VersionRange)> + '_ {
        self.offered.iter().map(|(&key, &range)| (key, range))
    }

    /// The highest version of `R` that both this client and the server speak.
    pub fn pick<R: Request>(&self) -> Option<i16> {
        let both = self
            .offered
            .get(&R::KEY)?
            .intersect(&R::VERSIONS)
            .intersect(&R::Response::VERSIONS);
        (!both.is_empty()).then_some(both.max)
    }

    /// Like [`Versions::pick`], with the error to return if there is no such version.
    pub fn need<R: Request>(&self) -> Result<i16, WireError> {
        self.pick::<R>().ok_or_else(|| WireError::Unsupported {
            what: format!("{} (versions {})", api_name(R::KEY), R::VERSIONS),
        })
    }
}

pub fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("Api{key}"), |api| format!("{api:?}"))
}
