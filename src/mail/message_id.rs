//! The Message-ID of a message, as a hint to who it is; never an identity.
//!
//! [`HeaderScan`] finds it while a message streams by, in at most [`HeaderScan::LIMIT`] octets of header.

use std::fmt;

/// 64 bits of BLAKE3 of a Message-ID with its angle brackets and without folding or surrounding space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageIdHash(pub u64);

impl MessageIdHash {
    /// Hashes a Message-ID field's value; `None` when it is blank.
    pub fn of_value(value: &[u8]) -> Option<MessageIdHash> {
        let id: Vec<u8> = value.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        if id.is_empty() {
            return None;
        }
        let hash = blake3::hash(&id);
        let eight = hash.as_bytes().first_chunk::<8>()?;
        Some(MessageIdHash(u64::from_be_bytes(*eight)))
    }

    /// Finds the Message-ID in a header block with any line ends.
    pub fn of_header(header: &[u8]) -> Option<MessageIdHash> {
        let mut scan = HeaderScan::default();
        scan.push(header);
        scan.finish()
    }
}

impl fmt::Display for MessageIdHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Looks for the first Message-ID field in a message that arrives in pieces.
#[derive(Debug, Clone, Default)]
pub struct HeaderScan {
    line: Vec<u8>,
    value: Option<Vec<u8>>,
    seen: usize,
    done: bool,
}

impl HeaderScan {
    /// How many octets of a message are looked at, and how long a Message-ID may be.
    pub const LIMIT: usize = 256 * 1024;

    /// Takes the next piece; free once the header has ended.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !self.done && !bytes.is_empty() {
            let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
            // To the octet: how a message is cut must make no difference to what it is.
            let (piece, rest) = bytes.split_at(end.min(Self::LIMIT - self.seen));
            self.seen += piece.len();
            self.done = self.seen == Self::LIMIT;
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
            bytes = rest;
        }
    }

    /// The Message-ID, if there was one.
    pub fn finish(mut self) -> Option<MessageIdHash> {
        if !self.done {
            self.end_line();
        }
        self.value.and_then(|v| MessageIdHash::of_value(&v))
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        if let Some(value) = &mut self.value {
            // A field goes on while lines begin with white space (RFC 5322 §2.2.3).
            if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) && !text.is_empty() {
                value.extend_from_slice(text);
            } else {
                self.done = true;
            }
        } else if text.is_empty() {
            self.done = true;
        } else if let Some(colon) = text.iter().position(|b| *b == b':') {
            let (name, value) = text.split_at(colon);
            if name.trim_ascii_end().eq_ignore_ascii_case(b"message-id") {
                self.value = Some(value.get(1..).unwrap_or_default().to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folding_case_and_line_ends_do_not_matter() {
        let want = MessageIdHash::of_value(b"<a@b>");
        for header in
            ["Message-ID: <a@b>\n\nbody", "Subject: x\r\nMESSAGE-id:\r\n  <a@b>  \r\nTo: y\r\n\r\n", "Message-Id:<a@b>"]
        {
            assert_eq!(MessageIdHash::of_header(header.as_bytes()), want, "{header:?}");
        }
    }

    #[test]
    fn a_body_is_no_header() {
        assert_eq!(MessageIdHash::of_header(b"Subject: x\n\nMessage-ID: <a@b>\n"), None);
        assert_eq!(MessageIdHash::of_header(b"Message-ID:  \nX: y\n"), None);
    }

    #[test]
    fn pieces_do_not_matter_where_the_looking_ends() {
        for filler in HeaderScan::LIMIT - 40..HeaderScan::LIMIT {
            let text = [b"A: ", &vec![b'x'; filler][..], b"\r\nMessage-ID: <a@b>\r\n c\r\n\r\n"].concat();
            let found = |piece| {
                let mut scan = HeaderScan::default();
                text.chunks(piece).for_each(|piece| scan.push(piece));
                scan.finish()
            };
            let whole = found(text.len());
            assert!([7, 1 << 16, HeaderScan::LIMIT].map(found).iter().all(|id| *id == whole), "{filler}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(0usize..60, 0..6)) {
            let text = b"Subject: x\r\n y\r\nMessage-ID:\r\n\t<a@b.example>\r\nTo: z\r\n\r\nbody";
            let mut scan = HeaderScan::default();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            cuts.windows(2).for_each(|w| scan.push(&text[w[0]..w[1]]));
            prop_assert_eq!(scan.finish(), MessageIdHash::of_value(b"<a@b.example>"));
        }
    }
}
