//! Joins and leaves of everyone in every state of a classic group, and what the group is then.

use anyhow::Result;
use bytes::Bytes;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{GroupId, LeaveGroupRequest};

use crate::case::Book;
use crate::cx::{Cx, text};
use crate::dice::Dice;
use crate::member::Member;
use crate::scene::{INSTANCES, Scene, State};
use crate::show::show_leave;

/// What may be wrong with a join besides who sends it.
const FLAWS: [&str; 6] = ["", "type", "protocol", "no-protocols", "no-type", "session"];

fn joiner(scene: &Scene, label: &str, id: &str, instance: Option<&str>, flaw: &str) -> Member {
    let mut m = scene.cx.member(&scene.group, &label[..1].to_uppercase());
    m.id = id.into();
    m.instance = instance.map(str::to_owned);
    m.session = 60_000;
    m.limit = std::time::Duration::from_mins(1);
    m.generation = scene.generation;
    match flaw {
        "type" => m.ptype = "connect".into(),
        "no-type" => m.ptype.clear(),
        "protocol" => m.offer(&["other"], ""),
        "no-protocols" => m.protocols.clear(),
        "session" => m.session = 99,
        _ => {}
    }
    m
}

/// Every member id, instance id and flaw. The group is set up anew after a join that may have
/// changed it.
async fn joins(cx: Cx, state: State, statics: bool) -> Result<()> {
    let (topic, _) = cx.topic(1).await?;
    let mut scene = Scene::set(&cx, state, statics, &topic).await?;
    let mut turn = 0;
    for who in 0..scene.ids.len() {
        for instance in INSTANCES {
            for flaw in FLAWS {
                let (label, id) = scene.ids[who].clone();
                let mut m = joiner(&scene, label, &id, instance, flaw);
                turn += 1;
                m.jv = if instance.is_some() {
                    5 + turn % 5
                } else {
                    turn % 10
                };
                let row = format!("{label}/{} {flaw} v{}", instance.unwrap_or("none"), m.jv);
                let parked = m.join_start().await?;
                let seen = if parked.settled(cx.env.park).await {
                    m.absorb(&parked.out().await)
                } else {
                    "parked".into()
                };
                let refused = seen.contains(" gen=-1 ") && !seen.starts_with("MEMBER_ID_REQUIRED");
                let now = scene.now().await;
                cx.note(row, format!("{seen} now={now}"), "");
                if !refused {
                    scene = Scene::set(&cx, state, statics, &topic).await?;
                }
            }
        }
    }
    Ok(())
}

/// Sends a batch; the answer, what the group is then, and what its members hear.
async fn leave(scene: &mut Scene, v: i16, batch: &[(usize, Option<&str>)]) -> Result<bool> {
    let mut request = LeaveGroupRequest::default().with_group_id(GroupId(text(&scene.group)));
    let mut label = format!("v{v}");
    for (who, instance) in batch {
        let (name, id) = &scene.ids[*who];
        label += &format!(" {name}/{}", instance.unwrap_or("none"));
        if v < 3 {
            request.member_id = text(id);
        } else {
            let identity = MemberIdentity::default()
                .with_member_id(text(id))
                .with_group_instance_id(instance.map(text));
            request.members.push(identity);
        }
    }
    let out = scene.cx.call(&scene.conn, &request, v).await;
    let mut seen = show_leave(&scene.cx, &out);
    let changed = seen.contains("=NONE") && (v < 3 || seen.matches("=NONE").count() > 1);
    seen += &format!(" now={}", scene.now().await);
    if changed {
        for m in &mut scene.members {
            // Whoever waits in a join cannot be asked on the same connection: another is used.
            let heard = m.hb_out().await?;
            seen += &format!(" hears-{}={heard}", m.name);
        }
    }
    scene.cx.note(label, seen, "");
    Ok(changed)
}

/// Everyone alone, in all versions; then batches drawn from a seed.
async fn leaves(cx: Cx, state: State, statics: bool) -> Result<()> {
    let (topic, _) = cx.topic(1).await?;
    let mut scene = Scene::set(&cx, state, statics, &topic).await?;
    let mut turn = 0;
    for who in 0..scene.ids.len() {
        for instance in INSTANCES {
            turn += 1;
            let v = if instance.is_some() {
                3 + turn % 3
            } else {
                turn % 6
            };
            if leave(&mut scene, v, &[(who, instance)]).await? {
                scene = Scene::set(&cx, state, statics, &topic).await?;
            }
        }
    }
    let mut dice = Dice::new(state as u64 + 100);
    for _ in 0..16 {
        let batch: Vec<_> = (0..2 + dice.roll(2))
            .map(|_| (dice.roll(5) as usize, INSTANCES[dice.roll(4) as usize]))
            .collect();
        let v = 3 + dice.roll(3) as i16;
        if leave(&mut scene, v, &batch).await? {
            scene = Scene::set(&cx, state, statics, &topic).await?;
        }
    }
    leave(&mut scene, 5, &[]).await?;
    Ok(())
}

/// Syncs of both members in CompletingRebalance, in either order, with odd assignments.
async fn syncs(cx: Cx) -> Result<()> {
    let mut dice = Dice::new(77);
    let (topic, _) = cx.topic(1).await?;
    for n in 0..16 {
        let mut scene = Scene::set(&cx, State::Completing, dice.roll(2) == 0, &topic).await?;
        let mut plan: Vec<(String, Bytes)> = Vec::new();
        for _ in 0..dice.roll(5) {
            let (name, id) = scene.ids[dice.roll(5) as usize].clone();
            plan.push((id, Bytes::from(format!("asg-{name}-{}", plan.len()))));
        }
        let follower_first = dice.roll(2) == 0;
        let own = vec![(
            scene.members[1].id.clone(),
            Bytes::from_static(b"of-the-follower"),
        )];
        let versions = [dice.roll(6) as i16, dice.roll(6) as i16];
        let [a, b] = &mut scene.members[..] else {
            continue;
        };
        (a.sv, b.sv) = (versions[0], versions[1]);
        let label = |what: &str| format!("{n} {what}");
        if follower_first {
            let mut parked = b.sync_start(own).await?;
            parked.check(&cx, &label("the follower first"), "").await;
            a.sync(&label("the leader"), "", plan).await?;
            b.synced(parked, &label("the follower is released"), "")
                .await;
        } else {
            a.sync(&label("the leader first"), "", plan).await?;
            b.sync(&label("the follower"), "", own).await?;
        }
        a.sync(&label("the leader again"), "", Vec::new()).await?;
        cx.describe(&label("describe"), 5, &[&scene.group], "")
            .await?;
    }
    Ok(())
}

macro_rules! moves {
    ($book:expr, $run:ident, $($name:literal = $state:ident $statics:literal),* $(,)?) => {
        $($book.add(&[14, 16, 22, 119, 122, 124, 127, 148], $name, |cx| {
            Box::pin($run(cx, State::$state, $statics))
        });)*
    };
}

pub fn add(book: &mut Book) {
    book.group("moves");
    moves!(
        book,
        joins,
        "join-absent" = Absent false,
        "join-pending" = Pending false,
        "join-simple" = Simple false,
        "join-empty" = Empty false,
        "join-empty-static" = Empty true,
        "join-preparing" = Preparing false,
        "join-preparing-static" = Preparing true,
        "join-completing" = Completing false,
        "join-completing-static" = Completing true,
        "join-stable" = Stable false,
        "join-stable-static" = Stable true,
    );
    moves!(
        book,
        leaves,
        "leave-absent" = Absent false,
        "leave-pending" = Pending false,
        "leave-simple" = Simple false,
        "leave-empty" = Empty false,
        "leave-empty-static" = Empty true,
        "leave-preparing" = Preparing false,
        "leave-preparing-static" = Preparing true,
        "leave-completing" = Completing false,
        "leave-completing-static" = Completing true,
        "leave-stable" = Stable false,
        "leave-stable-static" = Stable true,
    );
    book.add(&[79, 82, 83, 85, 86], "sync-orders", |cx| {
        Box::pin(syncs(cx))
    });
}
