//! A map that is nearly always tiny: most groups have one member or a few.

use std::borrow::Borrow;
use std::hash::Hash;
use std::iter;
use std::mem;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

/// Entries by name, in the order of insertion, disturbed by removals only.
///
/// Up to [`LISTED_MAX`] entries are a plain list, which takes no more memory than they do and is
/// searched from its beginning; beyond that it is an [`IndexMap`], until it is empty again.
#[derive(Debug)]
pub(super) enum Few<K, V> {
    Listed(Vec<(K, V)>),
    Indexed(Box<IndexMap<K, V, RandomState>>),
}

/// The longest list. To search it costs about what hashing a name does.
const LISTED_MAX: usize = 8;

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl<K: Borrow<str> + Hash + Eq, V> Few<K, V> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Listed(list) => list.len(),
            Self::Indexed(map) => map.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        match self {
            Self::Listed(list) => list
                .iter()
                .find(|(key, _)| key.borrow() == name)
                .map(|(_, value)| value),
            Self::Indexed(map) => map.get(name),
        }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        match self {
            Self::Listed(list) => list
                .iter_mut()
                .find(|(key, _)| (*key).borrow() == name)
                .map(|(_, value)| value),
            Self::Indexed(map) => map.get_mut(name),
        }
    }

    /// Sets the value of that name, which keeps its place if it has one.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(held) = self.get_mut(key.borrow()) {
            *held = value;
            return;
        }
        self.index_if_full();
        match self {
            Self::Listed(list) => {
                if list.is_empty() {
                    // The one member that most groups have takes the room of one.
                    list.reserve_exact(1);
                }
                list.push((key, value));
            }
            Self::Indexed(map) => {
                map.insert(key, value);
            }
        }
    }

    fn index_if_full(&mut self) {
        if let Self::Listed(list) = self
            && list.len() == LISTED_MAX
        {
            let map = mem::take(list).into_iter().collect();
            *self = Self::Indexed(Box::new(map));
        }
    }

    /// Takes an entry out; the last one takes its place.
    pub(super) fn remove(&mut self, name: &str) -> Option<(K, V)> {
        let removed = match self {
            Self::Listed(list) => {
                let at = list.iter().position(|(key, _)| key.borrow() == name)?;
                list.swap_remove(at)
            }
            Self::Indexed(map) => map.swap_remove_entry(name)?,
        };
        if self.is_empty() {
            *self = Self::default();
        }
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (list, map): (&[_], _) = match self {
            Self::Listed(list) => (list, None),
            Self::Indexed(map) => (&[], Some(map)),
        };
        let indexed = map.into_iter().flat_map(|map| map.iter());
        list.iter().map(|(key, value)| (key, value)).chain(indexed)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        let (list, map): (&mut [_], _) = match self {
            Self::Listed(list) => (list, None),
            Self::Indexed(map) => (&mut [], Some(map)),
        };
        let indexed = map.into_iter().flat_map(|map| map.iter_mut());
        let listed = list.iter_mut().map(|(key, value)| (&*key, value));
        listed.chain(indexed)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// Takes everything out, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        let (list, map) = match mem::take(self) {
            Self::Listed(list) => (list, None),
            Self::Indexed(map) => (Vec::new(), Some(*map)),
        };
        iter::chain(list, map.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_as_an_index_map_at_every_size(
            steps in prop::collection::vec((0u8..24, any::<bool>()), 0..200),
        ) {
            let mut few: Few<String, usize> = Few::default();
            let mut map: IndexMap<String, usize> = IndexMap::new();
            for (at, (name, is_removal)) in steps.into_iter().enumerate() {
                let name = name.to_string();
                if is_removal {
                    prop_assert_eq!(few.remove(&name), map.swap_remove_entry(&name));
                } else {
                    few.insert(name.clone(), at);
                    map.insert(name.clone(), at);
                }
                prop_assert_eq!(few.get(&name), map.get(&name));
                prop_assert_eq!(few.len(), map.len());
                for value in few.values_mut().chain(map.values_mut()) {
                    *value += 1;
                }
                prop_assert!(few.iter().eq(map.iter()));
            }
            prop_assert!(few.drain().eq(map.drain(..)));
            prop_assert!(few.is_empty());
        }
    }
}
