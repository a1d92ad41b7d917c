//! `OffsetFetch`, from what a group holds straight into the bytes of the answer.
//!
//! ```text
//!   group's rows ----- look, within a turn of its shard -----> FetchedWriter ----> bytes
//!        \                                                         ^
//!         +--- values, where the turn is somebody else's ... ------+   committed.rs
//! ```
//!
//! What cannot be told in this way is not told at all: what was written is taken back, and the
//! whole request goes the other way, which knows refusals, waits, and long answers.

use super::call::Call;
use super::committed::{not_fetched, row, write_none};
use super::known_topics::Named;
use super::large::{ASKED_AT_ONCE, ROWS_MAX};
use crate::engine::{Engine, GroupOffsets, Rows, Shown};
use crate::ids::{TopicId, TopicName};
use crate::server::service::Handled;
use crate::time::Now;
use crate::wire::ErrorCode;
use crate::wire::fetched::FetchedWriter;
use crate::wire::messages::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};

/// A topic as it was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked<'r> {
    /// `None`: no topic has the id.
    name: Option<&'r str>,
    id: TopicId,
    partitions: &'r [i32],
}

/// The groups of an answer that is being written.
struct Answering<'a, 'w, 'b> {
    engine: &'a Engine,
    now: Now,
    is_stable_required: bool,
    writer: FetchedWriter<'w, 'b>,
    rows_left: usize,
}

impl Call<'_> {
    /// Answers a fetch; `None`: not in this way, and nothing was done.
    pub(super) fn fetch_in_place(&mut self, request: &OffsetFetchRequest<'_>) -> Option<Handled> {
        let rows_left = ROWS_MAX.checked_sub(rows_named(request))?;
        let version = self.header.version;
        let groups = request.groups.iter();
        // Topics that have no id any more are not shown where they go by their ids, and that is
        // not to be looked up while a shard waits.
        let has_all_by_id = version >= 10 && groups.clone().any(|group| group.topics.is_none());
        if request.groups.len() > ASKED_AT_ONCE || has_all_by_id {
            return None;
        }
        let names: Vec<Option<TopicName>> = if version >= 10 {
            let topics = groups.flat_map(|group| group.topics.iter().flatten());
            topics.map(|topic| self.name_of(topic)).collect()
        } else {
            Vec::new()
        };
        let (head, begin) = (self.head(), self.out.len());
        let (engine, now) = (&self.broker.engine, self.now);
        let mut is_done = false;
        let handled = head.write_with(self.out, |writer| {
            let mut answering = Answering {
                engine,
                now,
                is_stable_required: request.require_stable,
                writer: FetchedWriter::begin(writer, version, request.groups.len()),
                rows_left,
            };
            let written = if version <= 7 {
                answering.one(request)
            } else {
                answering.each(&request.groups, &names, version)
            };
            answering.writer.end();
            is_done = written.is_some();
        });
        if !is_done {
            self.out.truncate(begin);
            return None;
        }
        Some(handled)
    }

    fn name_of(&mut self, topic: &OffsetFetchRequestTopics<'_>) -> Option<TopicName> {
        let found = self.find_topic(Named::Id(topic.topic_id));
        found.map(|it| it.name)
    }
}

impl Answering<'_, '_, '_> {
    /// Writes the one group of a request until version 7.
    fn one(&mut self, request: &OffsetFetchRequest<'_>) -> Option<()> {
        let topics = request.topics.as_ref().map(|topics| {
            topics.iter().map(|topic| Asked {
                name: Some(topic.name),
                id: TopicId::ZERO,
                partitions: &topic.partition_indexes,
            })
        });
        self.group(request.group_id, topics)
    }

    /// Writes the groups of a request from version 8 on; `names` are those of all its topics, in
    /// their order, where they go by their ids.
    fn each(
        &mut self,
        groups: &[OffsetFetchRequestGroup<'_>],
        names: &[Option<TopicName>],
        version: i16,
    ) -> Option<()> {
        let mut names = names.iter();
        for group in groups {
            let topics = group.topics.as_ref().map(|topics| {
                topics.iter().map(|topic| Asked {
                    name: if version >= 10 {
                        names.next().and_then(Option::as_ref).map(TopicName::as_str)
                    } else {
                        Some(topic.name)
                    },
                    id: topic.topic_id,
                    partitions: &topic.partition_indexes,
                })
            });
            self.group(group.group_id, topics)?;
        }
        Some(())
    }

    /// Writes a group's topics; `None`: it cannot be told at once, or has too many rows.
    fn group<'r>(
        &mut self,
        group: &'r str,
        topics: Option<impl ExactSizeIterator<Item = Asked<'r>>>,
    ) -> Option<()> {
        let (writer, rows_left) = (&mut self.writer, &mut self.rows_left);
        let look = |offsets: &GroupOffsets<'_>| {
            if let Some(topics) = topics {
                writer.group(group, topics.len());
                topics.for_each(|topic| write_asked(topic, offsets, writer));
            } else {
                *rows_left = rows_left.checked_sub(offsets.len())?;
                writer.group(group, offsets.topic_count());
                write_all(offsets, writer);
            }
            writer.end_group(ErrorCode::NONE.0);
            Some(())
        };
        let looked = self
            .engine
            .look_at_offsets(group, self.is_stable_required, self.now, look);
        looked.flatten()
    }
}

/// Rows of the answer that the request names, one for each group included.
fn rows_named(request: &OffsetFetchRequest<'_>) -> usize {
    let of_one = request.topics.iter().flatten();
    let of_one = of_one.map(|topic| topic.partition_indexes.len());
    let each = request.groups.iter().map(|group| {
        let topics = group.topics.iter().flatten();
        let rows = topics.map(|topic| topic.partition_indexes.len());
        1 + rows.sum::<usize>()
    });
    of_one.sum::<usize>() + each.sum::<usize>()
}

fn write_asked(topic: Asked<'_>, offsets: &GroupOffsets<'_>, writer: &mut FetchedWriter<'_, '_>) {
    let Asked {
        name,
        id,
        partitions,
    } = topic;
    let Some(name) = name else {
        return write_none("", id, partitions, ErrorCode::UNKNOWN_TOPIC_ID, writer);
    };
    writer.topic(name, id, partitions.len());
    offsets.topic(name).show(partitions, &mut Written(writer));
    writer.end_topic();
}

fn write_all(offsets: &GroupOffsets<'_>, writer: &mut FetchedWriter<'_, '_>) {
    for (name, mut topic) in offsets.topics() {
        writer.topic(name.as_str(), TopicId::ZERO, topic.len());
        topic.show_all(&mut Written(writer));
        writer.end_topic();
    }
}

/// Rows that are written as they are shown.
struct Written<'f, 'w, 'b>(&'f mut FetchedWriter<'w, 'b>);

impl Rows for Written<'_, '_, '_> {
    fn nothing(&mut self, partition: i32) {
        self.0.row(&not_fetched(partition, ErrorCode::NONE));
    }

    fn unstable(&mut self, partition: i32) {
        let code = ErrorCode::UNSTABLE_OFFSET_COMMIT;
        self.0.row(&not_fetched(partition, code));
    }

    fn offset(&mut self, partition: i32, shown: Shown, metadata: &str) {
        let Shown {
            offset,
            leader_epoch,
        } = shown;
        self.0.row(&row(partition, offset, leader_epoch, metadata));
    }

    #[inline]
    fn run(&mut self, first: i32, run: impl ExactSizeIterator<Item = Shown>) {
        let offsets = run.map(|shown| (shown.offset, shown.leader_epoch));
        self.0.rows(first, offsets);
    }
}
