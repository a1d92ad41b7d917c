//! Share groups (6.19), and what the other APIs make of them.

use anyhow::Result;
use kafka_protocol::messages::{GroupId, ShareGroupHeartbeatRequest, TopicName};

use crate::case;
use crate::case::Book;
use crate::cx::{Cx, err, text};

struct Share {
    cx: Cx,
    group: String,
    id: String,
    epoch: i32,
    topics: Option<Vec<String>>,
    /// How many partitions it was last given.
    has: usize,
}

impl Share {
    fn new(cx: &Cx, group: &str, name: &str, topics: &[&str]) -> Self {
        let id = uuid::Uuid::new_v4().to_string();
        cx.name_id(&id, name, group);
        Self {
            cx: cx.clone(),
            group: group.into(),
            id,
            epoch: 0,
            topics: Some(topics.iter().map(|t| t.to_string()).collect()),
            has: 0,
        }
    }

    /// How many partitions come at once isn't shown: they have to be made ready first, which
    /// takes its time.
    async fn beat(&mut self, epoch: i32, label: &str, spec: &str) -> Result<()> {
        let (seen, detail) = self.beat_out(epoch).await?;
        self.cx.note_with(label, seen, spec, detail);
        Ok(())
    }

    async fn beat_out(&mut self, epoch: i32) -> Result<(String, Option<String>)> {
        let mut request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(text(&self.id))
            .with_member_epoch(epoch);
        request.subscribed_topic_names = match epoch {
            0 => self
                .topics
                .as_ref()
                .map(|ts| ts.iter().map(|t| TopicName(text(t))).collect()),
            _ => None,
        };
        let cx = self.cx.clone();
        let out = cx.ask(&request, 1).await?;
        let detail = out
            .as_ref()
            .and_then(|r| r.error_message.as_ref())
            .map(|m| m.to_string());
        let seen = out.show(|r| {
            let me = r
                .member_id
                .as_ref()
                .map_or_else(|| "null".into(), |id| cx.who(id));
            let assign = match &r.assignment {
                None => "null".to_owned(),
                Some(_) => "given".into(),
            };
            format!(
                "{} epoch={} me={me} hb={} assign={assign}",
                err(r.error_code),
                r.member_epoch,
                r.heartbeat_interval_ms
            )
        });
        if let Some(r) = out.as_ref()
            && r.error_code == 0
            && epoch >= 0
        {
            self.epoch = r.member_epoch;
            if let Some(a) = &r.assignment {
                self.has = a.topic_partitions.iter().map(|t| t.partitions.len()).sum();
            }
        }
        Ok((seen, detail))
    }
}

pub fn add(book: &mut Book) {
    book.group("share");

    case!(book, [365, 367], "validation", |cx| {
        let (t, _) = cx.topic(2).await?;
        let mut a = Share::new(&cx, &cx.group(), "A", &[&t]);
        a.beat(5, "epoch 5, absent group", "GROUP_ID_NOT_FOUND")
            .await?;
        a.beat(-2, "epoch -2", "INVALID_REQUEST").await?;
        a.topics = None;
        a.beat(0, "no names", "INVALID_REQUEST").await?;
        a.topics = Some(vec![]);
        a.beat(0, "names empty", "").await?;
        let mut b = Share::new(&cx, "", "B", &[&t]);
        b.beat(0, "group \"\"", "INVALID_REQUEST").await?;
        let mut c = Share::new(&cx, &cx.group(), "C", &[&t]);
        c.id.clear();
        c.beat(0, "member \"\"", "INVALID_REQUEST").await?;
    });
}
