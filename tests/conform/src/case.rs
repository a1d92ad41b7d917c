//! What a case is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use anyhow::Result;

use crate::cx::Cx;

pub type Running = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A set of settings of the server under test, and the cases that need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Default,
    Delay,
    SmallGroup,
    NoMigration,
    ClassicOnly,
    Expiry,
}

impl Profile {
    pub const ALL: [Self; 6] = [
        Self::Default,
        Self::Delay,
        Self::SmallGroup,
        Self::NoMigration,
        Self::ClassicOnly,
        Self::Expiry,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Delay => "delay",
            Self::SmallGroup => "small-group",
            Self::NoMigration => "no-migration",
            Self::ClassicOnly => "classic-only",
            Self::Expiry => "expiry",
        }
    }

    /// The server's settings under Kafka's names: those of all profiles, less what this one
    /// sets otherwise, then its own.
    pub fn settings(self) -> Vec<(&'static str, &'static str)> {
        let own: &[(&str, &str)] = match self {
            Self::Default => &[],
            Self::Delay => &[("group.initial.rebalance.delay.ms", "1000")],
            Self::SmallGroup => &[("group.max.size", "3"), ("group.consumer.max.size", "2")],
            Self::NoMigration => &[("group.consumer.migration.policy", "disabled")],
            Self::ClassicOnly => &[("group.coordinator.rebalance.protocols", "classic")],
            Self::Expiry => &[("offsets.retention.check.interval.ms", "200")],
        };
        let common = COMMON
            .iter()
            .filter(|(name, _)| own.iter().all(|(n, _)| n != name));
        common.chain(own).copied().collect()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|p| p.name() == name);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// What all profiles ask of the server. Replication factors mean nothing to a single node,
/// but Kafka's defaults would keep it from starting.
const COMMON: &[(&str, &str)] = &[
    ("num.partitions", "1"),
    ("auto.create.topics.enable", "true"),
    ("offsets.topic.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("offset.metadata.max.bytes", "4096"),
    ("group.min.session.timeout.ms", "100"),
    ("group.max.session.timeout.ms", "1800000"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.session.timeout.ms", "5001"),
    ("group.consumer.min.session.timeout.ms", "5001"),
    ("group.consumer.heartbeat.interval.ms", "5000"),
    ("group.consumer.assignment.interval.ms", "0"),
    ("group.consumer.migration.policy", "bidirectional"),
    ("group.share.assignment.interval.ms", "0"),
];

pub struct Case {
    /// Numbers in section 6 of the specification.
    pub numbers: &'static [u16],
    pub group: &'static str,
    pub name: &'static str,
    pub profile: Profile,
    pub run: fn(Cx) -> Running,
}

impl Case {
    /// Group and name.
    pub fn key(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }
}

/// Where cases are registered.
pub struct Book {
    pub cases: Vec<Case>,
    pub group: &'static str,
    pub profile: Profile,
}

impl Book {
    pub fn group(&mut self, group: &'static str) {
        self.group = group;
        self.profile = Profile::Default;
    }

    pub fn add(&mut self, numbers: &'static [u16], name: &'static str, run: fn(Cx) -> Running) {
        let Self { group, profile, .. } = *self;
        self.cases.push(Case {
            numbers,
            group,
            name,
            profile,
            run,
        });
    }
}

/// `case!(book, [14, 15], "name", |cx| { ... });`
#[macro_export]
macro_rules! case {
    ($book:expr, [$($n:expr),*], $name:expr, |$cx:ident| $body:block) => {
        $book.add(&[$($n),*], $name, |$cx: $crate::cx::Cx| {
            Box::pin(async move {
                $body
                #[allow(unreachable_code, reason = "a case may end in an early return")]
                Ok(())
            })
        });
    };
}
