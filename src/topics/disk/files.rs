//! Open files, a bounded number of them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::super::lock::Lock;
use crate::disk::{Disk, DiskFile};

/// Files that stay open; whoever reads or writes holds a few more for the moment.
const OPEN_MAX: usize = 128;

/// The directory, and the files of it that were used last.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    // The latest last.
    open: Lock<VecDeque<(String, Arc<dyn DiskFile>)>>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            open: Lock::default(),
        }
    }

    /// A file that is there.
    pub(super) fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        {
            let open = &mut *self.open.lock();
            if let Some(at) = open.iter().rposition(|(known, _)| known == name)
                && let Some(found) = open.remove(at)
            {
                let file = Arc::clone(&found.1);
                open.push_back(found);
                return Ok(file);
            }
        }
        let file: Arc<dyn DiskFile> = self.disk.open(name)?.into();
        self.keep(name, &file);
        Ok(file)
    }

    /// Keeps a file open, instead of the one that was not used for longest.
    pub(super) fn keep(&self, name: &str, file: &Arc<dyn DiskFile>) {
        let open = &mut *self.open.lock();
        if open.len() >= OPEN_MAX {
            open.pop_front();
        }
        open.push_back((name.to_owned(), Arc::clone(file)));
    }

    /// Removes a file; that it is gone is not durable before the directory was synced.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.open.lock().retain(|(known, _)| known != name);
        match self.disk.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
