//! The records of an entry.

use std::ops::{Deref, DerefMut};
use std::slice;

use super::record::Record;

/// Records in order. A single one, which is what most commits come to, takes no memory of its own.
#[derive(Clone, Debug)]
pub struct Records(Kept);

#[derive(Clone, Debug)]
enum Kept {
    One(Record),
    Many(Vec<Record>),
}

impl Records {
    /// None yet, with room for that many.
    pub(super) fn with_capacity(records: usize) -> Self {
        let room = if records > 1 { records } else { 0 };
        Self(Kept::Many(Vec::with_capacity(room)))
    }

    /// Adds one at the end.
    #[inline]
    pub(super) fn push(&mut self, record: Record) {
        match &mut self.0 {
            Kept::Many(many) if many.len() < many.capacity() => many.push(record),
            Kept::Many(_) | Kept::One(_) => self.push_without_room(record),
        }
    }

    fn push_without_room(&mut self, record: Record) {
        match &mut self.0 {
            Kept::Many(none) if none.is_empty() => self.0 = Kept::One(record),
            Kept::Many(many) => many.push(record),
            Kept::One(_) => {
                let one = std::mem::replace(&mut self.0, Kept::Many(Vec::with_capacity(2)));
                if let (Kept::One(one), Kept::Many(many)) = (one, &mut self.0) {
                    many.push(one);
                    many.push(record);
                }
            }
        }
    }
}

impl Deref for Records {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        match &self.0 {
            Kept::One(record) => slice::from_ref(record),
            Kept::Many(records) => records,
        }
    }
}

impl DerefMut for Records {
    fn deref_mut(&mut self) -> &mut [Record] {
        match &mut self.0 {
            Kept::One(record) => slice::from_mut(record),
            Kept::Many(records) => records,
        }
    }
}

/// However they are kept.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Records {}

impl Default for Records {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl From<Record> for Records {
    fn from(record: Record) -> Self {
        Self(Kept::One(record))
    }
}

impl From<Vec<Record>> for Records {
    fn from(records: Vec<Record>) -> Self {
        Self(Kept::Many(records))
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = &'a Record;
    type IntoIter = slice::Iter<'a, Record>;

    fn into_iter(self) -> slice::Iter<'a, Record> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(group: &str) -> Record {
        Record::Group {
            group: group.into(),
            value: None,
        }
    }

    #[test]
    fn records_are_the_same_however_many_were_expected() {
        let all = ["a", "b", "c"].map(record);
        for expected in 0..4 {
            let mut records = Records::with_capacity(expected);
            assert!(records.is_empty());
            for (at, one) in all.iter().enumerate() {
                records.push(one.clone());
                assert_eq!(*records, all[..=at]);
                assert_eq!(records, Records::from(all[..=at].to_vec()));
            }
        }
        assert_eq!(*Records::from(record("a")), all[..1]);
    }
}
