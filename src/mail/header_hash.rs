//! What identifies a message by its header alone, so that one is recognised without its body.
//!
//! POP3's TOP gives the header of a message, RETR the message; both must come to the same hash. So line ends do not
//! matter, and the fields in which servers that keep mbox files note what they did with a message are left out.

/// The first 64 bits of BLAKE3 of a header.
///
/// Only a header that no other message has is worth a hash: one with a Message-ID or a trace of its way (RFC 5321 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderHash(pub u64);

impl HeaderHash {
    /// The hash of a message's header; `None` when the header could be another message's too.
    pub fn of(message: &[u8]) -> Option<HeaderHash> {
        let mut scan = HeaderHashScan::default();
        scan.push(message);
        scan.finish()
    }
}

/// Fields that a server changes after delivery: they tell of its bookkeeping, not of the message.
const BOOKKEEPING: &[&str] = &[
    "status",
    "x-status",
    "x-keywords",
    "x-uid",
    "x-uidl",
    "x-imap",
    "x-imapbase",
    "x-mozilla-status",
    "x-mozilla-status2",
    "content-length",
    "lines",
];

/// How much of a line is held: enough for any field's name.
const HELD: usize = 1024;

/// Hashes the header of a message that comes in pieces, in any form of line ends.
#[derive(Debug, Default)]
pub struct HeaderHashScan {
    hash: blake3::Hasher,
    /// The line so far, or what of it is not hashed yet.
    line: Vec<u8>,
    /// A part of the line is hashed already.
    begun: bool,
    /// The field, and all its lines, are left out.
    left_out: bool,
    identifying: bool,
    done: bool,
}

impl HeaderHashScan {
    /// Takes the next piece; whatever follows the header passes by.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !self.done && !bytes.is_empty() {
            let at = bytes.iter().position(|b| *b == b'\n');
            let (piece, rest) = bytes.split_at(at.unwrap_or(bytes.len()));
            // A line of any length takes no more memory than one chunk.
            for chunk in piece.chunks(HELD) {
                self.line.extend_from_slice(chunk);
                if self.line.len() > 2 * HELD {
                    self.hash_held(HELD);
                }
            }
            bytes = match at {
                Some(_) => {
                    self.end_line();
                    rest.get(1..).unwrap_or_default()
                }
                None => rest,
            };
        }
    }

    /// The hash, if the header identifies the message.
    pub fn finish(mut self) -> Option<HeaderHash> {
        if !self.done && (self.begun || !self.line.is_empty()) {
            self.end_line();
        }
        let mut first = [0; 8];
        first.iter_mut().zip(self.hash.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
        self.identifying.then(|| HeaderHash(u64::from_be_bytes(first)))
    }

    fn end_line(&mut self) {
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if self.line.is_empty() && !self.begun {
            self.done = true;
            return;
        }
        self.hash_held(0);
        if !self.left_out {
            self.hash.update(b"\n");
        }
        self.begun = false;
    }

    /// Hashes what is held of the line but for its last `keep` octets.
    fn hash_held(&mut self, keep: usize) {
        if !self.begun {
            self.begin_line();
        }
        let upto = self.line.len().saturating_sub(keep);
        let octets = self.line.drain(..upto);
        if !self.left_out {
            self.hash.update(octets.as_slice());
        }
    }

    /// Looks what field the line is of; a line that begins with white space goes on with the last (RFC 5322 §2.2.3).
    fn begin_line(&mut self) {
        self.begun = true;
        if matches!(self.line.first(), Some(b' ' | b'\t')) {
            return;
        }
        let mut parts = self.line.splitn(2, |b| *b == b':');
        let (name, value) = (parts.next().unwrap_or_default().trim_ascii_end(), parts.next());
        let is = |field: &str| value.is_some() && name.eq_ignore_ascii_case(field.as_bytes());
        self.left_out = BOOKKEEPING.iter().copied().any(is);
        self.identifying |= is("message-id") || is("received");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIRE: &[u8] = b"Received: from a\r\n\tby b\r\nSubject: x\r\nMessage-ID: <a@b>\r\n\r\nbody\r\n";

    #[test]
    fn line_ends_the_body_and_a_servers_bookkeeping_do_not_matter() {
        let hash = HeaderHash::of(WIRE);
        assert!(hash.is_some());
        for same in [
            &b"Received: from a\n\tby b\nSubject: x\nMessage-ID: <a@b>\n\nanother body"[..],
            b"Received: from a\r\n\tby b\r\nSubject: x\r\nMessage-ID: <a@b>\r\n",
            b"Received: from a\r\n\tby b\r\nSubject: x\r\nMessage-ID: <a@b>",
            b"Received: from a\r\n\tby b\r\nStatus: RO\r\nX-UIDL: a\r\n b\r\nSubject: x\r\nMessage-ID: <a@b>\r\n\r\n",
        ] {
            assert_eq!(HeaderHash::of(same), hash, "{}", String::from_utf8_lossy(same));
        }
        for other in [
            &b"Received: from a\r\n\tby b\r\nSubject: y\r\nMessage-ID: <a@b>\r\n\r\n"[..],
            b"Received: from a\r\nSubject: x\r\nMessage-ID: <a@b>\r\n\r\n",
        ] {
            assert_ne!(HeaderHash::of(other), hash);
        }
    }

    #[test]
    fn a_header_that_any_message_could_have_has_none() {
        for header in ["", "\r\n", "Subject: x\r\n\r\nReceived: in the body", "Message-ID\r\n\r\n", " Received: x\r\n"]
        {
            assert_eq!(HeaderHash::of(header.as_bytes()), None, "{header:?}");
        }
    }

    #[test]
    fn an_endless_line_takes_no_memory_and_counts_to_its_end() {
        let line = |last: u8| {
            let mut scan = HeaderHashScan::default();
            scan.push(b"Received: ");
            for _ in 0..1000 {
                scan.push(&[b'x'; 10_000]);
                assert!(scan.line.len() <= 3 * HELD);
            }
            scan.push(&[last, b'\r']);
            scan.push(b"\n\n");
            scan.finish().unwrap()
        };
        assert_ne!(line(b'a'), line(b'b'));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(0usize..4000, 0..6), filler in 0usize..3000) {
            let mut text = format!("X-Long: {}\r\nStatus: R\r\n", "y".repeat(filler)).into_bytes();
            text.extend_from_slice(WIRE);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let mut scan = HeaderHashScan::default();
            cuts.windows(2).for_each(|w| scan.push(&text[w[0]..w[1]]));
            prop_assert_eq!(scan.finish(), HeaderHash::of(&text));
        }
    }
}
