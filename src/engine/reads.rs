//! Reads that need more than a question and an answer.
//!
//! Some are larger than a turn: they go slice by slice, and others come in between. Others are a
//! look at the shard's own memory, for who wants no copy of it.

use std::collections::HashSet;
use std::future::poll_fn;
use std::task::Poll;

use super::Engine;
use crate::error::Refusal;
use crate::group::{GroupOffsets, ListPage, ListRequest, ListSlice, Listed, Request};
use crate::ids::GroupId;
use crate::shard::{Answer, Shard};
use crate::time::Now;

impl Engine {
    /// Lists the groups of all shards.
    ///
    /// A group that was there before is in it, with a state that it had meanwhile, and no group is
    /// in it twice. The list is taken in slices of a few microseconds, each a turn of its shard,
    /// and between two of them the executor has its turn, so that a list of a million groups holds
    /// nobody up.
    ///
    /// # Errors
    ///
    /// The first shard's refusal, as Kafka.
    pub async fn list(&self, request: ListRequest) -> Result<Vec<Listed>, Refusal> {
        let first = ListSlice::first(&request);
        drop(request);
        let mut lists: Vec<List> = vec![List::new(first); self.inner.shards.len()];
        loop {
            let mut asked = Vec::new();
            for (shard, list) in self.inner.shards.iter().zip(&mut lists) {
                if let Some(slice) = list.next.take() {
                    asked.push((self.ask_slice(shard, slice), list));
                }
            }
            if asked.is_empty() {
                break;
            }
            for (answer, list) in asked {
                list.take(answer.await?);
            }
            let_others().await;
        }
        let mut rows = Vec::with_capacity(lists.iter().map(|list| list.rows.len()).sum());
        for list in lists {
            rows.append(&mut list.finished());
        }
        Ok(rows)
    }

    /// Looks at what a group has committed, without a copy of it: what [`Engine::fetch_at`] would
    /// answer. `None`: that answer is not there at once, or it is a refusal; nothing was looked at
    /// then, and [`Engine::fetch_at`] tells.
    ///
    /// The group's shard serves nobody else until `look` returns: it must not wait for anything.
    ///
    /// # Panics
    ///
    /// If `look` does; the shard goes on as if nothing had been.
    pub fn look_at_offsets<T>(
        &self,
        group: &str,
        is_stable_required: bool,
        now: Now,
        look: impl FnOnce(&GroupOffsets<'_>) -> T,
    ) -> Option<T> {
        let shard = self.shard_of_name(group);
        shard.look_at_offsets(group, is_stable_required, now, look)
    }

    fn ask_slice(&self, shard: &Shard, slice: ListSlice) -> Answer<Result<ListPage, Refusal>> {
        shard.ask(Request::List(slice), self.now())
    }
}

/// The list of one shard so far.
#[derive(Clone, Debug)]
struct List {
    rows: Vec<Listed>,
    next: Option<ListSlice>,
    /// What the first page and the latest one tell.
    removals: Option<(u64, u64)>,
}

impl List {
    fn new(first: ListSlice) -> Self {
        Self {
            rows: Vec::new(),
            next: Some(first),
            removals: None,
        }
    }

    fn take(&mut self, mut page: ListPage) {
        self.rows.append(&mut page.rows);
        self.next = page.next;
        let (first, _) = self.removals.unwrap_or((page.removals, 0));
        self.removals = Some((first, page.removals));
    }

    /// The rows, one a group.
    fn finished(mut self) -> Vec<Listed> {
        if self.removals.is_some_and(|(first, last)| first != last) {
            // Kept is the later one: the group as it was made anew.
            let mut seen: HashSet<GroupId> = HashSet::with_capacity(self.rows.len());
            self.rows.reverse();
            self.rows.retain(|row| seen.insert(row.group.clone()));
            self.rows.reverse();
        }
        self.rows
    }
}

/// Lets the executor carry out what else is to be done, whichever executor it is.
async fn let_others() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
