//! A disk in memory that knows which bytes would survive.
//!
//! Every call of the journal is an operation with a number; one of them may be where the power
//! goes, or where the device fails. After a crash each unsynced write is there, is not, or is
//! there in some of its sectors; creations, renames and removals since the last sync of the
//! directory are there or not, each for itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, MutexGuard};

use super::{Disk, DiskFile};

#[expect(clippy::disallowed_types, reason = "a test's own state")]
type Shared = Arc<std::sync::Mutex<State>>;

const SECTOR: usize = 512;

/// Numbers by their seed alone (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What happens at an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The power goes during it: it and all later ones fail, and only what survives is left.
    Crash,
    /// The device fails, once; half of a write may be done.
    Eio,
    /// The disk is full, once; half of a write may be done.
    Enospc,
}

#[derive(Debug, Default)]
struct Node {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Step {
    Link(String, usize),
    Unlink(String),
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    unsynced: Vec<Step>,
    operations: usize,
    fault: Option<(usize, Fault)>,
    is_off: bool,
    /// Every write does no more than half.
    is_short: bool,
    capacity: Option<usize>,
    is_locked: bool,
    log: Vec<&'static str>,
}

/// The disk; clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct SimDisk(Shared);

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A fault at the operation of that number, counted from now.
    pub(crate) fn plan(&self, after: usize, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.operations + after, fault));
    }

    pub(crate) fn operations(&self) -> usize {
        self.state().operations
    }

    /// Which operations there were.
    pub(crate) fn log(&self) -> Vec<&'static str> {
        self.state().log.clone()
    }

    pub(crate) fn set_short_writes(&self) {
        self.state().is_short = true;
    }

    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    /// Bytes of all files of the log.
    pub(crate) fn log_bytes(&self) -> usize {
        let state = self.state();
        let files = state
            .live
            .iter()
            .filter(|(name, _)| name.starts_with("log-"));
        files.map(|(_, at)| state.nodes[*at].live.len()).sum()
    }

    /// The names of all files that end so.
    pub(crate) fn names_ending(&self, ending: &str) -> Vec<String> {
        let names = self.names().into_iter();
        names.filter(|name| name.ends_with(ending)).collect()
    }

    /// Bytes of all files whose names end so.
    pub(crate) fn log_bytes_of(&self, ending: &str) -> usize {
        let state = self.state();
        let files = state.live.iter().filter(|(name, _)| name.ends_with(ending));
        files.map(|(_, at)| state.nodes[*at].live.len()).sum()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.state().live.keys().cloned().collect()
    }

    pub(crate) fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.nodes[state.live[name]].live.clone()
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let at = state.nodes.len();
        state.nodes.push(Node {
            durable: bytes.clone(),
            live: bytes,
            unsynced: Vec::new(),
        });
        state.live.insert(name.to_owned(), at);
        state.durable.insert(name.to_owned(), at);
    }

    /// A disk of its own with the same files.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::default();
        for name in self.names() {
            copy.put(&name, self.contents(&name));
        }
        copy
    }

    /// What is there after the power came back.
    pub(crate) fn survivor(&self, random: &mut Random) -> Self {
        let state = self.state();
        let mut names = state.durable.clone();
        for step in &state.unsynced {
            if random.below(2) == 0 {
                continue;
            }
            match step {
                Step::Link(name, at) => names.insert(name.clone(), *at),
                Step::Unlink(name) => names.remove(name),
            };
        }
        let survivor = Self::default();
        for (name, at) in names {
            survivor.put(&name, state.nodes[at].survivor(random));
        }
        survivor
    }

    /// Counts an operation; the fault that is planned for it.
    fn operation(&self, what: &'static str) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.state();
        if state.is_off {
            return Err(io::Error::other("the power is off"));
        }
        state.operations += 1;
        state.log.push(what);
        let now = state.operations;
        let fault = state.fault.filter(|(at, _)| *at == now).map(|(_, it)| it);
        state.is_off |= fault == Some(Fault::Crash);
        Ok((state, fault))
    }

    /// An operation that does nothing if it fails.
    fn whole(&self, what: &'static str) -> io::Result<MutexGuard<'_, State>> {
        match self.operation(what)? {
            (state, None) => Ok(state),
            (_, Some(fault)) => Err(error(fault)),
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Crash => io::Error::other("the power went"),
        Fault::Eio => io::Error::other("the device failed"),
        Fault::Enospc => io::ErrorKind::StorageFull.into(),
    }
}

impl Node {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        write_into(&mut self.live, at, bytes);
        self.unsynced.push((at, bytes.to_vec()));
    }

    fn survivor(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (at, written) in &self.unsynced {
            match random.below(4) {
                0 => {}
                1 => write_into(&mut bytes, *at, written),
                _ => {
                    let mut from = 0;
                    while from < written.len() {
                        let to = written
                            .len()
                            .min((*at + from) / SECTOR * SECTOR + SECTOR - at);
                        if random.below(2) == 0 {
                            write_into(&mut bytes, at + from, &written[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
        bytes
    }
}

fn write_into(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

#[derive(Debug)]
struct Lock(SimDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().is_locked = false;
    }
}

impl Disk for SimDisk {
    fn lock(&self, _name: &str) -> io::Result<Option<Box<dyn fmt::Debug + Send>>> {
        let mut state = self.state();
        if state.is_locked {
            return Ok(None);
        }
        state.is_locked = true;
        Ok(Some(Box::new(Lock(self.clone()))))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.whole("list")?.live.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.whole("create")?;
        let at = state.nodes.len();
        state.nodes.push(Node::default());
        state.live.insert(name.to_owned(), at);
        state.unsynced.push(Step::Link(name.to_owned(), at));
        Ok(Box::new(SimFile {
            disk: self.clone(),
            at,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.whole("open")?;
        let at = state.live.get(name).copied();
        Ok(Box::new(SimFile {
            disk: self.clone(),
            at: at.ok_or(io::ErrorKind::NotFound)?,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.whole("rename")?;
        let at = state.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.live.insert(to.to_owned(), at);
        state.unsynced.push(Step::Link(to.to_owned(), at));
        state.unsynced.push(Step::Unlink(from.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.whole("remove")?;
        state.live.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.unsynced.push(Step::Unlink(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.whole("sync_dir")?;
        state.durable = state.live.clone();
        state.unsynced.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    at: usize,
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.whole("len")?.nodes[self.at].live.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.whole("read")?;
        let bytes = &state.nodes[self.at].live;
        let from = bytes.len().min(usize::try_from(offset).unwrap());
        let n = into.len().min(bytes.len() - from);
        into[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let at = usize::try_from(offset).unwrap();
        let (mut state, fault) = self.disk.operation("write")?;
        let used: usize = state
            .live
            .values()
            .map(|at| state.nodes[*at].live.len())
            .sum();
        let (capacity, is_short) = (state.capacity, state.is_short);
        let node = &mut state.nodes[self.at];
        if let Some(fault) = fault {
            let done = match fault {
                Fault::Crash => bytes.len(),
                Fault::Eio | Fault::Enospc => bytes.len() / 2,
            };
            node.write(at, &bytes[..done]);
            return Err(error(fault));
        }
        let growth = (at + bytes.len()).saturating_sub(node.live.len());
        let room = capacity.map_or(growth, |capacity| capacity.saturating_sub(used));
        let mut n = bytes.len() - growth.saturating_sub(room).min(bytes.len());
        if n == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if is_short && n > 1 {
            n /= 2;
        }
        node.write(at, &bytes[..n]);
        Ok(n)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.whole("sync")?;
        let node = &mut state.nodes[self.at];
        node.durable = node.live.clone();
        node.unsynced.clear();
        Ok(())
    }
}
