//! The bounded mailbox of a shard: two lanes, any number of submitters, one reader at a time.

use std::fmt;

use crate::atomic::ArrayQueue;

/// The bounds of a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailboxConfig {
    /// Most requests that wait; one more comes back to its submitter. At least 1.
    pub requests_max: usize,
    /// Most control events that wait. At least 1; the producers of control events see to it that
    /// there are never more (one a batch in flight, one a running assignor, one a lost
    /// leadership).
    pub controls_max: usize,
    /// Most events of one drain, over all its turns, before the driver goes on. At least 1.
    ///
    /// Bounds what one submitter does for others: at a microsecond an event, 256 are a quarter
    /// of a millisecond.
    pub drain_max: usize,
    /// How often who has something to do looks whether the loop is free before it uses the
    /// mailbox, a moment apart. At least 1.
    ///
    /// A turn of one commit takes half a microsecond, twice that where the shard comes from another
    /// core; the mailbox and the channel of an answer take two of the processor's, and a thread
    /// that sleeps until then twenty. So two microseconds are well spent where turns are as short
    /// as that, and wasted where the journal settles thousands in one.
    pub looks_max: u32,
}

impl Default for MailboxConfig {
    /// 4,096 requests, 256 control events, 256 events a drain, one look.
    fn default() -> Self {
        Self {
            requests_max: 4096,
            controls_max: 256,
            drain_max: 256,
            looks_max: 1,
        }
    }
}

/// Why an event was not taken; it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected<E> {
    /// The lane is full.
    Full(E),
    /// A step of this shard panicked; it takes nothing any more.
    Poisoned(E),
}

impl<E> Rejected<E> {
    /// The event that was not taken.
    pub fn into_event(self) -> E {
        match self {
            Self::Full(event) | Self::Poisoned(event) => event,
        }
    }
}

impl<E> fmt::Display for Rejected<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the mailbox of the shard is full",
            Self::Poisoned(_) => "the shard is poisoned by a panic",
        })
    }
}

impl<E: fmt::Debug> std::error::Error for Rejected<E> {}

/// Requests, and the control events that go before them.
///
/// A push is lock-free: it never waits for the reader or for another submitter.
pub struct Mailbox<E> {
    requests: ArrayQueue<E>,
    controls: ArrayQueue<E>,
}

impl<E> Mailbox<E> {
    /// An empty mailbox.
    ///
    /// # Panics
    ///
    /// If a lane has no room for even one event.
    pub(super) fn new(config: &MailboxConfig) -> Self {
        Self {
            requests: ArrayQueue::new(config.requests_max),
            controls: ArrayQueue::new(config.controls_max),
        }
    }

    pub(super) fn push_request(&self, event: E) -> Result<(), E> {
        self.requests.push(event)
    }

    pub(super) fn push_control(&self, event: E) -> Result<(), E> {
        self.controls.push(event)
    }

    /// Control events first: they release replies and memory.
    pub(super) fn pop(&self) -> Option<E> {
        self.pop_control().or_else(|| pop(&self.requests))
    }

    pub(super) fn pop_control(&self) -> Option<E> {
        pop(&self.controls)
    }

    /// Whether both lanes are empty; while others push it may be outdated at once.
    pub fn is_empty(&self) -> bool {
        self.controls.is_empty() && self.requests.is_empty()
    }

    /// Requests that wait; while others push it is a number to show.
    pub fn requests(&self) -> usize {
        self.requests.len()
    }

    /// Control events that wait; while others push it is a number to show.
    pub fn controls(&self) -> usize {
        self.controls.len()
    }
}

/// Lanes are empty most of the time: asking is two loads, the queue's own pop a fence.
#[inline]
fn pop<E>(lane: &ArrayQueue<E>) -> Option<E> {
    if lane.is_empty() { None } else { lane.pop() }
}

impl<E> fmt::Debug for Mailbox<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("requests", &self.requests())
            .field("controls", &self.controls())
            .finish_non_exhaustive()
    }
}

/// The events that one turn may take, in order; ends when the mailbox is empty or the drain has
/// had its maximum.
#[derive(Debug)]
pub struct Batch<'a, E> {
    mailbox: &'a Mailbox<E>,
    left: usize,
}

impl<'a, E> Batch<'a, E> {
    pub(super) fn new(mailbox: &'a Mailbox<E>, left: usize) -> Self {
        Self { mailbox, left }
    }

    /// The next control event alone; requests stay where they are.
    pub fn next_control(&mut self) -> Option<E> {
        if self.left == 0 {
            return None;
        }
        let event = self.mailbox.pop_control()?;
        self.left -= 1;
        Some(event)
    }

    /// Events that the drain may still take.
    pub fn left(&self) -> usize {
        self.left
    }
}

impl<E> Iterator for Batch<'_, E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        if self.left == 0 {
            return None;
        }
        let event = self.mailbox.pop()?;
        self.left -= 1;
        Some(event)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn mailbox() -> Mailbox<u32> {
        Mailbox::new(&MailboxConfig {
            requests_max: 3,
            controls_max: 1,
            drain_max: 2,
            looks_max: 1,
        })
    }

    #[test]
    fn control_events_go_before_requests_and_each_lane_keeps_its_order() {
        let mailbox = mailbox();
        for request in [1, 2] {
            mailbox.push_request(request).unwrap();
        }
        mailbox.push_control(10).unwrap();
        assert_eq!(Batch::new(&mailbox, 9).collect::<Vec<_>>(), [10, 1, 2]);
        assert!(mailbox.is_empty());
    }

    #[test]
    fn a_full_lane_gives_the_event_back_and_leaves_the_other_lane_open() {
        let mailbox = mailbox();
        for request in [1, 2, 3] {
            mailbox.push_request(request).unwrap();
        }
        assert_eq!(mailbox.push_request(4), Err(4));
        mailbox.push_control(10).unwrap();
        assert_eq!(mailbox.push_control(11), Err(11));
        assert_eq!((mailbox.requests(), mailbox.controls()), (3, 1));
    }

    #[test]
    fn a_batch_ends_at_its_maximum() {
        let mailbox = mailbox();
        for request in [1, 2, 3] {
            mailbox.push_request(request).unwrap();
        }
        let mut batch = Batch::new(&mailbox, 2);
        assert_eq!(batch.by_ref().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(batch.left(), 0);
        assert_eq!(mailbox.requests(), 1);
    }
}
