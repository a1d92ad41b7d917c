//! `DescribeTransactions` and `ListTransactions` (KIP-664): what an operator looks at when a
//! transaction hangs.

use super::call::Call;
use super::pattern::Pattern;
use super::transactions::coordinator_code;
use crate::ids::TransactionalId;
use crate::server::service::Handled;
use crate::txn::{Facts, TransactionState};
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, DescribedTransaction,
    DescribedTransactionTopic, ListTransactionsRequest, ListTransactionsResponse,
    ListedTransaction,
};

impl Call<'_> {
    pub(super) fn describe_transactions(&mut self) -> Result<Handled, DecodeError> {
        let request = DescribeTransactionsRequest::decode(self.body, self.header.version)?;
        if self.names_too_many(request.transactional_ids.len()) {
            return Ok(Handled::Close);
        }
        let described: Vec<_> = request
            .transactional_ids
            .iter()
            .map(|id| (*id, self.broker.transactions.describe(id)))
            .collect();
        let states = described.iter().map(|(id, described)| match described {
            Ok(facts) => describe(id, facts),
            Err(error) => DescribedTransaction {
                error_code: coordinator_code(*error, true).0,
                transactional_id: id,
                ..Default::default()
            },
        });
        let transaction_states = states.collect();
        Ok(self.reply(&DescribeTransactionsResponse {
            transaction_states,
            ..Default::default()
        }))
    }

    pub(super) fn list_transactions(&mut self) -> Result<Handled, DecodeError> {
        let request = ListTransactionsRequest::decode(self.body, self.header.version)?;
        let unknown = request.state_filters.iter().copied();
        let unknown_state_filters: Vec<&str> = unknown.filter(|name| !is_state(name)).collect();
        if !request.state_filters.is_empty()
            && unknown_state_filters.len() == request.state_filters.len()
        {
            return Ok(self.reply(&ListTransactionsResponse {
                unknown_state_filters,
                ..Default::default()
            }));
        }
        let pattern = match request.transactional_id_pattern {
            Some("") | None => None,
            Some(text) => match Pattern::parse(text) {
                Some(pattern) => Some(pattern),
                None => {
                    return Ok(self.reply(&ListTransactionsResponse {
                        error_code: ErrorCode::INVALID_REGULAR_EXPRESSION.0,
                        ..Default::default()
                    }));
                }
            },
        };
        let now = self.now.wall.0;
        let (states, producers) = (&request.state_filters, &request.producer_id_filters);
        let fits = |id: &TransactionalId, facts: &Facts| {
            // One that never began has lasted since for ever, as in Kafka.
            let ran_ms = now.saturating_sub(facts.started.0);
            (states.is_empty() || states.contains(&facts.state.name()))
                && (producers.is_empty() || producers.contains(&facts.producer.id))
                && (request.duration_filter < 0 || ran_ms > request.duration_filter)
                && pattern.as_ref().is_none_or(|it| it.matches(id.as_str()))
        };
        let listed = self.broker.transactions.list(fits);
        let transaction_states = listed.iter().map(|one| ListedTransaction {
            transactional_id: one.id.as_str(),
            producer_id: one.producer_id,
            transaction_state: one.state.name(),
        });
        let transaction_states = transaction_states.collect();
        Ok(self.reply(&ListTransactionsResponse {
            unknown_state_filters,
            transaction_states,
            ..Default::default()
        }))
    }
}

fn describe<'a>(id: &'a str, facts: &'a Facts) -> DescribedTransaction<'a> {
    let mut topics: Vec<DescribedTransactionTopic<'a>> = Vec::new();
    for (topic, index) in &facts.partitions {
        match topics.last_mut() {
            Some(last) if last.topic == topic.as_str() => last.partitions.push(*index),
            Some(_) | None => topics.push(DescribedTransactionTopic {
                topic: topic.as_str(),
                partitions: vec![*index],
            }),
        }
    }
    DescribedTransaction {
        error_code: ErrorCode::NONE.0,
        transactional_id: id,
        transaction_state: facts.state.name(),
        transaction_timeout_ms: facts.timeout_ms,
        transaction_start_time_ms: facts.started.0,
        producer_id: facts.producer.id,
        producer_epoch: facts.producer.epoch,
        topics,
    }
}

/// Whether Kafka has a state of that name; two of them no id is ever in here.
fn is_state(name: &str) -> bool {
    TransactionState::ALL
        .iter()
        .any(|state| state.name() == name)
        || ["Dead", "PrepareEpochFence"].contains(&name)
}
