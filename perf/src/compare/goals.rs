//! What ours is to reach beside its peers, and whether it does.

use super::loads::{CLOSED, CROWD, GROUPS, MEMORY, START};
use super::peer::Peer;
use super::run::Columns;

/// A goal: a load, what of it, whose, and how much.
struct Goal {
    load: &'static str,
    figure: &'static str,
    title: &'static str,
    ours: Peer,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    /// That of the peer is at least so many times ours.
    Times(Peer, f64),
    /// Ours is less than this.
    Below(f64, &'static str),
}

const fn times(
    load: &'static str,
    title: &'static str,
    ours: Peer,
    peer: Peer,
    times: f64,
) -> Goal {
    Goal {
        load,
        figure: "cpu_us",
        title,
        ours,
        bound: Bound::Times(peer, times),
    }
}

const MIB: f64 = 1_024.0 * 1_024.0;

const GOALS: [Goal; 16] = {
    use Peer::{Kafka, Kfake, Ours, OursOnDisk};
    [
        times("heartbeat-100", "", Ours, Kafka, 40.0),
        times("heartbeat-100", "", Ours, Kfake, 12.0),
        times("heartbeat-1", "", Ours, Kafka, 6.0),
        times("commit-10", "", Ours, Kafka, 20.0),
        times("commit-10", "", OursOnDisk, Kafka, 12.0),
        times("commit-1", "", Ours, Kafka, 25.0),
        times("commit-1", "", OursOnDisk, Kafka, 12.0),
        times("fetch-100", "", Ours, Kafka, 10.0),
        times("fetch-100", "", Ours, Kfake, 5.0),
        times(GROUPS, "CPU of a group formed", Ours, Kafka, 20.0),
        Goal {
            figure: "resident_bytes",
            ..times(MEMORY, "memory of a group", Ours, Kafka, 25.0)
        },
        Goal {
            figure: "rebalances_cpu_ms",
            ..times(CROWD, "CPU of rebalances", Ours, Kafka, 10.0)
        },
        Goal {
            figure: "rebalances_cpu_ms",
            ..times(CROWD, "CPU of rebalances", Ours, Kfake, 10.0)
        },
        Goal {
            load: START,
            figure: "first_answer_ms",
            title: "first answer",
            ours: Ours,
            bound: Bound::Below(30.0, "30 ms"),
        },
        Goal {
            load: START,
            figure: "first_answer_ms",
            title: "first answer",
            ours: OursOnDisk,
            bound: Bound::Below(30.0, "30 ms"),
        },
        Goal {
            load: START,
            figure: "idle_bytes",
            title: "idle memory",
            ours: Ours,
            bound: Bound::Below(10.0 * MIB, "10 MiB"),
        },
    ]
};

/// A row a goal that can be judged: what, goal, measured, whether it is reached.
pub(super) fn rows(columns: &Columns) -> Vec<[String; 4]> {
    GOALS.iter().filter_map(|goal| goal.row(columns)).collect()
}

impl Goal {
    fn row(&self, columns: &Columns) -> Option<[String; 4]> {
        let ours = self.value(columns, self.ours)?;
        let (goal, measured, is_reached) = match self.bound {
            Bound::Times(peer, times) => {
                let ratio = self.value(columns, peer)? / ours.max(f64::MIN_POSITIVE);
                let goal = format!("{} takes >= {times:.0}x", peer.title());
                (goal, format!("{ratio:.1}x"), ratio >= times)
            }
            Bound::Below(limit, shown) => {
                let share = ours / limit * 100.0;
                (
                    format!("< {shown}"),
                    format!("{share:.0}% of it"),
                    ours < limit,
                )
            }
        };
        let load = CLOSED.iter().find(|load| load.key == self.load);
        let title = load.map_or(self.title, |load| load.title);
        let title = format!("{title} ({})", self.ours.title());
        let reached = if is_reached { "reached" } else { "missed" };
        Some([title, goal, measured, reached.to_owned()])
    }

    fn value(&self, columns: &Columns, peer: Peer) -> Option<f64> {
        columns.get(&peer)?.figures.median(self.load, self.figure)
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::Column;
    use super::*;

    #[test]
    fn a_goal_is_reached_by_the_ratio_of_the_medians() {
        let mut columns = Columns::new();
        for (peer, us) in [(Peer::Ours, 1.0), (Peer::Kafka, 39.0)] {
            let mut column = Column::default();
            column.figures.add("heartbeat-100", "cpu_us", us);
            columns.insert(peer, column);
        }
        let rows = rows(&columns);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            rows[0][1..],
            ["Kafka 4.4.0 takes >= 40x", "39.0x", "missed"]
        );
    }
}
