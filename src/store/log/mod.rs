//! The log as its one writer sees it: rounds go in at the newest end, and what still lives of the
//! oldest segment is carried along.

mod space;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::carrier::{Carrier, Share};
use super::config::{OpenError, Quarantined, StoreConfig, at};
use super::disk::{Disk, read_whole, write_all};
use super::frame::{self, Flags, HEAD, LAG_MAX};
use super::index::{Index, Keys, Mark};
use super::making::Making;
use super::manifest::Manifest;
use super::recovery::{Recovered, SEGMENT_BYTES_MAX, recover};
use super::segment::{self, HEADER, Header, Segment};
use crate::mutation;

/// Records of one batch as frames that have no place yet.
pub(super) type Body = Vec<u8>;

/// Why a round was not written.
#[derive(Debug)]
pub(super) enum Failed {
    /// There is no room for another segment; nothing was written, and there may be room later.
    Full(io::Error),
    /// The device failed, and nothing is known of what it holds.
    Poisoned(String),
}

/// A file without anything that counts.
#[derive(Clone, Copy, Debug)]
struct Free {
    number: u64,
    len: u64,
}

/// Bytes of the next segment's file that are made for every byte that is appended, from the
/// middle of the segment on.
const MAKE_PACE: u64 = 4;
/// And at least this part of it a round.
const MAKE_PARTS: u64 = 64;
#[derive(Debug)]
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    config: StoreConfig,
    salt: u64,
    keys: Keys,
    index: Index,
    /// Oldest first; the last one is being filled.
    segments: VecDeque<Segment>,
    free: VecDeque<Free>,
    /// The file that will be free next.
    making: Option<Making>,
    /// There was no room for it: not tried again before the next segment begins.
    cannot_make: bool,
    /// Bytes that were appended since it was last worked at.
    appended: u64,
    /// Emptied while somebody was reading; freed when nobody is.
    emptied: Vec<Segment>,
    next: u64,
    activation: u64,
    number_next: u64,
    /// Bytes of all segments' files.
    file_bytes: u64,
    must_switch: bool,
    carrier: Carrier,
    /// What the last rounds had no room to carry, or below nothing what they carried beyond their
    /// parts; in [`space::GRAINS`].
    due: i64,
    /// Held by whoever reads segments.
    readers: Arc<()>,
    /// What the next write consists of.
    round: Vec<u8>,
    marks: Vec<Mark>,
}

/// A segment list that stays readable as long as it is held.
#[derive(Debug)]
pub(super) struct View {
    pub(super) segments: Vec<Segment>,
    pub(super) _held: Arc<()>,
}

impl Log {
    /// Opens the log of a locked directory, or makes one.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        config: StoreConfig,
        shards: u32,
        salt: u64,
    ) -> Result<(Self, Vec<Quarantined>), OpenError> {
        let names = disk.list().map_err(at("listing the directory"))?;
        let manifest = match Manifest::read(&*disk, &names)? {
            Some(manifest) => manifest,
            None => Self::make(&*disk, &names, Manifest { shards, salt })?,
        };
        if manifest.shards != shards {
            return Err(OpenError::Shards {
                found: manifest.shards,
                asked: shards,
            });
        }
        let keys = Keys::default();
        let recovered = recover(&*disk, &names, manifest.salt, config.repair, &keys)?;
        if let Some(newest) = recovered.segments.last() {
            make_durable(newest).map_err(at("syncing the newest segment"))?;
            disk.sync_dir().map_err(at("syncing the directory"))?;
        }
        let numbers = names.iter().filter_map(|name| segment::number(name));
        let number_next = numbers.max().map_or(1, |newest| newest + 1);
        for name in &recovered.lost {
            let set_aside = disk.rename(name, &format!("damaged-{name}"));
            set_aside.map_err(at("setting a damaged segment aside"))?;
        }
        let quarantined = recovered.quarantined.clone();
        let log = Self::new(disk, config, manifest.salt, (keys, recovered, number_next));
        Ok((log, quarantined))
    }

    /// A new directory, unless a log without a manifest is in it.
    fn make(disk: &dyn Disk, names: &[String], new: Manifest) -> Result<Manifest, OpenError> {
        if let Some(stray) = names.iter().find(|name| segment::number(name).is_some()) {
            return Err(OpenError::Corrupt(super::Damage {
                file: stray.clone(),
                offset: 0,
                reason: "a segment, but the directory has no manifest".to_owned(),
            }));
        }
        new.write(disk)?;
        Ok(new)
    }

    fn new(
        disk: Arc<dyn Disk>,
        config: StoreConfig,
        salt: u64,
        (keys, recovered, number_next): (Keys, Recovered, u64),
    ) -> Self {
        let free = recovered.free.iter();
        let free: VecDeque<_> = free.map(|&(number, len)| Free { number, len }).collect();
        let live: u64 = recovered.segments.iter().map(|it| it.len).sum();
        Self {
            disk,
            config,
            salt,
            keys,
            index: recovered.index,
            file_bytes: live + free.iter().map(|it| it.len).sum::<u64>(),
            segments: recovered.segments.into(),
            free,
            making: None,
            cannot_make: false,
            appended: 0,
            emptied: Vec::new(),
            next: recovered.next,
            activation: recovered.activation,
            number_next,
            must_switch: recovered.is_torn,
            carrier: Carrier::default(),
            due: 0,
            readers: Arc::new(()),
            round: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Bytes of all files of the log, and of what lives in it.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.file_bytes, self.index.live_bytes())
    }

    /// Keys that are known.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// What is durable now. Nothing of it is used again before the view is dropped.
    pub(super) fn view(&self) -> View {
        View {
            segments: self.segments.iter().cloned().collect(),
            _held: Arc::clone(&self.readers),
        }
    }

    /// Makes as many of these batches durable as fit into the segment, at least the first one;
    /// how many that was.
    pub(super) fn commit(&mut self, bodies: &[&Body]) -> Result<usize, Failed> {
        let Some(first) = bodies.first() else {
            return Ok(0);
        };
        let first_len = first.len() as u64;
        match self.make_room() {
            // A full disk does not matter as long as there is room in the segment.
            Err(Failed::Full(_)) if self.room() >= first_len => {}
            made => made?,
        }
        self.release();
        if self.room() < first_len {
            self.switch(first_len)?;
        }
        let mut taken = 0;
        let mut len = 0;
        for body in bodies {
            let longer = len + body.len() as u64;
            if longer > self.room() {
                break;
            }
            len = longer;
            taken += 1;
        }
        self.carry_along(len)?;
        for body in bodies.iter().take(taken) {
            self.append(body);
        }
        self.flush()?;
        Ok(taken)
    }

    /// Ends the log with a mark, so that damage to what was written last is told from a torn
    /// tail. Where there is no room for it the log ends without.
    pub(super) fn close(&mut self) -> Result<(), Failed> {
        if self.room() < HEAD as u64 {
            return Ok(());
        }
        let whole = Flags::FIRST_OF_ENTRY.with(Flags::LAST_OF_ENTRY);
        let flags = whole.with(Flags::LAST_OF_BATCH).with(Flags::MARK);
        let mut mark = Body::new();
        frame::append(&mut mark, 0, flags, b"", None);
        self.append(&mark);
        self.flush()
    }

    /// Puts a batch at the end of the round.
    fn append(&mut self, body: &[u8]) {
        self.round.extend_from_slice(body);
        let frames = frame::unplaced(body);
        self.marks
            .extend(frames.map(|it| Mark::of(&self.keys, &it)));
    }

    fn room(&self) -> u64 {
        match self.segments.back() {
            Some(segment) if !self.must_switch => segment.room(),
            _ => 0,
        }
    }

    /// Works at the file of the next segment, if it will be needed: as much as the last rounds
    /// make due, so that no commit waits for it. Whether there is more to do at leisure.
    pub(super) fn prepare(&mut self) -> Result<bool, Failed> {
        let len = self.config.segment_bytes;
        let is_needed = self
            .segments
            .back()
            .is_some_and(|it| it.room() < it.len / 2);
        let appended = std::mem::take(&mut self.appended);
        if !is_needed || self.cannot_make || self.free.iter().any(|free| free.len == len) {
            return Ok(false);
        }
        if self.unfree_bytes() + len > self.full_at() {
            // By the time that it is needed another one is emptied.
            return Ok(false);
        }
        let bytes = (appended * MAKE_PACE).max(len / MAKE_PARTS);
        let made = self.work_at(len, |making| {
            let is_whole = making.go_on(bytes)?;
            making.file.sync_data()?;
            Ok(is_whole)
        });
        match made {
            Ok((making, true)) => {
                let synced = self.disk.sync_dir();
                synced.map_err(|error| unmade(making.number, &error))?;
                self.free.push_back(Free {
                    number: making.number,
                    len,
                });
                Ok(false)
            }
            Ok((making, false)) => {
                self.making = Some(making);
                Ok(true)
            }
            Err(Failed::Full(_)) => {
                self.cannot_make = true;
                Ok(false)
            }
            Err(failed) => Err(failed),
        }
    }

    /// Puts what lives of the next bytes of the oldest segment at the beginning of the round; how
    /// many bytes that were.
    fn carry(&mut self, share: Share) -> Result<u64, Failed> {
        if self.segments.len() < 2 {
            return Ok(0);
        }
        let oldest = &self.segments[0];
        let round = (&mut self.round, &mut self.marks);
        let known = (&self.keys, &mut self.index);
        let carried = self.carrier.carry(oldest, known, share, round);
        carried.map_err(|error| {
            let name = segment::name(oldest.number);
            Failed::Poisoned(format!("{name} could not be read back: {error}"))
        })
    }

    /// Writes the round and makes it durable.
    fn flush(&mut self) -> Result<(), Failed> {
        let round = std::mem::take(&mut self.round);
        let marks = std::mem::take(&mut self.marks);
        let written = if round.is_empty() {
            Ok(())
        } else {
            self.write(round, &marks)
        };
        written?;
        self.marks = marks;
        self.marks.clear();
        // What is carried or superseded is so durably by now.
        while let Some(oldest) = self.segments.front()
            && self.segments.len() > 1
            && (self.carrier.is_done(oldest) || oldest.is_dead())
        {
            self.carrier = Carrier::default();
            let emptied = self.segments.pop_front();
            self.emptied.extend(emptied);
        }
        self.release();
        Ok(())
    }

    fn write(&mut self, mut round: Vec<u8>, marks: &[Mark]) -> Result<(), Failed> {
        let segment = self
            .segments
            .back_mut()
            .expect("there is a segment where there is room");
        let life = segment.life;
        let first = u32::try_from(self.next - life.base).map_err(|_| too_long())?;
        let mut at = 0;
        for (lag, mark) in (0..).zip(marks) {
            let end = at + mark.len as usize;
            if lag > LAG_MAX {
                return Err(too_long());
            }
            let place = first.checked_add(lag).ok_or_else(too_long)?;
            frame::place(&mut round[at..end], place, lag, life.seed);
            at = end;
        }
        let doing = |what: &str, error: &io::Error| {
            Failed::Poisoned(format!(
                "{what} {} failed: {error}",
                segment::name(segment.number)
            ))
        };
        let end = segment.end();
        write_all(&*segment.file, &round, end).map_err(|error| doing("writing to", &error))?;
        if !mutation::is("settled-before-the-sync") {
            let synced = segment.file.sync_data();
            synced.map_err(|error| doing("syncing", &error))?;
        }
        segment.extend(round.len() as u64);
        self.appended += round.len() as u64;
        self.note(marks);
        round.clear();
        self.round = round;
        Ok(())
    }

    /// Takes note of what was written at the end of the newest segment.
    fn note(&mut self, marks: &[Mark]) {
        for mark in marks {
            let superseded = self.index.note(mark, self.next);
            self.next += 1;
            let newest = self.segments.back_mut();
            if let Some(known) = newest.and_then(|it| it.known.as_mut()) {
                *known += mark.weight();
            }
            for sequence in superseded.into_iter().flatten() {
                // Nearly always of the newest segments.
                let mut from_newest = self.segments.iter_mut().rev();
                let holder = from_newest.find(|it| it.header.base <= sequence);
                if let Some(known) = holder.and_then(|it| it.known.as_mut()) {
                    *known -= 1;
                }
            }
        }
    }

    /// Begins another segment with room for that many bytes.
    fn switch(&mut self, bytes: u64) -> Result<(), Failed> {
        let len = self.config.segment_bytes.max(HEADER + bytes);
        let header = Header {
            activation: self.activation + 1,
            base: self.next,
            start: self
                .segments
                .front()
                .map_or(self.next, |oldest| oldest.header.base),
        };
        let fitting = self.free.iter().position(|free| free.len == len);
        let segment = match fitting.and_then(|at| self.free.remove(at)) {
            Some(free) => self.reuse(free, header)?,
            None => self.create(len, header)?,
        };
        self.activation = header.activation;
        self.must_switch = false;
        self.cannot_make = false;
        self.segments.push_back(segment);
        self.trim();
        Ok(())
    }

    fn segment(
        &self,
        number: u64,
        file: Box<dyn super::disk::DiskFile>,
        it: (u64, Header),
    ) -> Segment {
        let (len, header) = it;
        Segment {
            number,
            file: file.into(),
            len,
            header,
            life: header.life(self.salt),
            spans: Vec::new(),
            known: Some(0),
        }
    }

    fn reuse(&mut self, free: Free, header: Header) -> Result<Segment, Failed> {
        let name = segment::name(free.number);
        let file = self
            .disk
            .open(&name)
            .and_then(|file| {
                write_all(&*file, &header.encode(self.salt), 0)?;
                file.sync_data()?;
                Ok(file)
            })
            .map_err(|error| Failed::Poisoned(format!("using {name} again failed: {error}")))?;
        Ok(self.segment(free.number, file, (free.len, header)))
    }

    /// Makes a file of zeros and its header.
    fn create(&mut self, len: u64, header: Header) -> Result<Segment, Failed> {
        let header_bytes = header.encode(self.salt);
        let disk = Arc::clone(&self.disk);
        let (making, ()) = self.work_at(len, |making| {
            making.go_on(u64::MAX)?;
            write_all(&*making.file, &header_bytes, 0)?;
            making.file.sync_data()?;
            disk.sync_dir()
        })?;
        Ok(self.segment(making.number, making.file, (len, header)))
    }

    /// Works at the file that was begun, or begins one. Nothing of the log is in it until it is
    /// durable, so a disk that is full is no more than that.
    fn work_at<T>(
        &mut self,
        len: u64,
        work: impl FnOnce(&mut Making) -> io::Result<T>,
    ) -> Result<(Making, T), Failed> {
        let begun = self.making.take_if(|making| making.len == len);
        let number = begun.as_ref().map_or(self.number_next, |it| it.number);
        if begun.is_none() {
            self.number_next += 1;
            self.file_bytes += len;
        }
        let making = begun.map_or_else(|| Making::begin(&*self.disk, number, len), Ok);
        let made = making.and_then(|mut making| {
            let out = work(&mut making)?;
            Ok((making, out))
        });
        made.map_err(|error| {
            if is_full(&error) && self.disk.remove(&segment::name(number)).is_ok() {
                self.file_bytes -= len;
                Failed::Full(error)
            } else {
                unmade(number, &error)
            }
        })
    }
}

fn unmade(number: u64, error: &io::Error) -> Failed {
    Failed::Poisoned(format!("making {} failed: {error}", segment::name(number)))
}

/// What is read from now on must not be lost to a power cut, but it was perhaps not synced. After
/// a sync that failed the system may take bytes for durable that are not: so they are written
/// once more.
fn make_durable(newest: &Segment) -> io::Result<()> {
    let end = newest.end();
    let mut bytes = read_whole(&*newest.file, SEGMENT_BYTES_MAX)?;
    bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
    write_all(&*newest.file, &bytes, 0)?;
    newest.file.sync_data()
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn too_long() -> Failed {
    Failed::Poisoned("a round has more records than can be counted".to_owned())
}
