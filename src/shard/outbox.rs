//! Answers that many get at once, handed out as they are taken.
//!
//! A rebalance of ten thousand members ends in one step, and each of its answers wakes a task that
//! has bytes to write. All woken at once, they stand in the executor's queue before whoever comes
//! next, for tens of milliseconds. So no more than [`ON_THEIR_WAY_MAX`] answers are on their way
//! at one time; the next leave when those before were taken, in the same order:
//!
//! ```text
//!   step ---> waiting ---> on their way ---> taken
//!             any number   so many at most, or for WAITS_MS_MAX
//! ```
//!
//! Nobody may keep others waiting: what was not taken for [`WAITS_MS_MAX`], or for half as long,
//! counts as taken, whatever is taken meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::group::Reply;
use crate::time::Tick;

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(super) reply: Reply,
    /// Goes when the answer is taken, or nobody wants it any more.
    _on_its_way: Option<Arc<()>>,
}

/// The answers of one shard that leave in portions. Those that wait are bounded by the requests
/// that were parked for them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<(oneshot::Sender<Sent>, Reply)>,
    /// The copies of each are with answers that are on their way: with those that left since
    /// [`Self::since`], and with those that left in the time before.
    on_their_way: [Arc<()>; 2],
    since: Tick,
}

impl Sent {
    /// One that nobody counts.
    pub(super) fn alone(reply: Reply) -> Self {
        Self {
            reply,
            _on_its_way: None,
        }
    }
}

impl Outbox {
    /// Those that wait to leave.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Sends an answer, if it may leave now; else it waits for [`Self::send_on`].
    pub(super) fn send(&mut self, answer: oneshot::Sender<Sent>, reply: Reply, now: Tick) {
        self.waiting.push_back((answer, reply));
        self.send_on(now);
    }

    /// Sends what may leave now.
    pub(super) fn send_on(&mut self, now: Tick) {
        if self.waiting.is_empty() {
            return;
        }
        self.forget_untaken(now);
        // Only a number: what an answer's taker has done beside is not looked at.
        let count = |it: &Arc<()>| Arc::strong_count(it) - 1;
        let on_their_way: usize = self.on_their_way.iter().map(count).sum();
        let room = ON_THEIR_WAY_MAX.saturating_sub(on_their_way);
        for _ in 0..room {
            if !self.send_first() {
                return;
            }
        }
    }

    /// What left too long ago is not counted any more.
    fn forget_untaken(&mut self, now: Tick) {
        if now < self.since + WAITS_MS_MAX / 2 {
            return;
        }
        let [recent, _] = std::mem::take(&mut self.on_their_way);
        if now < self.since + WAITS_MS_MAX {
            self.on_their_way[1] = recent;
        }
        self.since = now;
    }

    /// Sends all.
    pub(super) fn empty(&mut self) {
        while self.send_first() {}
    }

    fn send_first(&mut self) -> bool {
        let Some((answer, reply)) = self.waiting.pop_front() else {
            return false;
        };
        let sent = Sent {
            reply,
            _on_its_way: Some(Arc::clone(&self.on_their_way[0])),
        };
        // A receiver that is gone does not want to know.
        let _ = answer.send(sent);
        true
    }

    /// When it is to be looked at again.
    pub(super) fn wake_at(&self, now: Tick) -> Option<Tick> {
        (!self.waiting.is_empty()).then(|| now + LOOKS_EVERY_MS)
    }
}

/// Answers that are on their way at one time: at 5 to 10 microseconds each, whoever comes meanwhile
/// waits for a millisecond of one processor at most.
const ON_THEIR_WAY_MAX: usize = 128;
/// Whoever does not take its answer holds the others up for so long at most.
const WAITS_MS_MAX: u64 = 10;
/// Between two looks at what was taken, if nothing else brings a turn.
const LOOKS_EVERY_MS: u64 = 1;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn outbox_of(members: usize, now: Tick) -> (Outbox, Vec<oneshot::Receiver<Sent>>) {
        let mut outbox = Outbox::default();
        let answers = (0..members).map(|_| {
            let (answer, receiver) = oneshot::channel();
            outbox.send(answer, Reply::Heartbeat(Ok(())), now);
            receiver
        });
        let answers = answers.collect();
        (outbox, answers)
    }

    /// Those that can be taken now.
    fn take(answers: &mut [oneshot::Receiver<Sent>]) -> usize {
        let taken = answers.iter_mut().map(|it| it.try_recv().is_ok());
        taken.filter(|it| *it).count()
    }

    #[test]
    fn answers_leave_as_those_before_are_taken() {
        let now = Tick(1_000);
        let (mut outbox, mut answers) = outbox_of(3 * ON_THEIR_WAY_MAX, now);
        assert_eq!(outbox.len(), 2 * ON_THEIR_WAY_MAX);
        assert_eq!(outbox.wake_at(now), Some(now + LOOKS_EVERY_MS));
        outbox.send_on(now);
        assert_eq!(outbox.len(), 2 * ON_THEIR_WAY_MAX);
        // One of them is taken, another is not wanted any more.
        assert_eq!(take(&mut answers[..1]), 1);
        drop(answers.swap_remove(1));
        outbox.send_on(now);
        assert_eq!(outbox.len(), 2 * ON_THEIR_WAY_MAX - 2);
        for _ in 0..2 {
            assert_eq!(take(&mut answers), ON_THEIR_WAY_MAX);
            outbox.send_on(now);
        }
        assert_eq!((outbox.len(), outbox.wake_at(now)), (0, None));
    }

    #[test]
    fn who_takes_nothing_holds_the_others_up_for_a_moment_only() {
        let now = Tick(1_000);
        let (mut outbox, _answers) = outbox_of(3 * ON_THEIR_WAY_MAX, now);
        for ms in 0..=2 * WAITS_MS_MAX {
            outbox.send_on(now + ms);
            let portions_left = 2 - usize::try_from(ms / WAITS_MS_MAX).unwrap();
            assert_eq!(outbox.len(), portions_left * ON_THEIR_WAY_MAX, "{ms}");
        }
    }

    #[test]
    fn who_takes_nothing_holds_nobody_up_who_takes_what_comes() {
        let mut now = Tick(1_000);
        let (mut outbox, mut answers) = outbox_of(4 * ON_THEIR_WAY_MAX, now);
        // All but one of the first ones are never taken; all others are, a millisecond after they
        // left.
        let mut taken = take(&mut answers[..1]);
        for _ in 0..2 * WAITS_MS_MAX {
            now = now + 1;
            outbox.send_on(now);
            taken += take(&mut answers[ON_THEIR_WAY_MAX..]);
        }
        assert!(taken > ON_THEIR_WAY_MAX, "{taken}");
        assert!(outbox.len() < 2 * ON_THEIR_WAY_MAX, "{}", outbox.len());
    }

    #[test]
    fn at_the_end_all_leave() {
        let (mut outbox, mut answers) = outbox_of(3 * ON_THEIR_WAY_MAX, Tick(1_000));
        outbox.empty();
        assert_eq!(take(&mut answers), 3 * ON_THEIR_WAY_MAX);
    }
}
