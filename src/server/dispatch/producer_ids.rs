//! `InitProducerId`: ids for idempotent producers.
//!
//! Transactions are not offered, so a transactional producer is refused, with
//! `UNSUPPORTED_VERSION`: the one code that says what is the matter. Java's client and kafka-python
//! end at once with it; librdkafka names it once the time of its `init_transactions` is over. The
//! codes that end librdkafka at once would speak of permissions or timeouts that nobody can mend.

use super::call::Call;
use super::topic_errors::code_of;
use crate::server::service::Handled;
use crate::topics::ProducerIdentity;
use crate::wire::ErrorCode;
use crate::wire::codec::{DecodeError, Message};
use crate::wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

impl Call<'_> {
    pub(super) fn init_producer_id(&mut self) -> Result<Handled, DecodeError> {
        let request = InitProducerIdRequest::decode(self.body, self.header.version)?;
        let present = ProducerIdentity {
            id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let given = match request.transactional_id {
            Some(_) => Err(ErrorCode::UNSUPPORTED_VERSION),
            None => self
                .broker
                .topics
                .init_producer(present)
                .map_err(|error| code_of(&error)),
        };
        let response = match given {
            Ok(identity) => InitProducerIdResponse {
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                ..Default::default()
            },
            Err(code) => InitProducerIdResponse {
                error_code: code.0,
                producer_epoch: -1,
                ..Default::default()
            },
        };
        Ok(self.reply(&response))
    }
}
