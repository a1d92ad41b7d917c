//! The transaction coordinator itself: who may begin, add, and end (KIP-98, KIP-360, KIP-890).

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Result;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest, FindCoordinatorRequest,
    InitProducerIdRequest, ProducerId, TopicName, TransactionalId,
};
use uuid::Uuid;

use crate::case;
use crate::case::Book;
use crate::cx::{Cx, err, text};

/// CONCURRENT_TRANSACTIONS and a coordinator that is not there yet are waited for.
fn again(code: i16) -> bool {
    matches!(code, 14 | 15 | 16 | 51)
}

/// A transactional id, and what its first producer id is called.
struct Tx {
    cx: Cx,
    id: TransactionalId,
    first: AtomicI64,
}

impl Tx {
    async fn new(cx: &Cx) -> Result<Self> {
        let name = format!("cf-{}-tc-{}", cx.salt, Uuid::new_v4().simple());
        let find = FindCoordinatorRequest::default()
            .with_key(text(&name))
            .with_key_type(1);
        let _ = cx.ask(&find, 3).await?;
        Ok(Self {
            cx: cx.clone(),
            id: TransactionalId(text(&name)),
            first: AtomicI64::new(-1),
        })
    }

    fn show(&self, pid: i64, epoch: i16) -> String {
        let pid = match pid {
            -1 => "none".to_owned(),
            pid if pid == self.first.load(Ordering::Relaxed) => "first".to_owned(),
            _ => "other".to_owned(),
        };
        format!("{pid}/{epoch}")
    }

    /// One answer, or the first that is not to be repeated.
    async fn init(
        &self,
        (v, timeout): (i16, i32),
        expected: (i64, i16),
        waits: bool,
        label: &str,
    ) -> Result<(i64, i16)> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.id.clone()))
            .with_transaction_timeout_ms(timeout)
            .with_producer_id(ProducerId(expected.0))
            .with_producer_epoch(expected.1);
        let end = self.cx.deadline(30_000);
        loop {
            let out = self.cx.ask(&request, v).await?;
            let (code, by) = out.as_ref().map_or((0, (-1, -1)), |r| {
                (r.error_code, (r.producer_id.0, r.producer_epoch))
            });
            let is_to_wait = matches!(code, 14..=16) || (waits && again(code));
            if is_to_wait && tokio::time::Instant::now() < end {
                self.cx.sleep(50).await;
                continue;
            }
            if self.first.load(Ordering::Relaxed) == -1 {
                self.first.store(by.0, Ordering::Relaxed);
            }
            let seen = out.show(|_| format!("{} {}", err(code), self.show(by.0, by.1)));
            self.cx.note(label, seen, "");
            return Ok(by);
        }
    }

    async fn add(&self, v: i16, by: (i64, i16), parts: &[(&str, i32)], label: &str) -> Result<()> {
        let topics: Vec<_> = parts
            .iter()
            .map(|(topic, index)| {
                AddPartitionsToTxnTopic::default()
                    .with_name(TopicName(text(topic)))
                    .with_partitions(vec![*index])
            })
            .collect();
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(ProducerId(by.0))
            .with_v3_and_below_producer_epoch(by.1)
            .with_v3_and_below_topics(topics);
        let end = self.cx.deadline(8_000);
        loop {
            let out = self.cx.ask(&request, v).await?;
            let codes: Vec<i16> = out.as_ref().map_or_else(Vec::new, |r| {
                r.results_by_topic_v3_and_below
                    .iter()
                    .flat_map(|t| &t.results_by_partition)
                    .map(|p| p.partition_error_code)
                    .collect()
            });
            if codes.iter().any(|code| again(*code)) && tokio::time::Instant::now() < end {
                self.cx.sleep(50).await;
                continue;
            }
            let mut names: Vec<_> = codes.iter().map(|code| err(*code)).collect();
            names.sort();
            self.cx.note(label, out.show(|_| names.join(" ")), "");
            return Ok(());
        }
    }

    async fn verify(&self, by: (i64, i16), topic: &str, index: i32, label: &str) -> Result<()> {
        let topics = vec![
            AddPartitionsToTxnTopic::default()
                .with_name(TopicName(text(topic)))
                .with_partitions(vec![index]),
        ];
        let one = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(ProducerId(by.0))
            .with_producer_epoch(by.1)
            .with_verify_only(true)
            .with_topics(topics);
        let request = AddPartitionsToTxnRequest::default().with_transactions(vec![one]);
        let out = self.cx.ask(&request, 4).await?;
        let seen = out.show(|r| {
            let rows = r.results_by_transaction.iter();
            let rows = rows.flat_map(|one| &one.topic_results);
            let rows = rows.flat_map(|topic| &topic.results_by_partition);
            let rows: Vec<_> = rows.map(|p| err(p.partition_error_code)).collect();
            format!("top={} {}", err(r.error_code), rows.join(" "))
        });
        self.cx.note(label, seen, "");
        Ok(())
    }

    async fn end(&self, v: i16, by: (i64, i16), commit: bool, label: &str) -> Result<(i64, i16)> {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(ProducerId(by.0))
            .with_producer_epoch(by.1)
            .with_committed(commit);
        let end = self.cx.deadline(8_000);
        loop {
            let out = self.cx.ask(&request, v).await?;
            let (code, next) = out.as_ref().map_or((0, by), |r| {
                (r.error_code, (r.producer_id.0, r.producer_epoch))
            });
            if again(code) && tokio::time::Instant::now() < end {
                self.cx.sleep(50).await;
                continue;
            }
            let next = if v >= 5 { next } else { by };
            let seen = out.show(|_| format!("{} {}", err(code), self.show(next.0, next.1)));
            self.cx.note(label, seen, "");
            return Ok(next);
        }
    }

    /// What is told of the id once it is in none of the states between.
    async fn describe(&self, label: &str) -> Result<()> {
        self.describe_within(5_000, label, &["PrepareCommit", "PrepareAbort"])
            .await
    }

    async fn describe_within(&self, ms: u64, label: &str, passing: &[&str]) -> Result<()> {
        let request =
            DescribeTransactionsRequest::default().with_transactional_ids(vec![self.id.clone()]);
        let end = self.cx.deadline(ms);
        loop {
            let out = self.cx.ask(&request, 0).await?;
            let state = out.as_ref().and_then(|r| r.transaction_states.first());
            let is_passing = state.is_some_and(|it| passing.contains(&&*it.transaction_state));
            if is_passing && tokio::time::Instant::now() < end {
                self.cx.sleep(50).await;
                continue;
            }
            let seen = out.show(|r| {
                let rows = r.transaction_states.iter().map(|it| {
                    let topics: Vec<_> = it
                        .topics
                        .iter()
                        .map(|t| {
                            let mut partitions = t.partitions.clone();
                            partitions.sort_unstable();
                            format!("{}{partitions:?}", self.cx.show(&t.topic.0))
                        })
                        .collect();
                    format!(
                        "{} {:?} {} timeout={} started={} {}",
                        err(it.error_code),
                        it.transaction_state.as_str(),
                        self.show(it.producer_id.0, it.producer_epoch),
                        it.transaction_timeout_ms,
                        it.transaction_start_time_ms > 0,
                        topics.join(" ")
                    )
                });
                rows.collect::<Vec<_>>().join(" ").trim_end().to_owned()
            });
            self.cx.note(label, seen, "");
            return Ok(());
        }
    }
}

const NOBODY: (i64, i16) = (-1, -1);
const MINUTE: (i16, i32) = (4, 60_000);

pub fn add(book: &mut Book) {
    book.group("txn-coordinator");

    case!(book, [], "version-1", |cx| {
        let (t, _) = cx.topic(2).await?;
        let tx = Tx::new(&cx).await?;
        let by = tx.init(MINUTE, NOBODY, true, "begins").await?;
        tx.describe("empty").await?;
        tx.end(3, by, true, "commit without a transaction").await?;
        tx.end(3, by, false, "abort without a transaction").await?;
        tx.add(3, by, &[(&t, 0), (&t, 9)], "unknown partition")
            .await?;
        tx.add(3, by, &[(&t, 0)], "added").await?;
        tx.add(3, by, &[(&t, 0), (&t, 1)], "added again").await?;
        tx.describe("ongoing").await?;
        tx.end(3, by, true, "commit").await?;
        tx.end(3, by, true, "commit again").await?;
        tx.end(3, by, false, "abort what is committed").await?;
        tx.describe("committed").await?;
        tx.add(3, by, &[(&t, 0)], "next").await?;
        tx.end(3, by, false, "abort").await?;
        tx.end(3, by, false, "abort again").await?;
        tx.end(3, by, true, "commit what is aborted").await?;
        tx.describe("aborted").await?;
        tx.init(MINUTE, NOBODY, true, "begins again").await?;
        tx.describe("empty again").await?;
    });

    case!(book, [], "version-2", |cx| {
        let (t, _) = cx.topic(1).await?;
        let tx = Tx::new(&cx).await?;
        let by = tx.init(MINUTE, NOBODY, true, "begins").await?;
        tx.end(5, by, true, "commit without a transaction").await?;
        let one = tx.end(5, by, false, "abort without a transaction").await?;
        tx.end(5, by, false, "abort again").await?;
        tx.end(5, by, true, "commit instead").await?;
        let two = tx
            .end(5, one, false, "abort without a transaction, again")
            .await?;
        tx.end(5, two, true, "commit after an abort").await?;
        tx.add(3, two, &[(&t, 0)], "added").await?;
        let three = tx.end(5, two, true, "commit").await?;
        tx.end(5, two, true, "commit again").await?;
        tx.end(5, two, false, "abort what is committed").await?;
        tx.describe("committed").await?;
        tx.end(5, three, true, "commit once more").await?;
        tx.add(3, two, &[(&t, 0)], "added by the old epoch").await?;
        tx.add(3, three, &[(&t, 0)], "added by the new epoch")
            .await?;
        tx.end(5, two, true, "the old epoch commits the new one's")
            .await?;
        tx.end(5, three, false, "abort").await?;
        tx.end(5, by, false, "a very old epoch").await?;
        tx.describe("aborted").await?;
    });

    case!(book, [], "taken-over", |cx| {
        let (t, _) = cx.topic(1).await?;
        for version in [3, 5] {
            let tx = Tx::new(&cx).await?;
            let label = |what: &str| format!("ends with {version}: {what}");
            let old = tx.init(MINUTE, NOBODY, true, &label("begins")).await?;
            tx.add(3, old, &[(&t, 0)], &label("added")).await?;
            tx.init(MINUTE, NOBODY, false, &label("taken over, at once"))
                .await?;
            let new = tx.init(MINUTE, NOBODY, true, &label("taken over")).await?;
            for v in [1, 3] {
                let what = format!("add {v} by the old one");
                tx.add(v, old, &[(&t, 0)], &label(&what)).await?;
                let what = format!("end {v} by the old one");
                tx.end(v, old, true, &label(&what)).await?;
            }
            tx.end(version, old, false, &label("abort by the old one"))
                .await?;
            for v in [3, 4] {
                let what = format!("init {v} by the old one");
                tx.init((v, 60_000), old, true, &label(&what)).await?;
            }
            let next = tx
                .init(MINUTE, new, true, &label("the new one goes on"))
                .await?;
            tx.init(MINUTE, new, true, &label("and asks again")).await?;
            tx.add(3, next, &[(&t, 0)], &label("the next adds")).await?;
            tx.end(version, next, true, &label("the next commits"))
                .await?;
            tx.describe(&label("in the end")).await?;
        }
    });

    case!(book, [], "refused", |cx| {
        let (t, _) = cx.topic(1).await?;
        let tx = Tx::new(&cx).await?;
        tx.add(3, (5, 0), &[(&t, 0)], "add to an unknown id")
            .await?;
        tx.end(3, (5, 0), true, "end of an unknown id, version 1")
            .await?;
        tx.end(5, (5, 0), true, "end of an unknown id, version 2")
            .await?;
        tx.describe("unknown").await?;
        tx.verify((5, 0), &t, 0, "verify an unknown id").await?;
        tx.init((4, 0), NOBODY, true, "no timeout").await?;
        tx.init((4, -5), NOBODY, true, "negative timeout").await?;
        tx.init((4, 900_001), NOBODY, true, "timeout too long")
            .await?;
        tx.init(MINUTE, (5, -1), true, "producer id without epoch")
            .await?;
        tx.init(MINUTE, (-1, 5), true, "epoch without producer id")
            .await?;
        let by = tx
            .init((4, 900_000), NOBODY, true, "longest timeout")
            .await?;
        tx.add(3, (by.0 + 1_000_000, 0), &[(&t, 0)], "another producer id")
            .await?;
        tx.end(3, (by.0 + 1_000_000, 0), true, "end by another producer id")
            .await?;
        tx.end(
            5,
            (by.0 + 1_000_000, 0),
            true,
            "end by another producer id, v5",
        )
        .await?;
        tx.end(5, (by.0, 7), true, "end by an epoch to come")
            .await?;
        tx.init(MINUTE, (by.0, 7), true, "an epoch to come").await?;
        let nameless = Tx {
            id: TransactionalId(text("")),
            ..Tx::new(&cx).await?
        };
        nameless.init(MINUTE, NOBODY, true, "the empty id").await?;
        nameless
            .add(3, by, &[(&t, 0)], "add to the empty id")
            .await?;
        nameless.end(3, by, true, "end of the empty id").await?;
        nameless.describe("describe the empty id").await?;
    });

    case!(book, [], "verified", |cx| {
        let (t, _) = cx.topic(2).await?;
        let tx = Tx::new(&cx).await?;
        let by = tx.init(MINUTE, NOBODY, true, "begins").await?;
        tx.verify(by, &t, 0, "nothing added").await?;
        tx.add(3, by, &[(&t, 0)], "added").await?;
        tx.verify(by, &t, 0, "in it").await?;
        tx.verify(by, &t, 1, "not in it").await?;
        tx.verify(by, &t, 9, "unknown partition").await?;
        tx.verify((by.0, 5), &t, 0, "another epoch").await?;
        tx.verify((by.0 + 1_000_000, 0), &t, 0, "another producer id")
            .await?;
        tx.end(3, by, true, "commit").await?;
        tx.describe("committed").await?;
        tx.verify(by, &t, 0, "no longer in it").await?;
    });

    case!(book, [], "times-out", |cx| {
        let (t, _) = cx.topic(1).await?;
        let tx = Tx::new(&cx).await?;
        let by = tx.init((4, 500), NOBODY, true, "begins").await?;
        tx.add(3, by, &[(&t, 0)], "added").await?;
        // Kafka looks every ten seconds.
        let passing = ["Ongoing", "PrepareAbort"];
        tx.describe_within(25_000, "aborted by time", &passing)
            .await?;
        tx.add(3, by, &[(&t, 0)], "too late to add").await?;
        tx.end(3, by, true, "too late to commit").await?;
        tx.end(5, by, false, "abort, version 2").await?;
        tx.init(MINUTE, by, true, "it goes on by its name").await?;
        tx.init(MINUTE, NOBODY, true, "begins again").await?;
    });
}
