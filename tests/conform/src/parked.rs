//! A request that the server may hold back.

use std::time::Duration;

use kafka_protocol::protocol::Request;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cx::{Cx, Out};

/// A request whose answer is awaited in the background.
pub struct Parked<R: Request> {
    pub(crate) task: JoinHandle<Out<R::Response>>,
    /// When it was sent.
    pub(crate) since: Instant,
}

impl<R: Request + Send + 'static> Parked<R>
where
    R::Response: Send,
{
    /// "parked" if there is no answer for a little while, else "answered".
    pub async fn check(&mut self, cx: &Cx, label: &str, spec: &str) {
        let seen = if self.settled(cx.env.park).await {
            "answered"
        } else {
            "parked"
        };
        cx.note(label, seen, spec);
    }

    /// Whether an answer comes within `limit`.
    pub async fn settled(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while !self.task.is_finished() {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Gives up waiting and closes the connection, unless someone else holds it too.
    pub fn abandon(self) {
        self.task.abort();
    }

    pub async fn out(self) -> Out<R::Response> {
        self.task
            .await
            .unwrap_or_else(|_| Out::Not("client-error".into()))
    }

    /// The answer, and how long it took since the request was sent.
    pub async fn timed(self) -> (Out<R::Response>, Duration) {
        let since = self.since;
        let out = self.out().await;
        (out, since.elapsed())
    }
}
