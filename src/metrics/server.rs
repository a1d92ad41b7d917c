//! What the server counts beside requests.

use super::cell::{Counter, Gauge};
use super::kinds::CloseReason;

/// Connections and what was refused to them; written by any connection.
#[derive(Debug, Default)]
pub struct ServerMetrics {
    /// Open connections.
    pub connections: Gauge,
    /// Connections that were taken.
    pub connections_accepted: Counter,
    /// Connections that were closed at once, because there were `max.connections`.
    pub connections_refused: Counter,
    /// Connections that could not be accepted, for want of descriptors or memory.
    pub accept_failures: Counter,
    /// Requests that wait for their answer.
    pub requests_parked: Gauge,
    /// Bytes of large requests that are being received or carried out.
    pub large_frame_bytes: Gauge,
    closed: [Counter; CloseReason::ALL.len()],
}

impl ServerMetrics {
    /// Connections that ended for that reason.
    pub fn closed(&self, reason: CloseReason) -> &Counter {
        &self.closed[reason.index()]
    }
}
