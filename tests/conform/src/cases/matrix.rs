//! Who says what in which state: heartbeats, commits and syncs of every member id, instance id
//! and generation, in every state of a classic group. None of them changes the group.

use anyhow::Result;
use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, OffsetCommitRequest, SyncGroupRequest, TopicName,
};

use crate::case::Book;
use crate::cx::{Cx, err, text};
use crate::scene::{INSTANCES, Scene, State};

/// Whom a request claims to come from.
struct Claim<'a> {
    id: &'a str,
    instance: Option<&'a str>,
    generation: i32,
}

/// How often a version is drawn: by counting, so that all are met.
struct Turn(usize);

impl Turn {
    fn pick(&mut self, versions: std::ops::RangeInclusive<i16>) -> i16 {
        self.0 += 1;
        let count = usize::try_from(versions.end() - versions.start() + 1).unwrap_or(1);
        versions.start() + (self.0 % count) as i16
    }
}

async fn heartbeat(scene: &Scene, claim: &Claim<'_>, turn: &mut Turn) -> String {
    let v = turn.pick(if claim.instance.is_some() {
        3..=4
    } else {
        0..=4
    });
    let mut request = HeartbeatRequest::default()
        .with_group_id(GroupId(text(&scene.group)))
        .with_member_id(text(claim.id))
        .with_generation_id(claim.generation);
    request.group_instance_id = claim.instance.map(text);
    scene
        .cx
        .call(&scene.conn, &request, v)
        .await
        .show(|r| err(r.error_code))
}

async fn commit(scene: &Scene, topic: &str, claim: &Claim<'_>, turn: &mut Turn) -> String {
    let v = turn.pick(if claim.instance.is_some() {
        7..=9
    } else {
        2..=9
    });
    let row = OffsetCommitRequestPartition::default()
        .with_committed_offset(7)
        .with_committed_metadata(Some(text("m")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![row]);
    let mut request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&scene.group)))
        .with_member_id(text(claim.id))
        .with_generation_id_or_member_epoch(claim.generation)
        .with_topics(vec![topic]);
    request.group_instance_id = claim.instance.map(text);
    scene.cx.call(&scene.conn, &request, v).await.show(|r| {
        let codes = r
            .topics
            .iter()
            .flat_map(|t| &t.partitions)
            .map(|p| err(p.error_code));
        codes.collect::<Vec<_>>().join("+")
    })
}

async fn sync(scene: &Scene, kind: (&str, &str), claim: &Claim<'_>, turn: &mut Turn) -> String {
    let wrong = kind != ("consumer", "range");
    let lowest = if wrong {
        5
    } else if claim.instance.is_some() {
        3
    } else {
        0
    };
    let v = turn.pick(lowest..=5);
    let mut request = SyncGroupRequest::default()
        .with_group_id(GroupId(text(&scene.group)))
        .with_member_id(text(claim.id))
        .with_generation_id(claim.generation);
    request.group_instance_id = claim.instance.map(text);
    if v >= 5 {
        request.protocol_type = (!kind.0.is_empty()).then(|| text(kind.0));
        request.protocol_name = (!kind.1.is_empty()).then(|| text(kind.1));
    }
    let out = scene.cx.call(&scene.conn, &request, v).await;
    out.show(|r| match r.error_code {
        0 => format!("NONE({})", scene.cx.show_bytes(&r.assignment)),
        code if r.assignment == Bytes::new() => err(code),
        code => format!("{}({})", err(code), scene.cx.show_bytes(&r.assignment)),
    })
}

/// Whether a sync would be accepted: it then parks, or ends the rebalance.
fn accepted(scene: &Scene, label: &str, claim: &Claim<'_>) -> bool {
    let own = match label {
        "A" => Some("ia"),
        "B" => Some("ib"),
        _ => return false,
    };
    let instance = claim.instance.is_none() || (scene.statics && claim.instance == own);
    instance && claim.generation == scene.generation && scene.state == State::Completing
}

/// What is asked.
enum Ask<'a> {
    Heartbeat,
    /// With this protocol type and name.
    Sync(&'a str, &'a str),
    /// To this topic.
    Commit(&'a str),
}

/// A row for each member id and instance id: the answers by generation.
async fn each_claim(scene: &Scene, what: &str, ask: &Ask<'_>, turn: &mut Turn) {
    let g = scene.generation;
    let generations = [
        ("-1", -1),
        ("0", 0),
        ("g-1", g - 1),
        ("g", g),
        ("g+1", g + 1),
    ];
    for (label, id) in &scene.ids {
        for instance in INSTANCES {
            let mut row = Vec::new();
            for (name, generation) in generations {
                let claim = Claim {
                    id,
                    instance,
                    generation,
                };
                let seen = match ask {
                    Ask::Heartbeat => heartbeat(scene, &claim, turn).await,
                    Ask::Sync("consumer", "range") if accepted(scene, label, &claim) => continue,
                    Ask::Sync(ptype, name) => sync(scene, (ptype, name), &claim, turn).await,
                    Ask::Commit(topic) => commit(scene, topic, &claim, turn).await,
                };
                row.push(format!("{name}:{seen}"));
            }
            let label = format!("{what} {label}/{}", instance.unwrap_or("none"));
            scene.cx.note(label, row.join(" "), "");
        }
    }
}

async fn matrix(cx: Cx, state: State, statics: bool) -> Result<()> {
    let (topic, _) = cx.topic(1).await?;
    let scene = Scene::set(&cx, state, statics, &topic).await?;
    let mut turn = Turn(0);
    each_claim(&scene, "heartbeat", &Ask::Heartbeat, &mut turn).await;
    for kind in [
        ("consumer", "range"),
        ("connect", "range"),
        ("consumer", "other"),
        ("", "range"),
    ] {
        let what = format!("sync {}/{}", kind.0, kind.1);
        each_claim(&scene, &what, &Ask::Sync(kind.0, kind.1), &mut turn).await;
    }
    // A commit to a group that is absent makes it a simple one, so these come last.
    each_claim(&scene, "commit", &Ask::Commit(&topic), &mut turn).await;
    cx.note("in the end", scene.now().await, "");
    cx.fetch(&scene.group, &[(&topic, 0)])
        .send("offset", "")
        .await
}

macro_rules! matrices {
    ($book:expr, $($name:literal = $state:ident $statics:literal),* $(,)?) => {
        $($book.add(&[100, 163, 164, 74, 76, 77, 106, 115], $name, |cx| {
            Box::pin(matrix(cx, State::$state, $statics))
        });)*
    };
}

pub fn add(book: &mut Book) {
    book.group("matrix");
    matrices!(
        book,
        "absent" = Absent false,
        "pending" = Pending false,
        "simple" = Simple false,
        "empty" = Empty false,
        "empty-static" = Empty true,
        "preparing" = Preparing false,
        "preparing-static" = Preparing true,
        "completing" = Completing false,
        "completing-static" = Completing true,
        "stable" = Stable false,
        "stable-static" = Stable true,
    );
}
