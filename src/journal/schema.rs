//! Records as bytes: the keys and values of Kafka's `__consumer_offsets`, so that a broker may
//! write them into its own topic, and Kafka's tools may read them.
//!
//! ```text
//!   key:    record type (i16) | group | topic | partition             (types 0, 1: an offset)
//!           record type (i16) | group                                 (type 2: a group)
//!           record type (i16) | group | topic | partition | producer  (type 10028: staged)
//!   value:  schema version (i16) | fields; no value at all is a tombstone
//! ```
//!
//! Written are the versions that Kafka 4.4.0 writes: offsets as version 3, as version 4 with the
//! topic's id where it is known, as version 1 with an explicit expiry; groups as version 3. All
//! versions are read.
//!
//! **Offsets of open transactions.** Kafka writes them as offsets in batches of the producer, and
//! a marker where the transaction ends: what an offset means depends on its batch and on what
//! stands behind it. Here every record must be understood by itself, as the last word on its key,
//! in whatever order a log has kept those. So a staged offset has a key of its own, with the
//! producer in it, and ends by a tombstone beside the offset that it commits; and whether a later
//! commit has overtaken it stands on it. Record types of this kind begin at 10,000, far from
//! Kafka's, whose loader and tools skip what they do not know.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Loaded;
use crate::group::{GroupMetadata, MemberMetadata, OffsetValue, PendingValue, Record};
use crate::ids::{Generation, GroupId, ProducerEpoch, ProducerId, TopicId};
use crate::mutation;
use crate::time::WallMs;
use crate::wire::codec::NEVER;
use crate::wire::{DecodeError, EncodeError, Message, Reader, Writer, schema};

schema! {
    /// The key of a committed offset, record types 0 and 1.
    struct OffsetCommitKey<'a>(versions 0..=1, flexible NEVER) {
        group: &'a str, 0..;
        topic: &'a str, 0..;
        partition: i32, 0..;
    }

    /// A committed offset.
    struct OffsetCommitValue<'a>(versions 0..=4, flexible 4) {
        offset: i64, 0..;
        leader_epoch: i32, 3.., default -1;
        metadata: &'a str, 0..;
        commit_timestamp: i64, 0..;
        expire_timestamp: i64, 1..=1, default -1;
        topic_id: TopicId, 4.., tag 0;
    }

    /// The key of a staged offset, a record type of our own.
    struct PendingKey<'a>(versions PENDING..=PENDING, flexible NEVER) {
        group: &'a str, PENDING..;
        topic: &'a str, PENDING..;
        partition: i32, PENDING..;
        producer_id: i64, PENDING..;
    }

    /// A staged offset.
    struct StagedValue<'a>(versions 0..=0, flexible NEVER) {
        producer_epoch: i16, 0..;
        order: i64, 0..;
        is_overtaken: bool, 0..;
        /// The value, with its version, that the offset's record will have once it is committed.
        offset: &'a [u8], 0..;
    }

    /// The key of a group, record type 2.
    struct GroupMetadataKey<'a>(versions 2..=2, flexible NEVER) {
        group: &'a str, 2..;
    }

    /// A classic group with its members.
    struct GroupMetadataValue<'a>(versions 0..=4, flexible 4) {
        protocol_type: &'a str, 0..;
        generation: i32, 0..;
        protocol: Option<&'a str>, 0..;
        leader: Option<&'a str>, 0..;
        current_state_timestamp: i64, 2.., default -1;
        members: Vec<Member<'a>>, 0..;
    }

    /// One of its members.
    struct Member<'a> {
        member_id: &'a str, 0..;
        group_instance_id: Option<&'a str>, 3..;
        client_id: &'a str, 0..;
        client_host: &'a str, 0..;
        rebalance_timeout: i32, 1.., default -1;
        session_timeout: i32, 0..;
        subscription: &'a [u8], 0..;
        assignment: &'a [u8], 0..;
    }
}

/// Record types.
const OFFSET: i16 = 1;
const GROUP: i16 = 2;
const PENDING: i16 = 10_028;

/// Written versions of values.
const OFFSET_WITH_EXPIRY: i16 = 1;
const OFFSET_PLAIN: i16 = 3;
const OFFSET_WITH_TOPIC_ID: i16 = 4;
const GROUP_PLAIN: i16 = 3;
const PENDING_PLAIN: i16 = 0;

/// A record as a log keeps it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Encoded {
    /// The key: what it speaks of.
    pub key: Vec<u8>,
    /// The value; `None`: a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A record that is none of ours, or damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SchemaError {
    /// The record type is not known; Kafka's loader skips such records.
    UnknownType(i16),
    /// The key or value is damaged, or its version is not known.
    Damaged(DecodeError),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(number) => write!(f, "records of type {number} are not known"),
            Self::Damaged(error) => write!(f, "the record is damaged: {error}"),
        }
    }
}

impl std::error::Error for SchemaError {}

impl From<DecodeError> for SchemaError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error)
    }
}

/// A record that [`append`] has written: its key, then its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Bytes of the key.
    pub key_len: usize,
    /// Whether there is a value, perhaps of no bytes; without one it is a tombstone.
    pub has_value: bool,
}

/// Writes a record.
///
/// # Errors
///
/// [`EncodeError`] for a name of more than 32,767 bytes, or more than the protocol can count.
pub fn encode(record: &Record) -> Result<Encoded, EncodeError> {
    let mut key = Vec::new();
    let appended = append(record, &mut key)?;
    let value = key.split_off(appended.key_len);
    Ok(Encoded {
        key,
        value: appended.has_value.then_some(value),
    })
}

/// Writes a record at the end of a buffer, the key and then the value: for a log that frames
/// records where they lie.
///
/// # Errors
///
/// As [`encode`]; what was written until then is to be taken back.
pub fn append(record: &Record, out: &mut Vec<u8>) -> Result<Appended, EncodeError> {
    let from = out.len();
    let key_len;
    let has_value = match record {
        Record::Offset {
            group,
            topic,
            partition,
            value,
        } => {
            let key = OffsetCommitKey {
                group: group.as_str(),
                topic: topic.as_str(),
                partition: *partition,
            };
            versioned(OFFSET, &key, out)?;
            key_len = out.len() - from;
            if let Some(value) = value {
                let (version, value) = offset_value(value);
                versioned(version, &value, out)?;
            }
            value.is_some()
        }
        Record::Pending {
            group,
            topic,
            partition,
            producer,
            value,
        } => {
            let key = PendingKey {
                group: group.as_str(),
                topic: topic.as_str(),
                partition: *partition,
                producer_id: producer.0,
            };
            versioned(PENDING, &key, out)?;
            key_len = out.len() - from;
            if let Some(value) = value {
                append_pending(value, out)?;
            }
            value.is_some()
        }
        Record::Group { group, value } => {
            let key = GroupMetadataKey {
                group: group.as_str(),
            };
            versioned(GROUP, &key, out)?;
            key_len = out.len() - from;
            if let Some(value) = value {
                versioned(GROUP_PLAIN, &group_value(value), out)?;
            }
            value.is_some()
        }
    };
    Ok(Appended { key_len, has_value })
}

fn append_pending(value: &PendingValue, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (version, offset) = offset_value(&value.offset);
    let mut inner = Vec::new();
    versioned(version, &offset, &mut inner)?;
    let staged = StagedValue {
        producer_epoch: value.epoch.0,
        order: value.order.cast_signed(),
        is_overtaken: value.is_overtaken && !mutation::is("the-log-forgets-overtaken"),
        offset: &inner,
    };
    versioned(PENDING_PLAIN, &staged, out)
}

fn offset_value(value: &OffsetValue) -> (i16, OffsetCommitValue<'_>) {
    let version = match value.expires_at {
        Some(_) => OFFSET_WITH_EXPIRY,
        None if value.topic_id.is_zero() => OFFSET_PLAIN,
        None => OFFSET_WITH_TOPIC_ID,
    };
    let written = OffsetCommitValue {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: &value.metadata,
        commit_timestamp: value.committed_at.0,
        expire_timestamp: value.expires_at.map_or(-1, |at| at.0),
        topic_id: value.topic_id,
    };
    (version, written)
}

fn group_value(value: &GroupMetadata) -> GroupMetadataValue<'_> {
    let members = value.members.iter().map(|member| Member {
        member_id: member.member.as_str(),
        group_instance_id: member.instance.as_ref().map(|it| it.as_str()),
        client_id: &member.client_id,
        client_host: &member.client_host,
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: &member.subscription,
        assignment: &member.assignment,
    });
    GroupMetadataValue {
        protocol_type: value.protocol_type.as_deref().unwrap_or(""),
        generation: value.generation.0,
        protocol: value.protocol.as_deref(),
        leader: value.leader.as_ref().map(|it| it.as_str()),
        current_state_timestamp: value.phase_since.map_or(-1, |at| at.0),
        members: members.collect(),
    }
}

/// The version, then the message in it.
fn versioned<'a, M: Message<'a>>(
    version: i16,
    message: &M,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut writer = Writer::new(out);
    writer.i16(version);
    message.encode(&mut writer, version);
    writer.finish()
}

/// Reads a record.
///
/// # Errors
///
/// [`SchemaError`] for a type that is not known, and for damage.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, SchemaError> {
    let mut reader = Reader::new(key);
    match reader.i16()? {
        version @ 0..=OFFSET => {
            let key = OffsetCommitKey::decode_from(&mut reader, version)?;
            Ok(Record::Offset {
                group: key.group.into(),
                topic: key.topic.into(),
                partition: key.partition,
                value: value.map(read_offset).transpose()?,
            })
        }
        PENDING => {
            let key = PendingKey::decode_from(&mut reader, PENDING)?;
            Ok(Record::Pending {
                group: key.group.into(),
                topic: key.topic.into(),
                partition: key.partition,
                producer: ProducerId(key.producer_id),
                value: value.map(read_pending).transpose()?,
            })
        }
        GROUP => {
            let key = GroupMetadataKey::decode_from(&mut reader, GROUP)?;
            let value = value.map(read_group).transpose()?;
            Ok(Record::Group {
                group: key.group.into(),
                value: value.map(Arc::new),
            })
        }
        unknown => Err(SchemaError::UnknownType(unknown)),
    }
}

/// Reads a record for a load. `None`: of a type that is not known, which Kafka's loader skips, too.
///
/// # Errors
///
/// [`SchemaError::Damaged`] where not even the group can be told: then no group is safe from what
/// the record said, and the load must fail.
pub fn loaded(key: &[u8], value: Option<&[u8]>) -> Result<Option<Loaded>, SchemaError> {
    match decode(key, value) {
        Ok(record) => Ok(Some(Loaded::Record(record))),
        Err(SchemaError::UnknownType(_)) => Ok(None),
        Err(error @ SchemaError::Damaged(_)) => {
            let group = group_of(key).map_err(|_| error)?;
            Ok(Some(Loaded::Unreadable {
                group,
                key: key.to_vec(),
                reason: error.to_string(),
            }))
        }
    }
}

/// The group of a key, whatever follows it: every known type begins with it.
fn group_of(key: &[u8]) -> Result<GroupId, DecodeError> {
    let mut reader = Reader::new(key);
    reader.i16()?;
    let key = GroupMetadataKey::decode_from(&mut reader, GROUP)?;
    Ok(key.group.into())
}

fn read_offset(bytes: &[u8]) -> Result<OffsetValue, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    let value = OffsetCommitValue::decode_from(&mut reader, version)?;
    Ok(OffsetValue {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.into(),
        committed_at: WallMs(value.commit_timestamp),
        expires_at: (value.expire_timestamp != -1).then_some(WallMs(value.expire_timestamp)),
        topic_id: value.topic_id,
    })
}

fn read_pending(bytes: &[u8]) -> Result<PendingValue, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    let value = StagedValue::decode_from(&mut reader, version)?;
    Ok(PendingValue {
        epoch: ProducerEpoch(value.producer_epoch),
        order: value.order.cast_unsigned(),
        is_overtaken: value.is_overtaken,
        offset: read_offset(value.offset)?,
    })
}

fn read_group(bytes: &[u8]) -> Result<GroupMetadata, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    let value = GroupMetadataValue::decode_from(&mut reader, version)?;
    let at = value.current_state_timestamp;
    let members = value.members.iter().map(|member| MemberMetadata {
        member: member.member_id.into(),
        instance: member.group_instance_id.map(Into::into),
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        rebalance_timeout_ms: member.rebalance_timeout,
        session_timeout_ms: member.session_timeout,
        subscription: Bytes::copy_from_slice(member.subscription),
        assignment: Bytes::copy_from_slice(member.assignment),
    });
    Ok(GroupMetadata {
        protocol_type: Some(value.protocol_type)
            .filter(|it| !it.is_empty())
            .map(Into::into),
        generation: Generation(value.generation),
        protocol: value.protocol.map(Into::into),
        leader: value.leader.map(Into::into),
        phase_since: (at != -1).then_some(WallMs(at)),
        members: members.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(value: Option<OffsetValue>) -> Record {
        Record::Offset {
            group: "g".into(),
            topic: "t".into(),
            partition: 7,
            value,
        }
    }

    fn value() -> OffsetValue {
        OffsetValue {
            offset: 42,
            leader_epoch: 3,
            metadata: "m".into(),
            committed_at: WallMs(1_000),
            expires_at: None,
            topic_id: TopicId::ZERO,
        }
    }

    fn group() -> Record {
        let member = MemberMetadata {
            member: "c-1".into(),
            instance: Some("i".into()),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            subscription: Bytes::from("s"),
            assignment: Bytes::from("a"),
        };
        let value = GroupMetadata {
            protocol_type: Some("consumer".into()),
            generation: Generation(5),
            protocol: Some("range".into()),
            leader: Some("c-1".into()),
            phase_since: Some(WallMs(9)),
            members: vec![member],
        };
        Record::Group {
            group: "g".into(),
            value: Some(Arc::new(value)),
        }
    }

    fn round_trip(record: &Record) -> Record {
        let encoded = encode(record).unwrap();
        decode(&encoded.key, encoded.value.as_deref()).unwrap()
    }

    #[test]
    fn an_offset_is_written_as_kafka_writes_it() {
        let encoded = encode(&offset(Some(value()))).unwrap();
        assert_eq!(encoded.key, b"\0\x01\0\x01g\0\x01t\0\0\0\x07");
        let expected = b"\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x03\0\x01m\0\0\0\0\0\0\x03\xe8";
        assert_eq!(encoded.value.unwrap(), expected);
    }

    #[test]
    fn an_offset_with_an_expiry_or_a_topic_id_is_written_in_the_version_that_has_it() {
        let expiring = OffsetValue {
            expires_at: Some(WallMs(2_000)),
            leader_epoch: -1,
            ..value()
        };
        let encoded = encode(&offset(Some(expiring.clone()))).unwrap();
        assert_eq!(encoded.value.unwrap()[..2], [0, 1]);
        let with_id = OffsetValue {
            topic_id: TopicId([9; 16]),
            ..value()
        };
        let encoded = encode(&offset(Some(with_id.clone()))).unwrap();
        assert_eq!(encoded.value.unwrap()[..2], [0, 4]);
        for value in [expiring, with_id] {
            let record = offset(Some(value));
            assert_eq!(round_trip(&record), record);
        }
    }

    fn pending(value: Option<PendingValue>) -> Record {
        Record::Pending {
            group: "g".into(),
            topic: "t".into(),
            partition: 7,
            producer: ProducerId(5),
            value,
        }
    }

    fn staged(offset: OffsetValue) -> PendingValue {
        PendingValue {
            epoch: ProducerEpoch(6),
            order: 8,
            is_overtaken: true,
            offset,
        }
    }

    #[test]
    fn a_staged_offset_holds_the_value_that_is_to_be_committed() {
        let encoded = encode(&pending(Some(staged(value())))).unwrap();
        let key = b"\x27\x2c\0\x01g\0\x01t\0\0\0\x07\0\0\0\0\0\0\0\x05";
        assert_eq!(encoded.key, key);
        let committed = encode(&offset(Some(value()))).unwrap().value.unwrap();
        let bytes = encoded.value.unwrap();
        assert_eq!(bytes[..13], *b"\0\0\0\x06\0\0\0\0\0\0\0\x08\x01");
        assert_eq!(bytes[17..], committed);
    }

    #[test]
    fn staged_offsets_and_their_tombstones_are_read_as_they_were_written() {
        let expiring = OffsetValue {
            expires_at: Some(WallMs(2_000)),
            leader_epoch: -1,
            ..value()
        };
        for record in [pending(Some(staged(expiring))), pending(None)] {
            assert_eq!(round_trip(&record), record);
        }
        let encoded = encode(&pending(Some(staged(value())))).unwrap();
        let bytes = encoded.value.unwrap();
        for cut in 0..bytes.len() {
            assert!(decode(&encoded.key, Some(&bytes[..cut])).is_err());
        }
    }

    #[test]
    fn groups_and_tombstones_are_read_as_they_were_written() {
        let no_group = Record::Group {
            group: "g".into(),
            value: None,
        };
        for record in [group(), offset(None), no_group] {
            assert_eq!(round_trip(&record), record);
        }
    }

    #[test]
    fn damage_is_an_error_at_every_length() {
        let encoded = encode(&group()).unwrap();
        let value = encoded.value.unwrap();
        for cut in 0..value.len() {
            assert!(decode(&encoded.key, Some(&value[..cut])).is_err());
        }
        assert_eq!(decode(&[0, 3], None), Err(SchemaError::UnknownType(3)));
        assert!(decode(&encoded.key[..3], None).is_err());
        assert!(decode(&encoded.key, Some(b"\0\x09")).is_err());
    }

    #[test]
    fn a_damaged_record_is_put_down_to_its_group_as_long_as_that_can_be_read() {
        let encoded = encode(&offset(Some(value()))).unwrap();
        let (key, value) = (encoded.key, encoded.value.unwrap());
        let of = |key: &[u8], value: &[u8]| match loaded(key, Some(value)) {
            Ok(Some(Loaded::Unreadable { group, .. })) => Some(group),
            _ => None,
        };
        assert_eq!(of(&key, &value[..5]), Some("g".into()));
        assert_eq!(of(&key, b"\0\x09"), Some("g".into()));
        // The type and the group have five bytes.
        for cut in 0..key.len() {
            let expected = (cut >= 5).then(|| "g".into());
            assert_eq!(of(&key[..cut], &value), expected, "{cut}");
        }
        assert!(matches!(
            loaded(&key[..4], None),
            Err(SchemaError::Damaged(_))
        ));
        assert_eq!(loaded(&[0, 3], None), Ok(None));
    }
}
