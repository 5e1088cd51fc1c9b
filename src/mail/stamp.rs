//! Header lines that other synchronisers put into a copy of a message, and nobody else: mbsync's `X-TUID` and OfflineIMAP's
//! `X-OfflineIMAP`. With such a *stamp* a copy is still the same message.
//!
//! Only the first header counts, and only a stamp in one line, as those programs write it.

use super::MessageIdHash;

const STAMPS: [&str; 2] = ["X-TUID", "X-OfflineIMAP"];
/// Octets of the longest line that is a stamp.
const LONGEST: usize = 80;

/// Whether octets belong to a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Octets {
    /// They are the message's.
    Message,
    /// They are a stamp, a whole line.
    Stamp,
}

/// Tells stamps from the message around them while it comes in pieces, with any line ends.
#[derive(Debug, Default)]
pub struct StampScan {
    /// The line so far, as long as it may be a stamp.
    held: Vec<u8>,
    at: At,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Header,
    /// Within a line that is too long for a stamp.
    LongLine,
    Body,
}

impl StampScan {
    /// How many octets more a stamp makes a message on the wire, at least and at most.
    pub const WEIGHTS: std::ops::RangeInclusive<u64> = 20..=40;

    /// Takes the next piece and gives all octets on, in order; at the end of a piece some may be held.
    pub fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(&[u8], Octets)) {
        while !bytes.is_empty() && self.at != At::Body {
            let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
            let (piece, rest) = bytes.split_at(end);
            self.line(piece, each);
            bytes = rest;
        }
        if !bytes.is_empty() {
            each(bytes, Octets::Message);
        }
    }

    /// Gives on what is still held.
    pub fn finish(&mut self, each: &mut dyn FnMut(&[u8], Octets)) {
        if !self.held.is_empty() {
            each(&self.held, Octets::Message);
            self.held.clear();
        }
    }

    fn line(&mut self, piece: &[u8], each: &mut dyn FnMut(&[u8], Octets)) {
        let ends = piece.ends_with(b"\n");
        if self.at == At::LongLine {
            each(piece, Octets::Message);
        } else {
            self.held.extend_from_slice(piece);
            let long = self.held.len() > LONGEST;
            if !ends && !long {
                return;
            }
            // Of a long line nobody knows any more, at its end, whether all of it was blank.
            let is_empty = !long && self.held.trim_ascii_end().is_empty();
            each(&self.held, if !long && is_stamp(&self.held) { Octets::Stamp } else { Octets::Message });
            self.held.clear();
            if ends && is_empty {
                self.at = At::Body;
                return;
            }
        }
        self.at = if ends { At::Header } else { At::LongLine };
    }
}

fn is_stamp(line: &[u8]) -> bool {
    let name = line.split(|b| *b == b':').next().unwrap_or_default();
    name.len() < line.len() && STAMPS.iter().any(|stamp| name.eq_ignore_ascii_case(stamp.as_bytes()))
}

/// What a few fields of a message's header tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderFields {
    /// The Message-ID.
    pub message_id: Option<MessageIdHash>,
    /// Octets on the wire that are stamps.
    pub stamps: u64,
}

impl HeaderFields {
    /// The names of the fields, as FETCH asks for them.
    pub const NAMES: &'static str = "MESSAGE-ID X-TUID X-OFFLINEIMAP";

    /// Reads them out of a header, or of these fields alone.
    pub fn of(header: &[u8]) -> HeaderFields {
        let mut stamps = 0;
        let mut each = |octets: &[u8], is: Octets| {
            if is == Octets::Stamp {
                stamps += octets.trim_ascii_end().len() as u64 + 2;
            }
        };
        let mut scan = StampScan::default();
        scan.push(header, &mut each);
        scan.finish(&mut each);
        HeaderFields { message_id: MessageIdHash::of_header(header), stamps }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn without(message: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>) {
        let (mut plain, mut stamps) = (Vec::new(), Vec::new());
        let mut each = |octets: &[u8], is: Octets| match is {
            Octets::Message => plain.extend_from_slice(octets),
            Octets::Stamp => stamps.extend_from_slice(octets),
        };
        let mut scan = StampScan::default();
        let mut cuts: Vec<usize> = cuts.iter().map(|c| (*c).min(message.len())).chain([0, message.len()]).collect();
        cuts.sort_unstable();
        cuts.windows(2).for_each(|w| scan.push(&message[w[0]..w[1]], &mut each));
        scan.finish(&mut each);
        (plain, stamps)
    }

    #[test]
    fn only_whole_short_lines_of_the_first_header_are_stamps() {
        let long = format!("X-TUID: {}\n", "x".repeat(90));
        for (message, plain, stamps) in [
            ("A: b\nX-TUID: 0123456789ab\nC: d\n\nbody\n", "A: b\nC: d\n\nbody\n", "X-TUID: 0123456789ab\n"),
            ("x-offlineimap: 1-2\r\n\r\nX-TUID: no\r\n", "\r\nX-TUID: no\r\n", "x-offlineimap: 1-2\r\n"),
            ("X-TUIDS: no\n\n", "X-TUIDS: no\n\n", ""),
            ("X-TUID no\n\n", "X-TUID no\n\n", ""),
            ("X-TUID: unfinished", "X-TUID: unfinished", ""),
            (&long, &long, ""),
            ("", "", ""),
        ] {
            let found = without(message.as_bytes(), &[]);
            assert_eq!(found, (plain.as_bytes().to_vec(), stamps.as_bytes().to_vec()), "{message}");
        }
    }

    #[test]
    fn pieces_do_not_matter_behind_a_long_blank_line() {
        let message = [&[b' '; LONGEST + 1][..], b"\nX-TUID: 0123456789ab\n"].concat();
        for cut in 0..message.len() {
            assert_eq!(without(&message, &[cut]), without(&message, &[]), "cut at {cut}");
        }
    }

    #[test]
    fn the_weight_of_a_stamp_is_that_of_its_line() {
        let fields = HeaderFields::of(b"Message-ID: <a@b>\r\nX-TUID: 0123456789ab\r\n\r\n");
        assert_eq!(fields, HeaderFields { message_id: MessageIdHash::of_value(b"<a@b>"), stamps: 22 });
        assert!(StampScan::WEIGHTS.contains(&22));
        assert_eq!(HeaderFields::of(b"\r\n"), HeaderFields::default());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(0usize..140, 0..6)) {
            let message = format!("A: {}\r\nX-TUID: 0123456789ab\r\nB: c\r\n\r\nX-TUID: 0\r\n", "y".repeat(85));
            prop_assert_eq!(without(message.as_bytes(), &cuts), without(message.as_bytes(), &[]));
        }
    }
}
