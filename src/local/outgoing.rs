//! A message to be sent: its octets as they go over the wire, neither more nor fewer than announced.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;

use super::content::survey;
use super::lines::WireForm;
use crate::mail::{Content, Flags, UnixSeconds};

/// A message to be sent: reads as exactly [`Outgoing::size`] octets of its wire form, or fails.
#[derive(Debug)]
pub struct Outgoing {
    wire: WireForm<File>,
    content: Content,
    modified: UnixSeconds,
    flags: Flags,
    /// Wire octets not yet read.
    left: u64,
}

impl Outgoing {
    /// Reads the file called `name` through, and makes it ready to be sent from its start.
    pub(super) fn new(mut file: File, name: &OsStr, flags: Flags) -> io::Result<Outgoing> {
        let modified = UnixSeconds(file.metadata()?.mtime());
        let (contents, form) = survey(&mut file, name)?;
        let content = contents.whole;
        file.seek(SeekFrom::Start(0))?;
        let wire = WireForm::new(file, form);
        Ok(Outgoing { wire, content, modified, flags, left: content.wire_size })
    }

    /// Octets of the wire form.
    pub fn size(&self) -> u64 {
        self.content.wire_size
    }

    /// What the file holds, as read just now.
    pub fn content(&self) -> Content {
        self.content
    }

    /// The flags it has now.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// Its mtime.
    pub fn modified(&self) -> UnixSeconds {
        self.modified
    }
}

impl Read for Outgoing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut piece = self.wire.piece()?;
        let shrunk = piece.is_empty() && self.left > 0;
        if shrunk || piece.len() as u64 > self.left {
            return Err(io::Error::other("the file changed while it was read"));
        }
        let octets = piece.read(out)?;
        self.wire.consume(octets);
        self.left -= octets as u64;
        Ok(octets)
    }
}

#[cfg(test)]
mod tests;
