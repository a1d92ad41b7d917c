//! A sorted map that is nearly always small.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::{mem, slice};

/// Entries in the order of their keys.
///
/// A single entry, which is what nearly every group and topic has, lies where the map itself does.
/// Up to [`LISTED_MAX`] entries are a plain list, which takes little more memory than they do;
/// beyond that it is a tree, until it is empty again: no order in which keys come or go makes a
/// change expensive.
#[derive(Debug)]
pub(super) enum Sorted<K, V> {
    Single((K, V)),
    Listed(Vec<(K, V)>),
    Tree(BTreeMap<K, V>),
}

/// The longest list.
const LISTED_MAX: usize = 64;

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl<K: Ord, V> Sorted<K, V> {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Single(_) => 1,
            Self::Listed(list) => list.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    /// All of it as a list, or else the tree.
    fn parts(&self) -> Result<&[(K, V)], &BTreeMap<K, V>> {
        match self {
            Self::Single(entry) => Ok(slice::from_ref(entry)),
            Self::Listed(list) => Ok(list),
            Self::Tree(tree) => Err(tree),
        }
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Single((held, value)) => (held.borrow() == key).then_some(value),
            Self::Listed(list) => Some(&list[find(list, key).ok()?].1),
            Self::Tree(tree) => tree.get(key),
        }
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Single((held, value)) => ((*held).borrow() == key).then_some(value),
            Self::Listed(list) => {
                let at = find(list, key).ok()?;
                Some(&mut list[at].1)
            }
            Self::Tree(tree) => tree.get_mut(key),
        }
    }

    /// The entry of that key, which is added if it is not there.
    pub(super) fn get_or_add(&mut self, key: &K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        let found = match self {
            Self::Single((held, _)) => (held == key).then_some(0),
            Self::Listed(list) => find(list, key).ok(),
            Self::Tree(_) => None,
        };
        match (self, found) {
            (Self::Single((_, value)), Some(_)) => value,
            (Self::Listed(list), Some(at)) => &mut list[at].1,
            (this, _) => this.find_or_add(key),
        }
    }

    /// Nearly always it is there, in a list.
    #[cold]
    fn find_or_add(&mut self, key: &K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        *self = match mem::take(self) {
            Self::Listed(list) if list.is_empty() => Self::Single((key.clone(), V::default())),
            Self::Single(entry) => Self::Listed(vec![entry]),
            Self::Listed(list) if list.len() == LISTED_MAX => {
                Self::Tree(list.into_iter().collect())
            }
            same @ (Self::Listed(_) | Self::Tree(_)) => same,
        };
        match self {
            Self::Single((_, value)) => value,
            Self::Listed(list) => {
                let at = list.partition_point(|(held, _)| held < key);
                if list.len() < 4 {
                    // A group has few topics, and a topic few blocks of partitions.
                    list.reserve_exact(1);
                }
                list.insert(at, (key.clone(), V::default()));
                &mut list[at].1
            }
            Self::Tree(tree) => tree.entry(key.clone()).or_default(),
        }
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Single((held, _)) => {
                if (*held).borrow() == key {
                    *self = Self::default();
                }
            }
            Self::Listed(list) => {
                if let Ok(at) = find(list, key) {
                    list.remove(at);
                }
                if list.len() == 1
                    && let Some(entry) = list.pop()
                {
                    *self = Self::Single(entry);
                }
            }
            Self::Tree(tree) => {
                tree.remove(key);
                if tree.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (list, tree): (&[_], _) = match self.parts() {
            Ok(list) => (list, None),
            Err(tree) => (&[], Some(tree)),
        };
        let filed = tree.into_iter().flatten();
        list.iter().map(|(key, value)| (key, value)).chain(filed)
    }
}

fn find<K: Borrow<Q>, V, Q: Ord + ?Sized>(list: &[(K, V)], key: &Q) -> Result<usize, usize> {
    list.binary_search_by(|(held, _)| held.borrow().cmp(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_as_a_tree_at_every_size(
            steps in prop::collection::vec((0u8..160, any::<bool>()), 0..600),
        ) {
            let mut sorted: Sorted<u8, usize> = Sorted::default();
            let mut tree: BTreeMap<u8, usize> = BTreeMap::new();
            for (at, (key, is_removal)) in steps.into_iter().enumerate() {
                if is_removal {
                    sorted.remove(&key);
                    tree.remove(&key);
                } else if let Some(value) = sorted.get_mut(&key) {
                    *value += 1;
                    *tree.get_mut(&key).unwrap() += 1;
                } else {
                    *sorted.get_or_add(&key) = at;
                    tree.insert(key, at);
                }
                prop_assert_eq!(sorted.get(&key), tree.get(&key));
                prop_assert!(sorted.iter().eq(tree.iter()));
                prop_assert_eq!(sorted.is_empty(), tree.is_empty());
                prop_assert_eq!(sorted.len(), tree.len());
            }
        }
    }
}
