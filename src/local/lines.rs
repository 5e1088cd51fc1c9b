//! Line ends: what the server stores ⇄ what a file holds.
//!
//! The *wire form* is what the server stores. The *local form* is a function of it: LF line ends when every CR and LF
//! of the wire form stands in a CRLF pair, and *verbatim*, the same octets, otherwise.
//!
//! Back again, [`Form`] decides. A file whose name says that we delivered it verbatim, and that still has the size its
//! name says, goes out as it is, so that the server gets its very octets back. Any other file is text: an LF that
//! stands behind no CR is a line end and goes out as CRLF, all else as it is. So no bare LF goes out (RFC 5322 §2.3,
//! servers refuse or change it) unless it came from the server.
//!
//! What is lost: a verbatim message with bare LFs that another program copied under another name is sent normalised.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::name;

/// Octets handled at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// What a file's octets mean on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An LF behind no CR is a CRLF.
    Text,
    /// The file is the wire form.
    Verbatim,
}

impl Form {
    /// The form of the file called `name`, which has `octets` octets.
    pub(super) fn of(name: &OsStr, octets: u64) -> Form {
        // Both sizes are equal without any LF too, and then so are both forms.
        match name::delivered_sizes(name::unique(name)) {
            Some((file, wire)) if file == octets && wire == octets => Form::Verbatim,
            _ => Form::Text,
        }
    }
}

/// Turns the wire form into LF line ends as long as all CRs and LFs come in pairs.
#[derive(Debug, Default)]
pub(super) struct ToLf {
    /// A CR ended the last piece; what follows decides.
    held_cr: bool,
}

/// A CR or LF that stands alone: what of the piece was not turned, from that CR or LF on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bare<'a>(pub &'a [u8]);

impl ToLf {
    /// Appends the LF form of `wire` to `out`, up to the first bare CR or LF.
    pub(super) fn push<'a>(&mut self, wire: &'a [u8], out: &mut Vec<u8>) -> Result<(), Bare<'a>> {
        let mut rest = wire;
        if self.held_cr {
            match rest.split_first() {
                None => return Ok(()),
                Some((b'\n', after)) => rest = after,
                Some(_) => return Err(Bare(rest)),
            }
            out.push(b'\n');
            self.held_cr = false;
        }
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            let (plain, end) = rest.split_at(at);
            out.extend_from_slice(plain);
            match end {
                [b'\r', b'\n', after @ ..] => rest = after,
                [b'\r'] => {
                    self.held_cr = true;
                    return Ok(());
                }
                bare => return Err(Bare(bare)),
            }
            out.push(b'\n');
        }
        out.extend_from_slice(rest);
        Ok(())
    }

    /// Whether a CR waits for its LF; at the end, or at a bare octet, it stands alone.
    pub(super) fn holds_cr(&self) -> bool {
        self.held_cr
    }
}

/// Turns text into its wire form: every LF that stands behind no CR gets one.
#[derive(Debug, Default)]
struct ToWire {
    /// A CR ended the last piece.
    after_cr: bool,
}

impl ToWire {
    /// Appends the wire form of `text` to `out`.
    fn push(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for piece in text.split_inclusive(|b| *b == b'\n') {
            match piece.split_last() {
                Some((b'\n', line)) => {
                    let paired = line.last().map_or(self.after_cr, |b| *b == b'\r');
                    out.extend_from_slice(line);
                    out.extend_from_slice(if paired { b"\n" } else { b"\r\n" });
                    self.after_cr = false;
                }
                _ => {
                    out.extend_from_slice(piece);
                    self.after_cr = piece.ends_with(b"\r");
                }
            }
        }
    }
}

/// Reads a file in its wire form, piece by piece.
#[derive(Debug)]
pub(super) struct WireForm<R> {
    file: R,
    /// `None` for a file that is the wire form.
    to_wire: Option<ToWire>,
    chunk: Vec<u8>,
    piece: Vec<u8>,
    consumed: usize,
}

impl<R: Read> WireForm<R> {
    pub(super) fn new(file: R, form: Form) -> WireForm<R> {
        let to_wire = match form {
            Form::Text => Some(ToWire::default()),
            Form::Verbatim => None,
        };
        WireForm { file, to_wire, chunk: vec![0; CHUNK], piece: Vec::new(), consumed: 0 }
    }

    /// The octets that come next, as many as are at hand; none at the end.
    pub(super) fn piece(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.piece.len() {
            self.refill()?;
        }
        Ok(self.piece.get(self.consumed..).unwrap_or_default())
    }

    /// Moves on by `octets` of the piece.
    pub(super) fn consume(&mut self, octets: usize) {
        self.consumed = (self.consumed + octets).min(self.piece.len());
    }

    fn refill(&mut self) -> io::Result<()> {
        let octets = loop {
            match self.file.read(&mut self.chunk) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        let read = self.chunk.get(..octets).unwrap_or_default();
        self.piece.clear();
        self.consumed = 0;
        match &mut self.to_wire {
            Some(to_wire) => to_wire.push(read, &mut self.piece),
            None => self.piece.extend_from_slice(read),
        }
        Ok(())
    }
}

/// Turns a file of `octets` octets with `lines` LFs and no CR into its wire form, where it stands.
///
/// Goes from the end to the start, so that nothing is overwritten before it was read: constant memory, no second file.
pub(super) fn expand_in_place(file: &File, octets: u64, lines: u64) -> io::Result<()> {
    let (mut end, mut shift) = (octets, lines);
    let mut chunk = vec![0; CHUNK];
    let mut wire = Vec::with_capacity(2 * CHUNK);
    while shift > 0 && end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        chunk.resize((end - start) as usize, 0);
        file.read_exact_at(&mut chunk, start)?;
        wire.clear();
        ToWire::default().push(&chunk, &mut wire);
        shift = shift.saturating_sub((wire.len() - chunk.len()) as u64);
        file.write_all_at(&wire, start + shift)?;
        end = start;
    }
    Ok(())
}

/// How many LFs there are.
pub(super) fn count_lf(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

#[cfg(test)]
pub(super) mod tests;
