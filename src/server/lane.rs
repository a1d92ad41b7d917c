//! The lane of connections that take part in a rebalance.
//!
//! A rebalance of ten thousand members makes ten thousand connections readable at about the same
//! time, and each of their requests costs several microseconds. Served as they come, they stand in
//! the runtime's queue before whoever comes next, for tens of milliseconds. So a connection whose
//! last request was one of a rebalance is *of the crowd*, and reads only with a pass, of which
//! there are a few for the node:
//!
//! ```text
//!   readable ---> in the row ---> has a pass ---> read, carry out, write
//!                 any number      PASSES_MAX, until the pacer brings new ones
//! ```
//!
//! Who waits in the row costs the others a fraction of a microsecond, since nothing of it was read.
//! All others are served as they come; one that turns out to bring a request of a rebalance gets
//! its pass before that is carried out.
//!
//! It is the pace that counts, not how many are served at one time: a request is carried out
//! without a pause, so no more are at one time than there are threads. The pacer is a task that
//! lives while somebody waits. It lets the runtime run all that is due and look for more, then
//! brings new passes, and so on; so each handful of the crowd lets all others go before it. A pass
//! is never given back, so nobody can withhold one, neither a peer that does not read nor a join
//! that waits for its group. The row keeps its order and refuses nobody.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// The lane of one node.
#[derive(Debug)]
pub(super) struct Lane {
    passes: Semaphore,
    // Whether there is a pacer; written by who needs one, and by the pacer as it ends.
    is_paced: AtomicBool,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            passes: Semaphore::new(PASSES_MAX),
            is_paced: AtomicBool::new(false),
        }
    }

    /// Takes a pass, unless there is none or others wait for one.
    fn take_now(&self) -> bool {
        let pass = self.passes.try_acquire();
        pass.map(|pass| pass.forget()).is_ok()
    }

    /// Waits for a pass in the row.
    async fn take(&self) {
        let pass = self.passes.acquire().await;
        pass.expect("nobody closes the lane").forget();
    }

    /// Sees to it that there will be passes again.
    fn pace(self: &Arc<Self>) {
        // AcqRel: pairs with the swap in the pacer's drop. If a pacer is there by this swap, then
        // its last refill comes later, and finds in the row whoever stood there before.
        if !self.is_paced.swap(true, Ordering::AcqRel) {
            tokio::spawn(Pacer(Arc::clone(self)).run());
        }
    }

    fn refill(&self) {
        let missing = PASSES_MAX.saturating_sub(self.passes.available_permits());
        self.passes.add_permits(missing);
    }
}

/// Brings new passes while somebody waits for one.
struct Pacer(Arc<Lane>);

impl Pacer {
    async fn run(self) {
        loop {
            // Comes back when the runtime has run what was due and has looked for more.
            yield_now().await;
            self.0.refill();
            if self.0.passes.available_permits() > 0 {
                return;
            }
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        // AcqRel: see `Lane::pace`.
        self.0.is_paced.swap(false, Ordering::AcqRel);
        // For who saw this pacer and came too late for it; the last of these asks for another one.
        self.0.refill();
    }
}

/// What one connection has of the lane of its node.
pub(super) struct Pass<'a> {
    lane: &'a Arc<Lane>,
    row: Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
    is_in: bool,
    is_of_crowd: bool,
}

impl<'a> Pass<'a> {
    /// None yet, and not of the crowd.
    pub(super) fn new(lane: &'a Arc<Lane>) -> Self {
        Self {
            lane,
            row: None,
            is_in: false,
            is_of_crowd: false,
        }
    }

    /// Whether a request of a rebalance may be carried out.
    pub(super) fn is_in(&self) -> bool {
        self.is_in
    }

    /// A request was carried out, of a rebalance or not.
    pub(super) fn carried_out(&mut self, is_of_rebalance: bool) {
        self.is_of_crowd = is_of_rebalance;
    }

    /// Waits for a pass, if it is not in.
    pub(super) fn poll_enter(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_in {
            return Poll::Ready(());
        }
        self.is_in = self.row.is_none() && self.lane.take_now();
        if !self.is_in {
            let lane = self.lane;
            let row = self.row.get_or_insert_with(|| Box::pin(lane.take()));
            self.is_in = row.as_mut().poll(cx).is_ready();
        }
        if self.lane.passes.available_permits() == 0 {
            self.lane.pace();
        }
        if !self.is_in {
            return Poll::Pending;
        }
        self.row = None;
        Poll::Ready(())
    }

    /// Goes out of the lane, or out of the row.
    pub(super) fn leave(&mut self) {
        self.row = None;
        self.is_in = false;
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("is_waiting", &self.row.is_some())
            .field("is_in", &self.is_in)
            .field("is_of_crowd", &self.is_of_crowd)
            .finish_non_exhaustive()
    }
}

/// A stream of which one of the crowd reads only with a pass.
pub(super) struct Gate<'p, 'a, I> {
    pub(super) pass: &'p mut Pass<'a>,
    pub(super) stream: &'p mut I,
    /// Whether there may be something to read, as far as that can be told without reading.
    pub(super) readable: fn(&I, &mut Context<'_>) -> Poll<()>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Gate<'_, '_, I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = &mut *self;
        if gate.pass.is_of_crowd {
            ready!((gate.readable)(gate.stream, cx));
            ready!(gate.pass.poll_enter(cx));
        }
        let read = Pin::new(&mut *gate.stream).poll_read(cx, buf);
        if read.is_pending() {
            gate.pass.leave();
        }
        read
    }
}

/// Whether a frame that begins so is a request that all members of a group make at about the same
/// time: a join, a leave or a sync. Asked of each heartbeat, too.
#[inline]
pub(super) fn is_of_rebalance(key: [u8; 2]) -> bool {
    matches!(key, [0, 11 | 13 | 14])
}

/// Requests of rebalances before all others have their turn: some 0.1 ms of one processor. Of a
/// group of 10,000 on two processors others feel no more than the machine's part with 4 or 16, and
/// three times as much with 64; with 4 the pacer itself begins to cost.
const PASSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::super::listener::is_readable;
    use super::super::testing::{World, ask, join, request, response, settle};
    use super::*;

    /// Nobody gets a pass any more.
    fn shut(lane: &Lane) {
        lane.is_paced.store(true, Ordering::Relaxed);
        while lane.take_now() {}
    }

    /// As when a pacer ends that has paced meanwhile.
    fn open(lane: &Arc<Lane>) {
        drop(Pacer(Arc::clone(lane)));
    }

    /// The client of a connection that is of the crowd.
    async fn one_of_crowd(world: &World, buffer: usize) -> DuplexStream {
        let (mut client, _task) = world.connect(buffer);
        client.write_all(&join(b'e', "")).await.unwrap();
        response(&mut client).await;
        settle().await;
        client
    }

    fn is_ready(future: impl Future) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(future).poll(&mut context).is_ready()
    }

    #[tokio::test]
    async fn one_of_the_crowd_reads_nothing_without_a_pass() {
        let world = World::new();
        let mut client = one_of_crowd(&world, 16).await;
        shut(&world.node.lane);
        client.write_all(&request(b'e', "nine byte")).await.unwrap();
        settle().await;
        assert!(!is_ready(client.write_u8(0)), "the buffer is still full");
        assert_eq!(world.node.service.calls(), 1);
        open(&world.node.lane);
        assert_eq!(response(&mut client).await, "nine byte");
    }

    #[test]
    fn joins_leaves_and_syncs_are_of_a_rebalance() {
        use super::super::api;
        use crate::metrics::Api;
        for key in 0..=u16::MAX {
            let key = key.to_be_bytes();
            let api = api::of(&key);
            let is = matches!(api, Api::JoinGroup | Api::LeaveGroup | Api::SyncGroup);
            assert_eq!(is_of_rebalance(key), is, "{key:?}");
        }
    }

    #[tokio::test]
    async fn others_need_no_pass() {
        let world = World::new();
        let mut was_of_crowd = one_of_crowd(&world, 1 << 16).await;
        assert_eq!(ask(&mut was_of_crowd, b'e', "calm").await, "calm");
        settle().await;
        let (mut never_was, _task) = world.connect(1 << 16);
        shut(&world.node.lane);
        for client in [&mut was_of_crowd, &mut never_was] {
            for _ in 0..3 {
                assert_eq!(ask(client, b'e', "served").await, "served");
            }
        }
    }

    #[tokio::test]
    async fn a_request_of_a_rebalance_waits_for_a_pass_and_the_answers_before_it_do_not() {
        let world = World::new();
        let (mut client, _task) = world.connect(1 << 16);
        shut(&world.node.lane);
        let burst = [
            request(b'e', "before"),
            join(b'e', "join"),
            request(b'e', "after"),
        ];
        client.write_all(&burst.concat()).await.unwrap();
        assert_eq!(response(&mut client).await, "before");
        settle().await;
        assert_eq!(world.node.service.calls(), 1);
        open(&world.node.lane);
        assert_eq!(response(&mut client).await, "join");
        assert_eq!(response(&mut client).await, "after");
    }

    #[tokio::test]
    async fn with_passes_left_a_burst_is_still_answered_with_one_write() {
        let world = World::new();
        let (mut client, _task) = world.connect(1 << 16);
        let burst = [request(b'e', "before"), join(b'e', "join")];
        client.write_all(&burst.concat()).await.unwrap();
        assert_eq!(response(&mut client).await, "before");
        assert_eq!(response(&mut client).await, "join");
        assert_eq!(world.writes(), 1);
    }

    #[tokio::test]
    async fn who_waits_for_its_group_or_its_peer_withholds_no_pass() {
        let world = World::new();
        let mut waiting = Vec::new();
        for _ in 0..2 * PASSES_MAX {
            for what in [b'w', b'b'] {
                let (mut client, _task) = world.connect(1 << 10);
                client.write_all(&join(what, "waited")).await.unwrap();
                waiting.push(client);
            }
        }
        settle().await;
        assert_eq!(world.node.service.calls(), 4 * PASSES_MAX);
        let mut client = one_of_crowd(&world, 1 << 10).await;
        assert_eq!(ask(&mut client, b'e', "served").await, "served");
        world.node.service.release.send_replace(true);
        for client in waiting.iter_mut().step_by(2) {
            assert_eq!(response(client).await, "waited");
        }
    }

    #[tokio::test]
    async fn all_are_served_in_the_order_in_which_they_came() {
        let world = World::new();
        let crowd = 10 * PASSES_MAX;
        let mut clients = Vec::new();
        for _ in 0..crowd {
            clients.push(one_of_crowd(&world, 1 << 10).await);
        }
        shut(&world.node.lane);
        let (served, mut order) = mpsc::unbounded_channel();
        for (at, mut client) in clients.into_iter().enumerate() {
            client.write_all(&join(b'e', "")).await.unwrap();
            settle().await;
            let served = served.clone();
            tokio::spawn(async move {
                response(&mut client).await;
                served.send(at).unwrap();
                client
            });
        }
        settle().await;
        open(&world.node.lane);
        for at in 0..crowd {
            assert_eq!(order.recv().await, Some(at));
        }
    }

    #[tokio::test]
    async fn all_others_go_before_the_next_handful_of_the_crowd() {
        let world = World::new();
        let (mut other, _task) = world.connect(1 << 10);
        let mut clients = Vec::new();
        for _ in 0..20 * PASSES_MAX {
            clients.push(one_of_crowd(&world, 1 << 10).await);
        }
        shut(&world.node.lane);
        for client in &mut clients {
            client.write_all(&join(b'e', "")).await.unwrap();
        }
        settle().await;
        let before = world.node.service.calls();
        open(&world.node.lane);
        for _ in 0..3 {
            let before = world.node.service.calls();
            assert_eq!(ask(&mut other, b'e', "calm").await, "calm");
            let calls = world.node.service.calls() - before;
            assert!(calls <= 3 * PASSES_MAX, "{calls} requests went before it");
        }
        for client in &mut clients {
            response(client).await;
        }
        assert_eq!(world.node.service.calls() - before, clients.len() + 3);
    }

    #[tokio::test]
    async fn a_connection_that_ends_in_the_row_leaves_its_pass_to_the_next() {
        let world = World::new();
        let (mut first, task) = world.connect(1 << 10);
        let mut second = one_of_crowd(&world, 1 << 10).await;
        shut(&world.node.lane);
        for client in [&mut first, &mut second] {
            client.write_all(&join(b'e', "served")).await.unwrap();
            settle().await;
        }
        // It is given to the first, which does not live to see it.
        world.node.lane.passes.add_permits(1);
        task.abort();
        assert_eq!(response(&mut second).await, "served");
    }

    #[tokio::test]
    async fn when_all_were_served_nobody_paces_and_all_passes_are_there() {
        let world = World::new();
        let mut client = one_of_crowd(&world, 1 << 10).await;
        for _ in 0..PASSES_MAX {
            client.write_all(&join(b'e', "")).await.unwrap();
            response(&mut client).await;
        }
        settle().await;
        let lane = &world.node.lane;
        assert!(!lane.is_paced.load(Ordering::Relaxed));
        assert!(lane.passes.available_permits() > 0);
        assert_eq!(Arc::strong_count(lane), 1);
    }

    #[tokio::test]
    async fn a_socket_with_nothing_to_read_takes_no_pass() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let lane = Arc::new(Lane::new());
        let mut pass = Pass::new(&lane);
        pass.carried_out(true);
        let mut gate = Gate {
            pass: &mut pass,
            stream: &mut stream,
            readable: is_readable,
        };
        // Of a new one the runtime does not know; it is tried.
        assert!(!is_ready(gate.read_u8()));
        let passes = lane.passes.available_permits();
        assert!(!is_ready(gate.read_u8()));
        assert_eq!(lane.passes.available_permits(), passes);
        client.write_all(b"x").await.unwrap();
        assert_eq!(gate.read_u8().await.unwrap(), b'x');
        assert_eq!(lane.passes.available_permits(), passes - 1);
    }
}
