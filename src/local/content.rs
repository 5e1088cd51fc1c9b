//! What identifies a message by its bytes: digest, size on the wire, Message-ID.
//!
//! Size is that of the wire form; digest and Message-ID are of the local form *of the wire form* (see [`super::lines`]).
//! So a file of another program, whatever its line ends, has the content of the file that the same message would be if
//! it were sent and fetched again.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use super::lines::{Form, ToLf, WireForm};
use crate::mail::message_id::HeaderScan;
use crate::mail::{Content, Digest, MessageIdHash};

/// Digest and Message-ID of a local form that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Sum {
    hash: blake3::Hasher,
    header: HeaderScan,
}

impl Sum {
    pub(super) fn push(&mut self, local: &[u8]) {
        self.hash.update(local);
        self.header.push(local);
    }

    pub(super) fn finish(self, wire_size: u64) -> Content {
        let digest = Digest(*self.hash.finalize().as_bytes());
        let message_id: Option<MessageIdHash> = self.header.finish();
        Content { digest, wire_size, message_id }
    }
}

/// Tells what file a message that comes in its wire form would become, without making one.
///
/// Both forms are summed up until the first bare CR or LF, since only the whole message tells which one it takes.
#[derive(Debug, Default)]
pub struct WireDigest {
    lf: Option<LfSum>,
    verbatim: Sum,
    octets: u64,
    started: bool,
}

#[derive(Debug, Default)]
struct LfSum {
    turn: ToLf,
    sum: Sum,
    local: Vec<u8>,
}

impl WireDigest {
    /// Takes the next piece of the wire form.
    pub fn push(&mut self, wire: &[u8]) {
        if !std::mem::replace(&mut self.started, true) {
            self.lf = Some(LfSum::default());
        }
        self.octets += wire.len() as u64;
        self.verbatim.push(wire);
        let clean = self.lf.as_mut().is_some_and(|lf| {
            lf.local.clear();
            let clean = lf.turn.push(wire, &mut lf.local).is_ok();
            lf.sum.push(&lf.local);
            clean
        });
        if !clean {
            self.lf = None;
        }
    }

    /// The content of the file.
    pub fn finish(self) -> Content {
        let octets = self.octets;
        match self.lf {
            Some(lf) if !lf.turn.holds_cr() => lf.sum.finish(octets),
            _ => self.verbatim.finish(octets),
        }
    }
}

/// Reads a file called `name` from where it stands to its end: what it is, and the form that makes it so.
pub(super) fn survey(file: &mut File, name: &OsStr) -> io::Result<(Content, Form)> {
    let form = Form::of(name, file.metadata()?.len());
    let mut wire = WireForm::new(file, form);
    let mut digest = WireDigest::default();
    loop {
        let octets = match wire.piece()? {
            [] => return Ok((digest.finish(), form)),
            piece => {
                digest.push(piece);
                piece.len()
            }
        };
        wire.consume(octets);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use proptest::prelude::*;

    use super::super::lines::tests::{cuts, local_form, octets, pieces, wire_form};
    use super::*;

    /// The content of a wire form, as the module's head says.
    fn content(wire: &[u8]) -> Content {
        let local = local_form(wire);
        let digest = Digest(*blake3::hash(&local).as_bytes());
        Content { digest, wire_size: wire.len() as u64, message_id: MessageIdHash::of_header(&local) }
    }

    fn surveyed(octets: &[u8], name: &str) -> Content {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(octets).unwrap();
        file.rewind().unwrap();
        survey(&mut file, name.as_ref()).unwrap().0
    }

    #[test]
    fn line_ends_of_a_foreign_file_make_no_other_message() {
        let lf = surveyed(b"Message-ID: <a@b>\n\nx\n", "1.2.host");
        for same in [&b"Message-ID: <a@b>\r\n\r\nx\r\n"[..], b"Message-ID: <a@b>\n\r\nx\n"] {
            assert_eq!(surveyed(same, "1.2.host"), lf);
        }
        assert_eq!(lf, content(b"Message-ID: <a@b>\r\n\r\nx\r\n"));
    }

    proptest! {
        #[test]
        fn a_wire_digest_is_that_of_the_file_it_would_become(wire in octets(), cuts in cuts()) {
            let mut sum = WireDigest::default();
            pieces(&wire, &cuts).into_iter().for_each(|piece| sum.push(piece));
            prop_assert_eq!(sum.finish(), content(&wire));
        }

        #[test]
        fn a_survey_is_the_wire_digest_of_what_would_be_sent(octets in octets()) {
            prop_assert_eq!(surveyed(&octets, "1.2.host"), content(&wire_form(&octets)));
            let ours = format!("1.0a1b2c3d-00000004-5-6.mailtide,S={0},W={0}", octets.len());
            prop_assert_eq!(surveyed(&octets, &ours), content(&octets));
        }
    }
}
