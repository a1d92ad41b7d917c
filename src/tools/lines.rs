//! Records as JSON lines.
//!
//! ```text
//!   {"kind":"offset","group":"g","topic":"t","partition":0,"offset":42,"leader_epoch":-1,
//!    "metadata":"","committed_at":1767225600000,"expires_at":null,"topic_id":null}
//!   {"kind":"pending","group":"g","topic":"t","partition":0,"producer":4000,"epoch":0,"order":7,
//!    "is_overtaken":false,"offset":43, and so on as above}
//!   {"kind":"group","group":"g","protocol_type":"consumer","generation":3,"protocol":"range",
//!    "leader":"m-1","phase_since":1767225600000,"members":[{"member":"m-1","instance":null,
//!    "client_id":"c","client_host":"/127.0.0.1","rebalance_timeout_ms":60000,
//!    "session_timeout_ms":45000,"subscription":"0001","assignment":"0001"}]}
//! ```
//!
//! (Each on one line.) Times are milliseconds since 1970, bytes are hexadecimal, topic ids UUIDs.
//! Every field has to be there, and no other. A removal has `"removed":true` in place of its
//! value; an export has none.

use std::sync::Arc;

use bytes::Bytes;

use super::counts::Counts;
use super::object::{Fields, Line};
use crate::group::{GroupMetadata, MemberMetadata, OffsetValue, PendingValue, Record};
use crate::ids::{Generation, ProducerEpoch, ProducerId, TopicId};
use crate::time::WallMs;

const OFFSET: &str = "offset";
const PENDING: &str = "pending";
const GROUP: &str = "group";

/// The fields of a record; the caller may put more behind them.
pub(super) fn write(record: &Record) -> Line {
    match record {
        Record::Offset {
            group,
            topic,
            partition,
            value,
        } => {
            let line = Line::new(OFFSET)
                .text("group", group.as_str())
                .text("topic", topic.as_str())
                .number("partition", *partition);
            match value {
                Some(value) => write_offset(line, value),
                None => line.flag("removed", true),
            }
        }
        Record::Pending {
            group,
            topic,
            partition,
            producer,
            value,
        } => {
            let line = Line::new(PENDING)
                .text("group", group.as_str())
                .text("topic", topic.as_str())
                .number("partition", *partition)
                .number("producer", producer.0);
            match value {
                Some(value) => write_offset(write_staged(line, value), &value.offset),
                None => line.flag("removed", true),
            }
        }
        Record::Group { group, value } => {
            let line = Line::new(GROUP).text("group", group.as_str());
            match value {
                Some(value) => write_group(line, value),
                None => line.flag("removed", true),
            }
        }
    }
}

fn write_staged(line: Line, value: &PendingValue) -> Line {
    line.number("epoch", value.epoch.0)
        .count("order", value.order)
        .flag("is_overtaken", value.is_overtaken)
}

fn write_offset(line: Line, value: &OffsetValue) -> Line {
    let id = (!value.topic_id.is_zero()).then(|| format!("{:?}", value.topic_id));
    line.number("offset", value.offset)
        .number("leader_epoch", value.leader_epoch)
        .text("metadata", &value.metadata)
        .number("committed_at", value.committed_at.0)
        .number_or_null("expires_at", value.expires_at.map(|at| at.0))
        .text_or_null("topic_id", id.as_deref())
}

fn write_group(line: Line, value: &GroupMetadata) -> Line {
    let leader = value.leader.as_ref().map(|leader| leader.as_str());
    line.text_or_null("protocol_type", value.protocol_type.as_deref())
        .number("generation", value.generation.0)
        .text_or_null("protocol", value.protocol.as_deref())
        .text_or_null("leader", leader)
        .number_or_null("phase_since", value.phase_since.map(|at| at.0))
        .list("members", value.members.iter().map(write_member))
}

fn write_member(member: &MemberMetadata) -> String {
    let instance = member.instance.as_ref().map(|instance| instance.as_str());
    Line::object()
        .text("member", member.member.as_str())
        .text_or_null("instance", instance)
        .text("client_id", &member.client_id)
        .text("client_host", &member.client_host)
        .number("rebalance_timeout_ms", member.rebalance_timeout_ms)
        .number("session_timeout_ms", member.session_timeout_ms)
        .bytes("subscription", &member.subscription)
        .bytes("assignment", &member.assignment)
        .end()
}

/// A line of an export.
#[derive(Debug)]
pub(super) enum Read {
    Record(Record),
    /// Its first line.
    Begin,
    /// Its last line: how many groups and offsets there are.
    End(Counts),
}

/// The version of the lines.
const VERSION: i64 = 1;

/// The first line.
pub(super) fn begin() -> String {
    Line::new("export").number("version", VERSION).end()
}

/// The last line, by which one sees that none is missing.
pub(super) fn end(counts: Counts) -> String {
    Line::new("end")
        .count("groups", counts.groups)
        .count("offsets", counts.offsets)
        .count("pending", counts.pending)
        .end()
}

/// Reads a line; the error is the rest of a sentence about it.
pub(super) fn read(line: &str) -> Result<Read, String> {
    let mut fields = Fields::parse(line)?;
    let read = match fields.text("kind")?.as_str() {
        OFFSET => Read::Record(read_offset(&mut fields)?),
        PENDING => Read::Record(read_pending(&mut fields)?),
        GROUP => Read::Record(read_group(&mut fields)?),
        "export" => match fields.number("version")? {
            VERSION => Read::Begin,
            other => return Err(format!("lines of version {other} are not known")),
        },
        "end" => Read::End(Counts {
            groups: fields.number("groups")?,
            offsets: fields.number("offsets")?,
            pending: fields.number("pending")?,
        }),
        other => return Err(format!("a line of kind {other:?} is not known")),
    };
    fields.end()?;
    Ok(read)
}

fn read_offset(fields: &mut Fields) -> Result<Record, String> {
    Ok(Record::Offset {
        group: fields.text("group")?.into(),
        topic: fields.text("topic")?.into(),
        partition: fields.number("partition")?,
        value: Some(read_value(fields)?),
    })
}

fn read_pending(fields: &mut Fields) -> Result<Record, String> {
    Ok(Record::Pending {
        group: fields.text("group")?.into(),
        topic: fields.text("topic")?.into(),
        partition: fields.number("partition")?,
        producer: ProducerId(fields.number("producer")?),
        value: Some(PendingValue {
            epoch: ProducerEpoch(fields.number("epoch")?),
            order: fields.number("order")?,
            is_overtaken: fields.flag("is_overtaken")?,
            offset: read_value(fields)?,
        }),
    })
}

fn read_value(fields: &mut Fields) -> Result<OffsetValue, String> {
    let id = fields.text_or_null("topic_id")?;
    let id = id.map(|text| {
        let id = uuid::Uuid::parse_str(&text);
        id.map(|id| TopicId(id.into_bytes()))
    });
    let id = id.transpose().map_err(|_| "\"topic_id\" is not a UUID")?;
    Ok(OffsetValue {
        offset: fields.number("offset")?,
        leader_epoch: fields.number("leader_epoch")?,
        metadata: fields.text("metadata")?.into(),
        committed_at: WallMs(fields.number("committed_at")?),
        expires_at: fields.number_or_null("expires_at")?.map(WallMs),
        topic_id: id.unwrap_or(TopicId::ZERO),
    })
}

fn read_group(fields: &mut Fields) -> Result<Record, String> {
    let members = fields.list("members")?.into_iter();
    let members = members.map(|member| {
        let mut fields = Fields::of(member, "a member")?;
        let member = read_member(&mut fields)?;
        fields.end().map(|()| member)
    });
    let members = members.collect::<Result<Vec<_>, String>>()?;
    Ok(Record::Group {
        group: fields.text("group")?.into(),
        value: Some(Arc::new(GroupMetadata {
            protocol_type: fields.text_or_null("protocol_type")?.map(Into::into),
            generation: Generation(fields.number("generation")?),
            protocol: fields.text_or_null("protocol")?.map(Into::into),
            leader: fields.text_or_null("leader")?.map(Into::into),
            phase_since: fields.number_or_null("phase_since")?.map(WallMs),
            members,
        })),
    })
}

fn read_member(fields: &mut Fields) -> Result<MemberMetadata, String> {
    Ok(MemberMetadata {
        member: fields.text("member")?.into(),
        instance: fields.text_or_null("instance")?.map(Into::into),
        client_id: fields.text("client_id")?.into(),
        client_host: fields.text("client_host")?.into(),
        rebalance_timeout_ms: fields.number("rebalance_timeout_ms")?,
        session_timeout_ms: fields.number("session_timeout_ms")?,
        subscription: Bytes::from(fields.bytes("subscription")?),
        assignment: Bytes::from(fields.bytes("assignment")?),
    })
}
