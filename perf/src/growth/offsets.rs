//! Commits and fetches among more and more groups, and among more and more offsets.

use std::collections::HashMap;
use std::hint::black_box;

use takhin_coordinator::config::Config;
use takhin_coordinator::engine::{CommitRequest, Driving, Engine, FetchRequest};
use takhin_coordinator::time::ManualClock;

use super::{Growth, Scale};
use crate::beats::shuffled;
use crate::failure::Failure;
use crate::ratios::ns_a_step;

/// Groups of one offset.
pub(super) fn growth_of_groups(scale: Scale) -> Result<Growth, Failure> {
    let make = |groups| Committed::new(groups, 1, scale.steps);
    Growth::measure("groups", scale, make, |of| {
        Ok(vec![
            ("a number by its name into a map", of.put_into_map()),
            ("commit of its offset", of.commit()?),
            ("fetch of its offset", of.fetch()?),
        ])
    })
}

/// Groups of a hundred offsets.
pub(super) fn growth_of_offsets(scale: Scale) -> Result<Growth, Failure> {
    let make = |offsets: usize| Committed::new(offsets.div_ceil(100), 100, scale.steps);
    Growth::measure("offsets", scale, make, |of| {
        Ok(vec![
            ("a number by its name into a map", of.put_into_map()),
            ("commit of one", of.commit()?),
            ("fetch of the hundred of a group", of.fetch()?),
        ])
    })
}

/// Groups that hold nothing but offsets, each as many.
struct Committed {
    engine: Engine,
    partitions: i32,
    names: Vec<String>,
    /// The groups in an order that no cache foresees.
    order: Vec<usize>,
    /// Where in the order the next turn begins.
    at: usize,
    steps: usize,
    /// All offsets of a group by its name: what an engine cannot do without.
    map: HashMap<String, Box<[i64]>>,
    offset: i64,
}

impl Committed {
    fn new(groups: usize, partitions: i32, steps: usize) -> Result<Self, Failure> {
        let config = Config::builder()
            .takhin_groups_max(u32::MAX)
            .takhin_offsets_max(u64::MAX)
            .build();
        let config = config.map_err(|error| Failure::new(error.to_string()))?;
        let engine = Engine::builder(config)
            .clock(ManualClock::new())
            .driving(Driving::Host)
            .open();
        let engine = engine.map_err(|error| Failure::new(error.to_string()))?;
        let names: Vec<String> = (0..groups)
            .map(|group| format!("orders-enrichment-{group:07}"))
            .collect();
        let mut map = HashMap::new();
        for name in &names {
            let mut request = CommitRequest::new(name.as_str());
            for partition in 0..partitions {
                request = request.offset("orders", partition, 1);
            }
            commit(&engine, request)?;
            let offsets = (0..partitions).map(|_| 1).collect();
            map.insert(name.clone(), offsets);
        }
        Ok(Self {
            engine,
            partitions,
            order: shuffled(groups),
            names,
            at: 0,
            steps,
            map,
            offset: 1,
        })
    }

    /// The groups of a turn, with a partition each.
    fn turn(&mut self) -> Vec<(String, i32)> {
        let partitions = (0..self.partitions).cycle();
        let groups = self.order.iter().cycle().skip(self.at).take(self.steps);
        let turn = groups.zip(partitions);
        let turn = turn
            .map(|(group, partition)| (self.names[*group].clone(), partition))
            .collect();
        self.at = (self.at + self.steps) % self.order.len();
        self.offset += 1;
        turn
    }

    fn put_into_map(&mut self) -> f64 {
        let turn = self.turn();
        ns_a_step(turn.len(), |nth| {
            let (name, partition) = &turn[nth];
            if let Some(offsets) = self.map.get_mut(name) {
                offsets[partition.unsigned_abs() as usize] = self.offset;
            }
        })
    }

    fn commit(&mut self) -> Result<f64, Failure> {
        let turn = self.turn();
        let offset = self.offset;
        let requests = turn.into_iter().map(|(group, partition)| {
            CommitRequest::new(group).offset("orders", partition, offset)
        });
        let mut requests = requests.collect::<Vec<_>>().into_iter();
        let mut outcome = Ok(());
        let ns = ns_a_step(requests.len(), |_| {
            if let Some(request) = requests.next()
                && let Err(failure) = commit(&self.engine, request)
            {
                outcome = Err(failure);
            }
        });
        outcome.map(|()| ns)
    }

    fn fetch(&mut self) -> Result<f64, Failure> {
        let turn = self.turn();
        let requests = turn.into_iter().map(|(group, _)| FetchRequest::all(group));
        let mut requests = requests.collect::<Vec<_>>().into_iter();
        let mut fetched = 0;
        let ns = ns_a_step(requests.len(), |_| {
            if let Some(request) = requests.next() {
                let answer = black_box(self.engine.fetch(request).wait());
                fetched += usize::from(answer.is_ok());
            }
        });
        if fetched < self.steps {
            return Err(Failure::new("a fetch was refused"));
        }
        Ok(ns)
    }
}

fn commit(engine: &Engine, request: CommitRequest) -> Result<(), Failure> {
    let committed = engine.commit(request).wait();
    committed.map_err(|refusal| Failure::new(format!("a commit was refused: {refusal:?}")))?;
    Ok(())
}
