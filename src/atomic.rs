//! The seam through which every atomic of the engine comes, so that loom can replace them.
//!
//! With `--cfg loom` the queue and the parker are small stand-ins whose steps loom sees. The
//! queue's stand-in is weaker than the real one: whether it looks empty is a relaxed load, so
//! that a model fails unless the order comes from the protocol around it.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

#[cfg(not(loom))]
pub(crate) use crossbeam_queue::ArrayQueue;

#[cfg(loom)]
pub(crate) use stand_in::ArrayQueue;

#[cfg(not(loom))]
pub(crate) use crossbeam_utils::sync::{Parker, Unparker};

#[cfg(loom)]
pub(crate) use stand_in::{Parker, Unparker};

/// Tells the processor, or the model, that another thread has to move on first.
#[cfg(not(loom))]
pub(crate) use std::hint::spin_loop;

#[cfg(loom)]
pub(crate) use loom::thread::yield_now as spin_loop;

/// What one thread at a time owns; taken by `try_lock` alone, so that nobody ever waits for it.
#[cfg(not(loom))]
#[expect(
    clippy::disallowed_types,
    reason = "safe storage behind an ownership word: only `try_lock`, by the one owner"
)]
pub(crate) type Owned<T> = std::sync::Mutex<T>;

#[cfg(loom)]
pub(crate) type Owned<T> = loom::sync::Mutex<T>;

#[cfg(loom)]
mod stand_in {
    use std::collections::VecDeque;
    use std::time::Duration;

    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::sync::{Arc, Condvar, Mutex};

    /// A bounded queue with crossbeam's names.
    pub(crate) struct ArrayQueue<T> {
        items: Mutex<VecDeque<T>>,
        len: AtomicUsize,
        capacity: usize,
    }

    impl<T> ArrayQueue<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self {
                items: Mutex::new(VecDeque::new()),
                len: AtomicUsize::new(0),
                capacity,
            }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock().expect("no model panics within");
            if items.len() == self.capacity {
                return Err(item);
            }
            items.push_back(item);
            self.len.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            if self.is_empty() {
                return None;
            }
            let mut items = self.items.lock().expect("no model panics within");
            let item = items.pop_front()?;
            self.len.fetch_sub(1, Ordering::Relaxed);
            Some(item)
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn len(&self) -> usize {
            self.len.load(Ordering::Relaxed)
        }
    }

    struct Token {
        given: Mutex<bool>,
        changed: Condvar,
    }

    /// A parker without a clock: a park with a timeout returns at once.
    pub(crate) struct Parker(Unparker);

    #[derive(Clone)]
    pub(crate) struct Unparker(Arc<Token>);

    impl Parker {
        pub(crate) fn new() -> Self {
            Self(Unparker(Arc::new(Token {
                given: Mutex::new(false),
                changed: Condvar::new(),
            })))
        }

        pub(crate) fn unparker(&self) -> &Unparker {
            &self.0
        }

        pub(crate) fn park(&self) {
            let token = &*self.0.0;
            let mut given = token.given.lock().expect("no model panics within");
            while !*given {
                given = token.changed.wait(given).expect("no model panics within");
            }
            *given = false;
        }

        pub(crate) fn park_timeout(&self, _timeout: Duration) {
            *self.0.0.given.lock().expect("no model panics within") = false;
        }
    }

    impl Unparker {
        pub(crate) fn unpark(&self) {
            *self.0.given.lock().expect("no model panics within") = true;
            self.0.changed.notify_one();
        }
    }
}
