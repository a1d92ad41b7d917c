//! Pieces of memory of a few hundred bytes, side by side.
//!
//! ```text
//!   class 19: 152 bytes   | chunk of 1,024 pieces | chunk | .. | the last, which grows |
//!   class 20: 160 bytes   | ..
//!   larger                | box | box | ..
//!
//!   piece                 owner | bytes | zeros, to the width of the class
//! ```
//!
//! From an allocator each would lie among what comes and goes, in pages that are never empty
//! again. Here a piece that goes is replaced by the last of its class, whose owner is told: a
//! class has no holes, and takes what its pieces take and at most one chunk more.

/// Where a piece is: the class in the upper bits, and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u32);

/// A piece has come to another place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moved {
    pub(super) owner: u32,
    pub(super) to: Place,
}

/// All pieces; each has an owner, which is a number.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// By width.
    classes: Vec<Class>,
    large: Vec<Box<[u8]>>,
}

/// Pieces of one width.
#[derive(Debug, Default)]
struct Class {
    /// All but the last are full.
    chunks: Vec<Vec<u8>>,
}

/// The widths of classes are multiples of this.
const STEP: usize = 8;
/// The class of pieces that are larger than all others.
const LARGE: u32 = 127;
/// Bits for the number of a piece within its class.
const NUMBER_BITS: u32 = 24;
/// Pieces of a chunk.
const CHUNK: usize = 1_024;
const OWNER: usize = size_of::<u32>();

impl Place {
    /// `None`: there is no room for that number.
    fn new(class: u32, number: usize) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        (number >> NUMBER_BITS == 0).then_some(Self(class << NUMBER_BITS | number))
    }

    fn parts(self) -> (u32, usize) {
        let number = self.0 & ((1 << NUMBER_BITS) - 1);
        (self.0 >> NUMBER_BITS, number as usize)
    }
}

impl Pieces {
    /// Keeps a piece for an owner. `None`: there are too many of its width.
    pub(super) fn add(&mut self, owner: u32, bytes: &[u8]) -> Option<Place> {
        let class = class_of(bytes.len());
        if class == LARGE {
            let place = Place::new(LARGE, self.large.len())?;
            self.large
                .push([&owner.to_le_bytes(), bytes].concat().into());
            return Some(place);
        }
        let at = class as usize;
        if self.classes.len() <= at {
            self.classes.resize_with(at + 1, Class::default);
        }
        let number = self.classes[at].len(width_of(class));
        let place = Place::new(class, number)?;
        self.classes[at].push(width_of(class), owner, bytes);
        Some(place)
    }

    /// The bytes of a piece, and a few zeros.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let (class, number) = place.parts();
        let piece = if class == LARGE {
            &self.large[number]
        } else {
            self.classes[class as usize].get(width_of(class), number)
        };
        &piece[OWNER..]
    }

    /// Takes a piece away; which other one has come into its place.
    pub(super) fn remove(&mut self, place: Place) -> Option<Moved> {
        let (class, number) = place.parts();
        let is_moved = if class == LARGE {
            self.large.swap_remove(number);
            number < self.large.len()
        } else {
            self.classes[class as usize].swap_remove(width_of(class), number)
        };
        is_moved.then(|| {
            let piece = if class == LARGE {
                &self.large[number]
            } else {
                self.classes[class as usize].get(width_of(class), number)
            };
            let owner = piece.first_chunk().copied();
            Moved {
                owner: u32::from_le_bytes(owner.expect("a piece begins with its owner")),
                to: place,
            }
        })
    }
}

impl Class {
    fn len(&self, width: usize) -> usize {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        full + self.chunks.last().map_or(0, |last| last.len() / width)
    }

    fn get(&self, width: usize, number: usize) -> &[u8] {
        let at = number % CHUNK * width;
        &self.chunks[number / CHUNK][at..at + width]
    }

    fn push(&mut self, width: usize, owner: u32, bytes: &[u8]) {
        let full = CHUNK * width;
        if self.chunks.last().is_none_or(|last| last.len() == full) {
            self.chunks.push(Vec::new());
        }
        let last = self.chunks.last_mut().expect("it was pushed just now");
        let end = last.len() + width;
        if end > last.capacity() {
            // By doubling, and to no more than a chunk: only the last one has room to spare.
            last.reserve_exact((2 * end).min(full) - last.len());
        }
        last.extend_from_slice(&owner.to_le_bytes());
        last.extend_from_slice(bytes);
        last.resize(end, 0);
    }

    /// Whether another piece has come into that place.
    fn swap_remove(&mut self, width: usize, number: usize) -> bool {
        let mut last = self.chunks.pop().expect("the piece is in a chunk");
        let begin = last.len() - width;
        let (chunk, at) = (number / CHUNK, number % CHUNK * width);
        let is_in_last = chunk == self.chunks.len();
        let is_moved = !(is_in_last && at == begin);
        if is_in_last {
            last.copy_within(begin.., at);
        } else {
            self.chunks[chunk][at..at + width].copy_from_slice(&last[begin..]);
        }
        last.truncate(begin);
        if !last.is_empty() {
            self.chunks.push(last);
        }
        is_moved
    }
}

/// The class of pieces with that many bytes and an owner.
fn class_of(bytes: usize) -> u32 {
    let steps = (bytes + OWNER).div_ceil(STEP);
    u32::try_from(steps).map_or(LARGE, |steps| steps.min(LARGE))
}

fn width_of(class: u32) -> usize {
    class as usize * STEP
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_owner_finds_its_piece_wherever_it_was_moved(
            steps in prop::collection::vec((0..60u32, 0..1_200usize), 0..400),
        ) {
            let mut pieces = Pieces::default();
            let mut held: BTreeMap<u32, (Place, Vec<u8>)> = BTreeMap::new();
            for (owner, len) in steps {
                // Few widths, so that many share one.
                let len = if len > 1_000 { len } else { len % 40 };
                if let Some((place, _)) = held.remove(&owner) {
                    if let Some(moved) = pieces.remove(place) {
                        held.get_mut(&moved.owner).unwrap().0 = moved.to;
                    }
                } else {
                    let bytes = vec![owner.to_le_bytes()[0] + 1; len];
                    let place = pieces.add(owner, &bytes).unwrap();
                    held.insert(owner, (place, bytes));
                }
                for (place, bytes) in held.values() {
                    let (piece, rest) = pieces.get(*place).split_at(bytes.len());
                    prop_assert_eq!(piece, &bytes[..]);
                    prop_assert!(rest.len() < STEP && rest.iter().all(|byte| *byte == 0));
                }
            }
        }
    }

    #[test]
    fn pieces_that_go_leave_no_hole_over_many_chunks() {
        let mut pieces = Pieces::default();
        let mut places: Vec<Place> = (0..5_000u32)
            .map(|owner| pieces.add(owner, &owner.to_le_bytes()).unwrap())
            .collect();
        for owner in 0..4_990 {
            if let Some(moved) = pieces.remove(places[owner]) {
                places[moved.owner as usize] = moved.to;
            }
        }
        assert_eq!(pieces.classes[1].chunks.len(), 1);
        for owner in 4_990..5_000u32 {
            let piece = pieces.get(places[owner as usize]);
            assert_eq!(piece, owner.to_le_bytes());
        }
    }
}
