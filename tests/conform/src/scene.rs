//! A group brought into a given state, for cases that try everything in every state.

use std::sync::Arc;

use anyhow::Result;
use conform_wire::Conn;
use kafka_protocol::messages::{DescribeGroupsRequest, GroupId, JoinGroupRequest};

use crate::cx::{Cx, err, text};
use crate::member::Member;
use crate::offsets::part;
use crate::parked::Parked;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never heard of.
    Absent,
    /// Only a member id was handed out.
    Pending,
    /// Made by a commit; no member ever.
    Simple,
    /// Its only member has left.
    Empty,
    /// A, the leader, has joined again and waits for B.
    Preparing,
    /// Both have joined.
    Completing,
    /// Both have their assignments.
    Stable,
}

impl State {
    /// All but `Absent`, in the order of a group's life.
    pub const ALL: [Self; 7] = [
        Self::Absent,
        Self::Pending,
        Self::Simple,
        Self::Empty,
        Self::Preparing,
        Self::Completing,
        Self::Stable,
    ];

    /// Whether there are members A and B.
    pub fn has_members(self) -> bool {
        matches!(self, Self::Preparing | Self::Completing | Self::Stable)
    }

    /// In lower case, for names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Pending => "pending",
            Self::Simple => "simple",
            Self::Empty => "empty",
            Self::Preparing => "preparing",
            Self::Completing => "completing",
            Self::Stable => "stable",
        }
    }
}

/// A group in a state, and everyone who may ask something of it.
pub struct Scene {
    pub cx: Cx,
    pub group: String,
    pub state: State,
    pub statics: bool,
    /// A and B, if the state has them.
    pub members: Vec<Member>,
    /// The generation that requests are measured against.
    pub generation: i32,
    /// Labels and ids: members (or ids long gone), one that is pending, none, and a stranger.
    pub ids: Vec<(&'static str, String)>,
    pub conn: Arc<Conn>,
    /// A's join in `Preparing`: held, so that its connection stays.
    waiting: Option<Parked<JoinGroupRequest>>,
}

/// Instances that requests may name; A's and B's in groups of static members.
pub const INSTANCES: [Option<&str>; 4] = [None, Some("ia"), Some("ib"), Some("nowhere")];

impl Scene {
    /// A fresh group in `state`; `topic` is what a simple group commits to.
    pub async fn set(cx: &Cx, state: State, statics: bool, topic: &str) -> Result<Self> {
        let group = cx.group();
        let mut scene = Self {
            cx: cx.clone(),
            group: group.clone(),
            state,
            statics,
            members: Vec::new(),
            generation: 1,
            ids: Vec::new(),
            conn: cx.connect().await?,
            waiting: None,
        };
        let (mut a, mut b, mut p) = (scene.actor("A"), scene.actor("B"), scene.actor("P"));
        p.instance = None;
        match state {
            State::Absent => {}
            State::Pending => p.take_id().await?,
            State::Simple => {
                let seen = cx.commit(&group, &[part(topic, 0, 1)]).seen().await?;
                cx.setup("commit", seen, &format!("{}-0=NONE", cx.show(topic)));
            }
            State::Empty => {
                let mut alone = [a];
                cx.form(&mut alone).await?;
                cx.sync_all(&mut alone).await?;
                [a] = alone;
                a.leave_quietly().await?;
            }
            State::Preparing | State::Completing | State::Stable => {
                let mut both = [a, b];
                cx.form(&mut both).await?;
                if state != State::Completing {
                    cx.sync_all(&mut both).await?;
                }
                [a, b] = both;
                p.take_id().await?;
                if state == State::Preparing {
                    scene.waiting = Some(a.join_start().await?);
                    b.await_rebalance().await?;
                }
                scene.generation = a.generation;
            }
        }
        let known = |m: &Member, gone: &str| {
            if m.id.is_empty() {
                gone.into()
            } else {
                m.id.clone()
            }
        };
        scene.ids = vec![
            ("A", known(&a, "gone-a")),
            ("B", known(&b, "gone-b")),
            ("P", known(&p, "gone-p")),
            ("none", String::new()),
            ("stranger", "nobody".into()),
        ];
        for (label, id) in &scene.ids {
            cx.call_it(id, label);
        }
        if state.has_members() {
            scene.members = vec![a, b];
        }
        Ok(scene)
    }

    fn actor(&self, name: &str) -> Member {
        let mut m = self.cx.member(&self.group, name);
        m.session = 60_000;
        m.limit = std::time::Duration::from_mins(1);
        if self.statics {
            m.instance = Some(format!("i{}", name.to_lowercase()));
        }
        m
    }

    /// The group's state and how many members it has, as `Stable/2`.
    pub async fn now(&self) -> String {
        let request =
            DescribeGroupsRequest::default().with_groups(vec![GroupId(text(&self.group))]);
        let out = self.cx.call(&self.conn, &request, 5).await;
        out.show(|r| {
            let rows = r.groups.iter().map(|g| match g.error_code {
                0 => format!("{}/{}", g.group_state, g.members.len()),
                code => err(code),
            });
            rows.collect::<Vec<_>>().join("+")
        })
    }
}
