//! A message to be sent: its octets as they go over the wire, neither more nor fewer than announced.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;

use super::content::{CHUNK, Form, Survey, expand};
use crate::mail::{Content, Flags, UnixSeconds};

/// A message to be sent: reads as exactly [`Outgoing::size`] octets of its wire form, or fails.
#[derive(Debug)]
pub struct Outgoing {
    file: File,
    form: Form,
    content: Content,
    modified: UnixSeconds,
    flags: Flags,
    /// Wire octets not yet in `wire`.
    left: u64,
    wire: Vec<u8>,
    given: usize,
}

impl Outgoing {
    /// Reads `file` through, and makes it ready to be sent from its start.
    pub(super) fn new(mut file: File, flags: Flags) -> io::Result<Outgoing> {
        let modified = UnixSeconds(file.metadata()?.mtime());
        let (content, form) = Survey::of(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        let left = content.wire_size;
        Ok(Outgoing { file, form, content, modified, flags, left, wire: Vec::new(), given: 0 })
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

    fn refill(&mut self) -> io::Result<()> {
        self.wire.clear();
        self.given = 0;
        if self.left == 0 {
            return Ok(());
        }
        let mut chunk = vec![0; CHUNK];
        let n = self.file.read(&mut chunk)?;
        chunk.truncate(n);
        match self.form {
            Form::Lf => expand(&chunk, &mut self.wire),
            Form::Verbatim => self.wire = chunk,
        }
        match self.left.checked_sub(self.wire.len() as u64) {
            Some(left) if n > 0 => self.left = left,
            _ => return Err(io::Error::other("the file changed while it was read")),
        }
        Ok(())
    }
}

impl Read for Outgoing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.wire.len() {
            self.refill()?;
        }
        let n = self.wire.get(self.given..).unwrap_or_default().read(out)?;
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
