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
use crate::mail::stamp::{Octets, StampScan};
use crate::mail::{Content, Contents, Digest, MessageIdHash};

/// Digest and Message-ID of a local form that comes in pieces.
#[derive(Debug, Clone, Default)]
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
    verbatim: Twofold,
    octets: u64,
    started: bool,
}

#[derive(Debug, Default)]
struct LfSum {
    turn: ToLf,
    sum: Twofold,
    local: Vec<u8>,
}

/// The sums of a message with and without its stamps.
#[derive(Debug, Default)]
struct Twofold {
    whole: Sum,
    scan: StampScan,
    /// From the first stamp on; until then it is the same as the whole.
    plain: Option<Sum>,
    stamps: Stamps,
}

/// What stamps come to.
#[derive(Debug, Default, Clone, Copy)]
struct Stamps {
    lines: u64,
    octets: u64,
}

impl Twofold {
    fn push(&mut self, local: &[u8]) {
        let Twofold { whole, scan, plain, stamps } = self;
        scan.push(local, &mut |octets, is| take(whole, plain, stamps, octets, is));
    }

    /// `weight` tells what stamps come to on the wire.
    fn finish(mut self, wire_size: u64, weight: impl FnOnce(Stamps) -> u64) -> Contents {
        let Twofold { whole, scan, plain, stamps } = &mut self;
        scan.finish(&mut |octets, is| take(whole, plain, stamps, octets, is));
        let plain_size = wire_size.saturating_sub(weight(self.stamps));
        let unstamped = self.plain.map(|plain| plain.finish(plain_size));
        Contents { whole: self.whole.finish(wire_size), unstamped }
    }
}

fn take(whole: &mut Sum, plain: &mut Option<Sum>, stamps: &mut Stamps, octets: &[u8], is: Octets) {
    match is {
        Octets::Message => plain.iter_mut().for_each(|plain| plain.push(octets)),
        Octets::Stamp => {
            plain.get_or_insert_with(|| whole.clone());
            stamps.lines += 1;
            stamps.octets += octets.len() as u64;
        }
    }
    whole.push(octets);
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

    /// The contents of the file.
    pub fn finish(self) -> Contents {
        let octets = self.octets;
        match self.lf {
            // Each line end is one octet more on the wire.
            Some(lf) if !lf.turn.holds_cr() => lf.sum.finish(octets, |stamps| stamps.octets + stamps.lines),
            _ => self.verbatim.finish(octets, |stamps| stamps.octets),
        }
    }
}

/// Reads a file called `name` from where it stands to its end: what it is, and the form that makes it so.
pub(super) fn survey(file: &mut File, name: &OsStr) -> io::Result<(Contents, Form)> {
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
        survey(&mut file, name.as_ref()).unwrap().0.whole
    }

    #[test]
    fn line_ends_of_a_foreign_file_make_no_other_message() {
        let lf = surveyed(b"Message-ID: <a@b>\n\nx\n", "1.2.host");
        for same in [&b"Message-ID: <a@b>\r\n\r\nx\r\n"[..], b"Message-ID: <a@b>\n\r\nx\n"] {
            assert_eq!(surveyed(same, "1.2.host"), lf);
        }
        assert_eq!(lf, content(b"Message-ID: <a@b>\r\n\r\nx\r\n"));
    }

    #[test]
    fn a_stamp_more_or_less_is_the_same_message() {
        let summed = |wire: &[u8]| {
            let mut sum = WireDigest::default();
            wire.chunks(7).for_each(|piece| sum.push(piece));
            sum.finish()
        };
        // Line by line, and verbatim.
        for end in ["\r\n", "\n"] {
            let plain = format!("Message-ID: <a@b>\r\nA: b{end}\r\nbody{end}");
            let stamped = plain.replacen("A: b", "X-TUID: 0123456789ab\r\nA: b", 1);
            let (plain, stamped) = (summed(plain.as_bytes()), summed(stamped.as_bytes()));
            assert_eq!((plain.unstamped, stamped.unstamped), (None, Some(plain.whole)), "{end:?}");
            assert_eq!(stamped.whole.wire_size, plain.whole.wire_size + 22);
        }
    }

    proptest! {
        #[test]
        fn a_wire_digest_is_that_of_the_file_it_would_become(wire in octets(), cuts in cuts()) {
            let mut sum = WireDigest::default();
            pieces(&wire, &cuts).into_iter().for_each(|piece| sum.push(piece));
            prop_assert_eq!(sum.finish().whole, content(&wire));
        }

        #[test]
        fn a_survey_is_the_wire_digest_of_what_would_be_sent(octets in octets()) {
            prop_assert_eq!(surveyed(&octets, "1.2.host"), content(&wire_form(&octets)));
            let ours = format!("1.0a1b2c3d-00000004-5-6.mailtide,S={0},W={0}", octets.len());
            prop_assert_eq!(surveyed(&octets, &ours), content(&octets));
        }
    }
}
