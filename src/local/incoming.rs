//! A message that arrives: wire octets in, a complete file in `tmp` out.
//!
//! It is written in LF form until a CR or LF turns up that stands alone; then what is written is turned back into wire
//! form in place, and the rest follows as it comes. So the file is right at the end whichever form it takes, and no
//! message is held in memory. It is no part of a mailbox before [`super::deliver`] has flushed and renamed it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::content::Sum;
use super::dir::Dir;
use super::lines::{Bare, CHUNK, ToLf, count_lf, expand_in_place};
use super::temporary::Temporary;
use crate::error::Result;
use crate::faults::{self, Step};
use crate::mail::Content;

/// A message on its way into a mailbox; memory does not depend on its size. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    tmp: Temporary,
    file: File,
    /// Local octets not yet in the file.
    pending: Vec<u8>,
    /// `None` once the message turned out to be verbatim.
    to_lf: Option<ToLf>,
    sum: Sum,
    octets: u64,
    /// LFs in the file, while it has LF form.
    lines: u64,
}

/// A message that is complete in `tmp`; dropped undelivered, it leaves nothing.
#[derive(Debug)]
pub struct Received {
    /// What it is.
    pub content: Content,
    /// Octets of the file.
    pub(super) octets: u64,
    pub(super) tmp: Temporary,
}

impl Incoming {
    /// Starts a message in `tmp`.
    pub(super) fn start(tmp: &Arc<Dir>) -> Result<Incoming> {
        let (tmp, file) = Temporary::create(tmp)?;
        let to_lf = Some(ToLf::default());
        Ok(Incoming { tmp, file, pending: Vec::new(), to_lf, sum: Sum::default(), octets: 0, lines: 0 })
    }

    /// Takes the next octets as they come over the wire, in any pieces.
    pub fn write(&mut self, wire: &[u8]) -> Result<()> {
        for piece in wire.chunks(CHUNK) {
            self.take(piece).map_err(|e| self.tmp.failed(e))?;
        }
        Ok(())
    }

    /// Ends the message.
    pub fn finish(mut self) -> Result<Received> {
        self.end().map_err(|e| self.tmp.failed(e))?;
        let wire_size = if self.to_lf.is_some() { self.octets + self.lines } else { self.octets };
        Ok(Received { content: self.sum.finish(wire_size), octets: self.octets, tmp: self.tmp })
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.to_lf {
            None => self.pending.extend_from_slice(piece),
            Some(to_lf) => {
                if let Err(Bare(rest)) = to_lf.push(piece, &mut self.pending) {
                    self.turn_verbatim()?;
                    self.pending.extend_from_slice(rest);
                }
            }
        }
        if self.pending.len() >= CHUNK { self.write_pending() } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.to_lf.as_ref().is_some_and(ToLf::holds_cr) {
            self.turn_verbatim()?;
        }
        self.write_pending()
    }

    fn write_pending(&mut self) -> io::Result<()> {
        faults::disk(Step::Write)?;
        self.file.write_all(&self.pending)?;
        self.sum.push(&self.pending);
        self.octets += self.pending.len() as u64;
        self.lines += count_lf(&self.pending);
        self.pending.clear();
        Ok(())
    }

    /// A CR or LF stands alone: from here on, and backwards too, the file holds what was on the wire.
    fn turn_verbatim(&mut self) -> io::Result<()> {
        self.write_pending()?;
        if self.lines > 0 {
            faults::disk(Step::Write)?;
            expand_in_place(&self.file, self.octets, self.lines)?;
            self.octets += self.lines;
            self.sum = Sum::default();
            self.file.seek(SeekFrom::Start(0))?;
            let mut chunk = vec![0; CHUNK];
            loop {
                match self.file.read(&mut chunk)? {
                    0 => break,
                    n => self.sum.push(chunk.get(..n).unwrap_or_default()),
                }
            }
        }
        if self.to_lf.take().is_some_and(|to_lf| to_lf.holds_cr()) {
            self.pending.push(b'\r');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::deliver::tests::{delivery, files};
    use super::super::store::tests::folder;
    use super::*;
    use crate::mail::{Digest, MessageIdHash};

    #[test]
    fn what_is_not_delivered_leaves_nothing() {
        let (_temp, folder, path) = folder();
        let mut incoming = folder.incoming().unwrap();
        incoming.write(b"half a mess").unwrap();
        assert_eq!(files(&path).len(), 1);
        drop(incoming);
        drop(delivery(&folder, 1, b"whole", &[]));
        assert_eq!(files(&path).len(), 0);
    }

    #[test]
    fn a_verbatim_message_larger_than_every_buffer_is_rewritten() {
        let (_temp, folder, path) = folder();
        let mut wire = b"Message-ID: <a@b>\r\n\r\n".to_vec();
        (0..40_000).for_each(|n| wire.extend_from_slice(format!("line {n}\r\n").as_bytes()));
        wire.extend_from_slice(b"bare\nand the rest\r\n");
        let mut incoming = folder.incoming().unwrap();
        wire.chunks(1000).for_each(|piece| incoming.write(piece).unwrap());
        assert!(incoming.pending.len() < 2 * CHUNK);
        let received = incoming.finish().unwrap();
        assert_eq!(received.content.wire_size, wire.len() as u64);
        assert_eq!(received.content.message_id, MessageIdHash::of_value(b"<a@b>"));
        assert!(std::fs::read(path.join(&files(&path)[0])).unwrap() == wire);
        assert_eq!(received.content.digest, Digest(*blake3::hash(&wire).as_bytes()));
    }
}
