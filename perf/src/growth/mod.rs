//! What an operation costs while members, groups and offsets grow from a thousand to a million.
//!
//! ```text
//!   members   heartbeats by handle and by names; one more joins and leaves
//!   groups    commit and fetch of one offset of any of them
//!   offsets   commit of any of them; fetch of a group's hundred
//! ```
//!
//! Each is beside something that meets as much memory and does nothing else, in the same run, so
//! that it can be seen what of its growth is that of cache misses. Costs are nanoseconds of the
//! calling thread on the processor, medians of some turns; the engine is driven by that thread,
//! and its clock stands still, so that nothing comes to rest.

mod members;
mod offsets;
mod report;

use std::io::Write as _;

use crate::args::GrowthArgs;
use crate::failure::Failure;
use crate::figures::median;
use crate::machine::Machine;

/// How far it goes.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// So many there are, one after the other.
    sizes: &'static [usize],
    turns: usize,
    /// Operations a turn, where that is not the size.
    steps: usize,
}

const FULL: Scale = Scale {
    sizes: &[1_000, 10_000, 100_000, 1_000_000],
    turns: 5,
    steps: 20_000,
};

const QUICK: Scale = Scale {
    sizes: &[100, 1_000],
    turns: 1,
    steps: 200,
};

/// Something that grows, and what is done with it meanwhile.
#[derive(Debug)]
struct Growth {
    /// Of what there is more and more.
    of: &'static str,
    sizes: &'static [usize],
    curves: Vec<Curve>,
}

/// What an operation costs.
#[derive(Debug)]
struct Curve {
    operation: &'static str,
    /// Nanoseconds, by size.
    ns: Vec<f64>,
}

/// Operations by name, each with nanoseconds of one turn.
type Turn = Vec<(&'static str, f64)>;

impl Growth {
    /// Makes so many of them, size by size, and takes the medians of what the turns then cost;
    /// the first warms up.
    fn measure<T>(
        of: &'static str,
        scale: Scale,
        mut make: impl FnMut(usize) -> Result<T, Failure>,
        mut turn: impl FnMut(&mut T) -> Result<Turn, Failure>,
    ) -> Result<Self, Failure> {
        let mut curves: Vec<Curve> = Vec::new();
        for &size in scale.sizes {
            writeln!(std::io::stderr(), "{size} {of} ...")?;
            let mut made = make(size)?;
            turn(&mut made)?;
            let turns = (0..scale.turns).map(|_| turn(&mut made));
            let turns = turns.collect::<Result<Vec<_>, _>>()?;
            for (nth, (operation, _)) in turns[0].iter().enumerate() {
                let ns = median(turns.iter().map(|turn| turn[nth].1).collect());
                match curves.get_mut(nth) {
                    Some(curve) => curve.ns.push(ns),
                    None => curves.push(Curve {
                        operation,
                        ns: vec![ns],
                    }),
                }
            }
        }
        Ok(Self {
            of,
            sizes: scale.sizes,
            curves,
        })
    }
}

/// Measures, writes the report and its plots, and prints the report.
pub(crate) fn run(args: &GrowthArgs) -> Result<(), Failure> {
    let machine = Machine::look();
    let scale = if args.quick { QUICK } else { FULL };
    let all = [
        members::growth(scale)?,
        offsets::growth_of_groups(scale)?,
        offsets::growth_of_offsets(scale)?,
    ];
    report::write(args, &machine, &all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_the_median_of_the_turns_at_each_size_without_the_first() {
        let scale = Scale {
            sizes: &[1, 10],
            turns: 3,
            steps: 0,
        };
        let make = |size: usize| Ok((size, 0));
        let turn = |(size, turns): &mut (usize, usize)| {
            *turns += 1;
            let of_turn = [1_000, 3, 1, 2][*turns - 1] * *size;
            Ok(vec![
                ("walk", crate::report::as_f64(of_turn as u64)),
                ("rest", 0.0),
            ])
        };
        let growth = Growth::measure("things", scale, make, turn).unwrap();
        assert_eq!(growth.curves.len(), 2);
        assert_eq!(growth.curves[0].ns, [2.0, 20.0]);
    }
}
