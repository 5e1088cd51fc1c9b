//! What others wrote is put on disk before anything is recorded of it.
//!
//! A mail program, or a run of ours that was killed, need not have flushed a file. A state that knows a file which the
//! power then takes would say that somebody deleted it, and the server's copy would follow. So whatever is linked or
//! sent is flushed first: octets, and the names in its directories.

use std::io;

use rustix::io::Errno;

use super::dir::flush;
use super::folder::Folder;
use super::settle::Sub;
use super::store::Store;
use super::trouble::failed;
use crate::error::Result;
use crate::mail::FileId;

impl Folder {
    /// Flushes these files and the directories of the mailbox.
    ///
    /// A file that is gone or cannot be opened is left out: whoever wants its octets hears of it.
    pub fn flush(&self, ids: &[&FileId]) -> Result<()> {
        let flushed =
            self.each("flush the message", ids, |_, place| match self.boxes.sub(place.sub).open_file(&place.name) {
                Ok(file) => flush(&file),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Err(e),
                Err(_) => Ok(()),
            });
        flushed.into_iter().try_for_each(|outcome| outcome.map(drop))?;
        [Sub::Cur, Sub::New].into_iter().try_for_each(|sub| self.boxes.sub(sub).sync())
    }
}

impl Store {
    /// Flushes everything on the tree's file system, at once; `false` where the system cannot.
    pub fn flush_all(&self) -> Result<bool> {
        let root = &self.inner().root;
        match root.sync_file_system() {
            Ok(()) => Ok(true),
            Err(e) if Errno::from_io_error(&e) == Some(Errno::NOSYS) => Ok(false),
            Err(e) => Err(failed("flush the Maildir tree", root.path(), e)),
        }
    }
}
